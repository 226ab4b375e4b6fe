//! nsl-local-services
