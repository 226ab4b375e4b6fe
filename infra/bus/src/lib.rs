//! NATS for our services: one connection, streams and consumers as data with drift detection, publishing at an exact
//! sequence, request and reply.
//!
//! NATS is transport only: nothing here is durable truth, and every operation may be repeated.

pub mod connection;
pub mod consumer;
pub mod headers;
mod keep;
pub mod partition;
pub mod request;
pub mod sequence;
pub mod stream;
pub mod streams;

mod drift;

pub use connection::{Bus, BusConfig};
pub use consumer::{Consumer, ConsumerDefinition};
pub use drift::{Difference, DriftPolicy, Ensured};
pub use partition::{COMMANDS, Partitioning};
pub use sequence::{Outcome, SequencedMessage};
pub use stream::StreamDefinition;

pub use async_nats;
