//! nsl-cli
