//! nsl-tests
