//! Workers and hosts against a server that speaks AWS KMS' protocol: what they take from it, and what they refuse.
//!
//! `processes` needs `NSL_TEST_NATS_URL`, a server of the test's own with JetStream, and the programs of host and worker,
//! built with the feature `development`; it says so when they are absent.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod site;
#[cfg(test)]
mod transport;
