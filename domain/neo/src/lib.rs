//! Neo N3 as pure functions: keys, addresses, wallets, scripts, transactions, witnesses and fees.
//!
//! No I/O, no clock, no randomness of its own, and no panic on any input: the same code runs in clients, in
//! the command side and inside the enclave, so that all three build the same bytes from the same request.

#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)
)]

pub mod account;
pub mod address;
pub mod amount;
pub mod attribute;
mod base58check;
pub mod binary;
pub mod fee;
pub mod hash;
pub mod native;
pub mod nep17;
pub mod nep2;
pub mod nep6;
pub mod private_key;
pub mod public_key;
pub mod script;
pub mod signature;
pub mod signer;
#[cfg(test)]
mod test_keys;
pub mod transaction;
pub mod transfer;
pub mod wif;
pub mod witness;
pub mod witness_condition;

pub use account::{Account, Multisig};
pub use address::Address;
pub use attribute::Attribute;
pub use fee::FeePolicy;
pub use hash::{Hash160, Hash256};
pub use nep17::Nep17Transfer;
pub use private_key::PrivateKey;
pub use public_key::PublicKey;
pub use signature::Signature;
pub use signer::Signer;
pub use transaction::{Transaction, TransactionFields, UnsignedTransaction};
pub use transfer::{TransferRequest, build_transfer, nonce_from_command_id, sign_transfer};
pub use witness::Witness;
