//! nsl-enclave-protocol
