//! What a wallet's commands mean before they are signed: the one transaction of a transfer, and whether the policy allows
//! it. Pure, total, and the same code before the commit and in the enclave.

mod evaluate;
mod sound;
pub mod transaction;

pub use evaluate::{Denied, TransferFacts, evaluate};
pub use sound::{Unsound, check_sound};
