//! The `nsl` program as scripts see it: arguments, streams, exit codes.
//!
//! `NSL_TEST_NATS_URL` names a server with JetStream; tests that need it say that they are skipped without it.

#![allow(clippy::print_stderr, reason = "a skipped test says so")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod bus;
mod help;
mod home;
mod offline;
