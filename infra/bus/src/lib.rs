//! nsl-bus
