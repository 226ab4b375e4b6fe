//! Tests of the verifier, on documents made here and on real ones from `NSL_VECTORS_DIR`.

mod claims;
mod documents;
mod mutations;
mod pcrs;
mod refusals;
mod reports;
mod vectors;
mod wycheproof;
