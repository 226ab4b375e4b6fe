//! The chain relay: takes signed transactions as jobs, gets their exact bytes into a block or sees that they can no
//! longer be in one, and reports that as a command. Answers what only a node knows: quotes and balances.
//!
//! It keeps nothing: after a crash its jobs come again, and each is looked up on the chain before it is submitted.

pub mod config;
pub mod service;

mod cursor;
mod failpoints;
mod intake;
mod job;
mod lifecycle;
mod metrics;
mod queries;
mod relay;
mod report;
mod watchlist;
