//! The write side: load → decide → append, one Postgres transaction a batch, answers after the commit; then events
//! become jobs. Reads no read model and links no key.

mod admission;
mod aggregates;
mod answers;
mod batch;
mod clock;
mod config;
mod directory;
mod follower;
mod genesis;
mod intake;
mod limits;
mod metrics;
mod partitions;
mod processor;
mod reactor;
mod service;

pub use config::Config;
pub use service::run;
