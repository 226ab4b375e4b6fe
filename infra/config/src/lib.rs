//! nsl-config
