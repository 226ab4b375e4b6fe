//! nsl-client
