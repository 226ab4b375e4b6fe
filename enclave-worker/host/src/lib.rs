//! nsl-enclave-host
