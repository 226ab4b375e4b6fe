//! The enclave worker: the only code that holds keys.

pub mod nsm;
