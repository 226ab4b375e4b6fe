//! nsl-neo
