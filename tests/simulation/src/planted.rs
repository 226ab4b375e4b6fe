//! Bugs that are put in on purpose: a simulation that cannot find them would find no others.

/// A bug in the ports around the processor, or in a reader; the processor's own code stays as it is shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// The bus takes a message off when it hands it out.
    AckBeforeCommit,
    /// The log says "recorded" before it is.
    AnswerBeforeCommit,
    /// The log ignores receipts.
    NoDedup,
    /// The log takes appends of an epoch that has moved.
    MissingFencing,
    /// A partition is kept although a command is refused whose append may still land.
    PartitionNotGivenUp,
    /// A processor does not see that its lease is another one, and decides on what it remembers.
    StaleCache,
    /// An append of unknown outcome counts as failed for good.
    UnknownAsFailure,
    /// An append of unknown outcome counts as done.
    UnknownAsSuccess,
    /// Rejections are told and not recorded.
    RejectionNotRecorded,
    /// A takeover goes on where the former owner's consumer was.
    ConsumerNotRecreated,
    /// Positions are given before the commit, so they are not committed in order, and readers look behind the last.
    ReaderById,
    /// A read model writes its checkpoint after its view, not with it.
    CheckpointOutside,
    /// A reader drops events that it does not know.
    DropUnknown,
}

impl Planted {
    /// Every one.
    pub const ALL: [Self; 13] = [
        Self::AckBeforeCommit,
        Self::AnswerBeforeCommit,
        Self::NoDedup,
        Self::MissingFencing,
        Self::PartitionNotGivenUp,
        Self::StaleCache,
        Self::UnknownAsFailure,
        Self::UnknownAsSuccess,
        Self::RejectionNotRecorded,
        Self::ConsumerNotRecreated,
        Self::ReaderById,
        Self::CheckpointOutside,
        Self::DropUnknown,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::AckBeforeCommit => "ack-before-commit",
            Self::AnswerBeforeCommit => "answer-before-commit",
            Self::NoDedup => "no-dedup",
            Self::MissingFencing => "missing-fencing",
            Self::PartitionNotGivenUp => "partition-not-given-up",
            Self::StaleCache => "stale-cache",
            Self::UnknownAsFailure => "unknown-as-failure",
            Self::UnknownAsSuccess => "unknown-as-success",
            Self::RejectionNotRecorded => "rejection-not-recorded",
            Self::ConsumerNotRecreated => "consumer-not-recreated",
            Self::ReaderById => "reader-by-id",
            Self::CheckpointOutside => "checkpoint-outside-transaction",
            Self::DropUnknown => "drop-unknown-event",
        }
    }
}
