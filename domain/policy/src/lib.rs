//! nsl-policy
