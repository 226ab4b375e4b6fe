//! Offline verification of what the Neo Service Layer claims, for auditors and for our own processes alike.
//!
//! No I/O, no clock and no randomness: bytes, expectations and times are arguments, so the same input
//! gives the same verdict everywhere and for ever.

pub mod attestation;
mod cbor;
pub mod hpke;

pub use cbor::Error as CborError;
