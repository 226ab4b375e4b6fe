//! How a command ended, as its exit code.

use std::process::ExitCode;

/// The end of a command; the numbers are a contract with scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Failed,
    NotFound,
    Conflict,
    Interrupted,
}

impl Outcome {
    pub(crate) const HELP: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 5 nothing there (not running, no \
        such log), 6 in conflict with what runs or needs --yes, 130 interrupted";
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::NotFound => 5,
            Outcome::Conflict => 6,
            Outcome::Interrupted => 130,
        })
    }
}
