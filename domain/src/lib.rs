//! nsl-domain
