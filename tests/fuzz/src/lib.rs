//! Every decoder of untrusted bytes, as a function that must return for any input: without a panic, in bounded time and
//! memory, and with the same bytes again where a form is canonical. The normal test run drives each with mutated samples,
//! libFuzzer (`cargo dev fuzz`) with what its coverage makes of them.

mod samples;
mod targets;

pub use samples::samples;
pub use targets::{TARGETS, Target, find};
