#![doc = include_str!("../README.md")]

pub mod attestation;
pub mod authority;
pub mod birth;
mod client;
pub mod custodian;
pub mod events;
mod held;
pub mod issuer;
pub mod operators;
mod options;
pub mod pool;
pub mod prepared;
pub mod prices;
pub mod query;
pub mod secret;
mod send;
pub mod statement;
pub mod transfer;
pub mod wallet;

pub use client::{Client, ConnectError};
pub use events::{EventFilter, EventStream, PublishedEvent};
pub use options::{Credentials, Options};
pub use pool::Error as PoolError;
pub use prepared::Prepared;
pub use query::QueryError;
pub use send::SendError;

/// What lies beneath an error of the bus; its type is not part of this crate's contract.
pub type Source = Box<dyn std::error::Error + Send + Sync + 'static>;
