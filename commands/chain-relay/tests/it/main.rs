//! The service as a process, between a real NATS server and a real Neo node, with each test playing the write side.
//!
//! `NSL_TEST_NATS_URL` names a server with JetStream and `NSL_TEST_NEO_RPC` a node whose only committee member has the
//! well-known key of neo-go's tests; without either, every test says that it is skipped.

#![allow(clippy::unwrap_used, reason = "in a test a failed step is the finding")]

mod chain;
mod jobs;
mod questions;
mod service;
mod write_side;
