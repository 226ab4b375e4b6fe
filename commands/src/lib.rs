//! The write side: load → decide → append, one Postgres transaction a batch, answers after the commit; then events
//! become jobs, and deadlines commands. Reads no read model; its only key signs the commands of deadlines.

pub mod admission;
pub mod aggregates;
mod answers;
mod batch;
mod clock;
mod config;
mod consumer;
pub mod directory;
mod failpoints;
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
mod tenure;

pub use config::{Config, LimitsConfig, OwnLimits, TenantLimits};
pub use service::run;
