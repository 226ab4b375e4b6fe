//! nsl-chain-relay
