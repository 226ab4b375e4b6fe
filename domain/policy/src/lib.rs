//! Signing policy: whether a policy is sound, what it allows, and which transaction a command means. Pure: the command
//! side asks it to answer early, the enclave asks it again and trusts only itself.

mod approval;
mod delay;
mod evaluate;
mod rules;
mod sound;
#[cfg(test)]
mod test_policy;
pub mod transaction;
mod window;
mod window_counters;

pub use approval::{ApprovedRequest, approval_rule, check_approval, check_approvals};
pub use delay::{policy_change_from_ms, sign_from_ms};
pub use evaluate::{Denied, TransferFacts, evaluate};
pub use sound::{Unsound, check_sound};
pub use window::BUCKETS;
pub use window_counters::{Spend, reserve};
