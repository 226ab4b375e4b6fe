//! nsl-schemas
