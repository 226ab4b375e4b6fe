//! nsl-event-store
