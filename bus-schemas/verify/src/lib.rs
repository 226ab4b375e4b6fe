//! nsl-verify
