//! What is decided. `decide(state, command, facts) → events | rejection` and `evolve(state, event)`, both pure: time,
//! ids and fetched facts arrive as arguments, so a replay decides the same and an auditor can decide again.
//!
//! One folder per aggregate, one file per command; `process` says what follows from events over time, one file per
//! process.

pub mod authority;
pub mod decision;
mod outcome;
pub mod price_feed;
pub mod process;
pub mod sealing;
pub mod secret;
#[cfg(test)]
mod test_world;
pub mod wallet;
pub mod worker;
