//! The host as a process, between a real bus and real workers with the software NSM; the command side is played at the
//! level of the bus.
//!
//! Needs `NSL_TEST_NATS_URL`, a server of the test's own with JetStream, and says so when it is absent; the pool's tests
//! also need the worker's program, built with the feature `development`, beside the host's.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod pool_site;
#[cfg(test)]
mod site;
#[cfg(test)]
mod story;
