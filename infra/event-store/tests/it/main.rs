//! The store against a real Postgres. `NSL_TEST_DATABASE_URL` names a superuser's database on a server of its own;
//! each test makes a database there and drops it when it has passed. Without the variable they are skipped aloud.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a skipped test says so, and the gap hunter its figures"
)]

mod append_only;
mod appending;
mod concurrency;
mod connecting;
mod cqrs;
mod gaps;
mod group_commit;
mod leases;
mod outage;
mod partitions;
mod reading;
mod snapshots;
mod support;
