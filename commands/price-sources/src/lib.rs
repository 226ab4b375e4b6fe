//! Market data in, price rounds out: asks venues, publishes their observations in order, proposes rounds
//! (D14).
//!
//! Nothing here decides a price: a round carries its observations, and the feed's aggregate computes the
//! price.

mod backoff;
mod book;
mod budget;
mod clock;
pub mod config;
pub mod decimal;
mod fetch;
mod metrics;
mod poll;
mod proposer;
mod rounds;
pub mod service;
mod ticks;
pub mod venue;
