//! The enclave worker: the only code that holds keys.
//!
//! A [`Worker`] obeys one genesis manifest, judges every job for itself, and answers with outcomes that it signs. It
//! trusts neither the host nor what the host stores.

mod chains;
mod clock;
mod commitment;
mod create_key;
mod endorse;
pub mod endorser;
mod entropy;
pub mod genesis;
pub mod hardening;
mod judge;
pub mod kms;
pub mod locked;
#[cfg(feature = "development")]
pub mod measure;
pub mod nsm;
mod operators;
mod pool_member;
mod refusal;
mod replace_policy;
mod reseal_key;
mod reservation_seal;
mod reserve_transfer;
pub mod seal;
pub mod sealing;
pub mod sealing_provider;
mod secret;
mod sign_transfer;
mod wallet_key;
mod withheld_mode;
pub mod worker;

pub use genesis::Genesis;
pub use worker::Worker;
