//! Evaluation of a wallet's signing policy: pure, total, and the same code before the commit and in the enclave.

mod evaluate;
mod sound;

pub use evaluate::{Denied, TransferFacts, evaluate};
pub use sound::{Unsound, check_sound};
