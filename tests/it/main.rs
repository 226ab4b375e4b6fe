//! What the whole system promises, tried on the whole running system: real processes, real parts, nothing replaced.
//!
//! Every test starts a system of its own in a temporary folder and stops it; they run one after the other. Without the
//! programs that `cargo dev test` builds and names they are skipped, aloud.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips and found"
)]

mod address;
mod admin;
mod append_only;
mod approvals;
mod bad_input;
mod canary;
mod chain;
mod cluster;
mod command_line;
mod crashes;
mod custodians;
mod database_outages;
mod distribution;
mod duplicates;
mod expired_requests;
mod failpoints;
mod flood;
mod load;
mod log;
mod operators;
mod patience;
mod permissions;
mod processors;
mod recovery;
mod scale;
mod secret_story;
mod secrets;
mod senders;
mod story;
mod system;
mod wallets;
mod withheld;
