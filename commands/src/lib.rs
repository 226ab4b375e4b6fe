//! The write side: load → decide → append, one Postgres transaction a batch, answers after the commit; then events
//! become jobs. Reads no read model and links no key.

pub mod admission;
pub mod aggregates;
mod answers;
mod batch;
mod clock;
mod config;
pub mod directory;
mod follower;
mod genesis;
pub mod intake;
pub mod limits;
pub mod metrics;
mod partitions;
pub mod ports;
pub mod processor;
mod reactor;
mod service;

pub use config::{Config, LimitsConfig, OwnLimits, TenantLimits};
pub use service::run;
