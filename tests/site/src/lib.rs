//! A site as tests play it, for the tests of every crate: who signs what under one manifest, what a wallet may do, and the
//! jobs of its commands. Data alone: workers, clients and services over it are each test's own.
//!
//! Keys go by numbers, the same everywhere: [`OPERATOR`], [`ROOT`], [`ISSUER`] and [`OWNER`] are the good ones.
#![allow(clippy::unwrap_used, reason = "tests")]

mod job;
mod mutation;
mod site;
mod wallet;

use nsl_schemas::authority::Quorum;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::token::Tenant;

pub use job::{COMMAND_ID, Order};
pub use mutation::mutate;
pub use site::{Site, manifest};
pub use wallet::{GAS, NETWORK_MAGIC, RECIPIENT, change, policy, transfer};

/// The operator: alone the quorum of a [`manifest`].
pub const OPERATOR: u8 = 1;
/// The root of every tenant.
pub const ROOT: u8 = 2;
/// Whom the roots grant to.
pub const ISSUER: u8 = 3;
/// Who may change a wallet's [`policy`].
pub const OWNER: u8 = 9;

/// The signing key of this number.
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

/// The public keys of these numbers, of which `threshold` must sign.
pub fn quorum(threshold: u8, numbers: &[u8]) -> Quorum {
    Quorum { threshold, keys: numbers.iter().map(|number| key(*number).public()).collect() }
}

/// The tenant of the tests.
pub fn acme() -> Tenant {
    Tenant::parse("acme").unwrap()
}
