//! The client against a real NATS server, with each test playing the service at the level of the bus.
//!
//! `NSL_TEST_NATS_URL` names a server with JetStream; without it every test says that it is skipped. A test owns a
//! tenant of its own, so that they can share the server.

#![allow(clippy::print_stderr, reason = "a skipped test says so")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod commands;
mod events;
mod operators;
mod queries;
mod wallets;
mod world;
