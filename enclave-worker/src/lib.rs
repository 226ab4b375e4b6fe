//! nsl-enclave-worker
