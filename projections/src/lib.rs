//! nsl-projections
