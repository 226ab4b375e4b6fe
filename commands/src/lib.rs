//! nsl-commands
