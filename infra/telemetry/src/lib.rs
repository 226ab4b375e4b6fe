//! nsl-telemetry
