//! nsl-neo-rpc
