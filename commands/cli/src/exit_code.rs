//! How `nsl` ends, for scripts. A number keeps its meaning for ever.

/// The exit codes of `nsl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done.
    Ok = 0,
    /// Failed for a reason that has no code of its own here, as a file that cannot be read.
    Failed = 1,
    /// The command line or a value in it is not understood.
    Usage = 2,
    /// A proof, an attestation or a signature does not hold. Trust nothing that was shown.
    VerificationFailed = 3,
    /// Credentials or authority are missing.
    Denied = 4,
    /// There is no such thing.
    NotFound = 5,
    /// A rule said no, or somebody was first. The same again gets the same answer.
    Rejected = 6,
    /// The service cannot be reached or is too busy. The same again may help.
    Unavailable = 7,
    /// It may have happened. Send the same command again under the same id to learn it.
    OutcomeUnknown = 8,
    /// A bug in `nsl`.
    Bug = 70,
    /// Interrupted by Ctrl-C.
    Interrupted = 130,
}

impl ExitCode {
    /// Every code with its meaning, as `nsl help exit-codes` shows them.
    pub const MEANINGS: [(Self, &'static str); 11] = [
        (Self::Ok, "done"),
        (Self::Failed, "failed, for example a file that cannot be read"),
        (Self::Usage, "the command line or a value in it is not understood"),
        (Self::VerificationFailed, "a proof, an attestation or a signature does not hold"),
        (Self::Denied, "credentials or authority are missing"),
        (Self::NotFound, "there is no such thing"),
        (Self::Rejected, "a rule said no, or somebody was first; the same again gets the same answer"),
        (Self::Unavailable, "not reachable or too busy; the same again may help"),
        (Self::OutcomeUnknown, "it may have happened; run the same again with --id to learn it"),
        (Self::Bug, "a bug in nsl"),
        (Self::Interrupted, "interrupted by Ctrl-C"),
    ];

    /// The number that the shell sees.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}
