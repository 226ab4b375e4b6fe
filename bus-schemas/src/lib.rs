//! The published language of the Neo Service Layer: what crosses a border, and nothing else.
//!
//! Commands, events, jobs, stream messages, their envelope and signed bytes, subjects, error codes. Pure: no I/O,
//! no clock, no randomness. Numbers that may pass 2^53 are decimal strings; there are no floats.

pub mod authority;
pub mod bytes;
pub mod canonical;
pub mod command;
pub mod envelope;
pub mod errors;
pub mod event;
pub mod genesis;
pub mod ids;
pub mod job;
pub mod kms;
pub mod nkey;
pub mod number;
pub mod outcome;
pub mod policy;
pub mod pool_view;
pub mod price;
pub mod query;
pub mod reservation;
pub mod result;
#[cfg(feature = "schema")]
pub mod schema;
pub mod sealing;
pub mod secret;
pub mod streams;
pub mod subject;
pub mod token;
