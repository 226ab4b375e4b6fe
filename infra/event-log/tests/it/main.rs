//! The tool as a process, against a real Postgres. `NSL_TEST_DATABASE_URL` names a superuser's database; each test makes a
//! database there and drops it when it has passed. Without the variable they are skipped aloud.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod archives;
mod receipts;
mod restore;
mod support;
