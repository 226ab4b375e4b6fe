//! The parent's side of the enclave: pulls jobs from the bus, has attested workers do them, and reports their signed
//! outcomes as commands.
//!
//! It is trusted with nothing: it can lose or delay work, but neither read a key nor invent an outcome.

mod admission;
mod attestations;
pub mod config;
mod failpoints;
mod genesis;
mod job;
pub mod kms;
mod lane;
mod launcher;
mod metrics;
mod operators;
mod parking;
mod pings;
mod questions;
mod registration;
mod report;
mod sealing;
pub mod service;
mod views;

pub use config::Config;
pub use launcher::Reload;
pub use service::run;
