//! A typed client of a Neo node's JSON-RPC: one file per question.
//!
//! It asks and reads, with bounded time and bounded answers, and decides nothing: what to submit, when to ask
//! again and what counts as confirmed is the caller's.

mod application_log;
mod balance;
mod block;
mod client;
mod decimal;
mod error;
mod fee_policy;
mod invocation;
mod network_fee;
mod raw_transaction;
mod signer_json;
mod stack_item;
mod submission;
mod version;

pub use application_log::{ApplicationLog, Execution, Notification};
pub use balance::Nep17Balance;
pub use block::Block;
pub use client::{Client, RESPONSE_BYTES_LIMIT};
pub use error::Error;
pub use invocation::{Invocation, VmState};
pub use stack_item::StackItem;
pub use submission::{KnownWhere, Submission};
pub use version::Version;
