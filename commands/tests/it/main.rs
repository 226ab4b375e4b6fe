//! nsl-commands as a process, on a real Postgres (`NSL_TEST_DATABASE_URL`) and a real nats-server (`NSL_TEST_NATS_URL`).
//! There is no enclave and no chain: the tests speak as client, worker and host. Each test has a database of its own;
//! without the servers they are skipped aloud.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod authority;
mod deadlines;
mod log;
mod reactor_stops;
mod service;
mod turns;
mod world;
