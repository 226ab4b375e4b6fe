//! Against a real Postgres (`NSL_TEST_DATABASE_URL`) and a real nats-server (`NSL_TEST_NATS_URL`), each test in a
//! database of its own. Without them the tests say so and pass.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of a test stop it by panicking, and may speak"
)]

mod crashing;
mod event_stream;
mod events;
mod price_stream;
mod process;
mod questions;
mod read_models;
mod rebuilding;
mod secrets;
mod stopping;
mod versions;
mod waking;
mod world;
