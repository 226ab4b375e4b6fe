//! What is done next for one transaction, from what node and chain have said so far. Pure: the driver asks and waits.
//!
//! A transaction ends in a block, or in no block after its last one. It is expired only when a later block was seen
//! and the node, asked after that, knows it in none. The last two phases are final.

use nsl_neo_rpc::{KnownWhere, Submission};

/// Longest reason that is reported; the wallet takes no longer one.
pub(crate) const REASON_BYTES_MAX: usize = 1024;

/// After how many blocks an accepted transaction that is in none is submitted again: nodes forget their pools when
/// they restart.
const RESUBMIT_BLOCKS: u32 = 5;

/// Longest wait after repeated refusals; the first is one block, and each doubles.
const REFUSED_BLOCKS_MAX: u32 = 16;

/// NEP-23: the transaction's last block has passed, or lies too far ahead.
const CODE_EXPIRED: i64 = -510;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask in which block it is.
    LookUp,
    /// Submit the bytes.
    Submit,
    /// Wait for the next block.
    AwaitBlock,
    /// The node gave no usable answer so many times in a row: wait a little.
    AwaitRetry { failures: u32 },
    /// This block holds it.
    Confirm { block_index: u32 },
    /// No block can hold it any more.
    Expire(Expiry),
}

/// The end of a transaction that is in no block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// The block after its last one, or a later one, that was seen.
    pub(crate) block_index: u32,
    /// Why the node refused it, if it did.
    pub(crate) reason: Option<String>,
}

/// What became known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// A block exists.
    Block { index: u32, holds_it: bool },
    /// The answer to [`Step::LookUp`].
    Height(Option<u32>),
    /// The answer to [`Step::Submit`].
    Submission(Submission),
    /// Neither answered.
    NoAnswer,
    /// The wait of [`Step::AwaitRetry`] is over.
    RetryDue,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// `as_of`: the highest block that was known when the question was put.
    LookUp {
        as_of: u32,
    },
    Submit,
    Watch {
        submit_again_at: u32,
    },
    Pause,
    Confirm {
        block_index: u32,
    },
    Expire {
        block_index: u32,
    },
}

/// One transaction's way.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    valid_until_block: u32,
    /// The highest block that is known to exist.
    tip: u32,
    phase: Phase,
    failures: u32,
    refusals: u32,
    reason: Option<Refusal>,
}

#[derive(Debug)]
struct Refusal {
    code: i64,
    text: String,
}

impl Lifecycle {
    /// Begins with a look-up: the transaction may be an earlier run's, and on chain.
    pub(crate) fn new(valid_until_block: u32, tip: u32) -> Self {
        let phase = Phase::LookUp { as_of: tip };
        Self { valid_until_block, tip, phase, failures: 0, refusals: 0, reason: None }
    }

    /// What to do now.
    pub(crate) fn step(&self) -> Step {
        match self.phase {
            Phase::LookUp { .. } => Step::LookUp,
            Phase::Submit => Step::Submit,
            Phase::Watch { .. } => Step::AwaitBlock,
            Phase::Pause => Step::AwaitRetry { failures: self.failures },
            Phase::Confirm { block_index } => Step::Confirm { block_index },
            Phase::Expire { block_index } => {
                let reason = self.reason.as_ref().map(|refusal| refusal.text.clone());
                Step::Expire(Expiry { block_index, reason })
            }
        }
    }

    /// Takes in what became known; an answer to a question that is no longer open says nothing.
    pub(crate) fn take(&mut self, input: Input) {
        match (&self.phase, input) {
            (Phase::Confirm { .. } | Phase::Expire { .. }, _) => {}
            (_, Input::Block { index, holds_it: true }) => self.phase = Phase::Confirm { block_index: index },
            (_, Input::Block { index, holds_it: false }) => self.pass(index),
            (Phase::LookUp { as_of }, Input::Height(height)) => self.look_up(*as_of, height),
            (Phase::Submit, Input::Submission(submission)) => self.submit(submission),
            (Phase::LookUp { .. } | Phase::Submit, Input::NoAnswer) => self.pause(),
            (Phase::Pause, Input::RetryDue) => self.phase = Phase::LookUp { as_of: self.tip },
            _ => {}
        }
    }

    fn pass(&mut self, index: u32) {
        self.tip = self.tip.max(index);
        if let Phase::Watch { submit_again_at } = self.phase
            && (self.tip > self.valid_until_block || self.tip >= submit_again_at)
        {
            self.proceed();
        }
    }

    fn look_up(&mut self, as_of: u32, height: Option<u32>) {
        self.failures = 0;
        match height {
            Some(block_index) => self.phase = Phase::Confirm { block_index },
            None if as_of > self.valid_until_block => self.phase = Phase::Expire { block_index: as_of },
            None => self.proceed(),
        }
    }

    fn submit(&mut self, submission: Submission) {
        self.failures = 0;
        match submission {
            Submission::Accepted | Submission::AlreadyKnown(KnownWhere::Pool) => {
                self.refusals = 0;
                self.reason = None;
                self.watch(RESUBMIT_BLOCKS);
            }
            // It was looked up just now: after a pause the node will say where it is.
            Submission::AlreadyKnown(KnownWhere::Chain) => self.pause(),
            Submission::PoolFull => self.watch(1),
            Submission::Rejected { code, message } => self.refuse(code, &message),
        }
    }

    /// A refusal can pass: funds arrive, a conflicting transaction expires. So it is kept, and tried again.
    fn refuse(&mut self, code: i64, message: &str) {
        // That it is too late now does not explain why it was not taken in time.
        if code != CODE_EXPIRED || self.reason.as_ref().is_none_or(|earlier| earlier.code == CODE_EXPIRED) {
            self.reason = Some(Refusal { code, text: cut(format!("{message} ({code})")) });
        }
        let blocks = 1_u32.checked_shl(self.refusals).unwrap_or(REFUSED_BLOCKS_MAX).min(REFUSED_BLOCKS_MAX);
        self.refusals = self.refusals.saturating_add(1);
        self.watch(blocks);
    }

    fn watch(&mut self, blocks: u32) {
        self.phase = Phase::Watch { submit_again_at: self.tip.saturating_add(blocks) };
        // Blocks may have passed while the node was asked.
        self.pass(self.tip);
    }

    fn pause(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Pause;
    }

    fn proceed(&mut self) {
        self.phase = match self.tip.cmp(&self.valid_until_block) {
            // The next block may hold it.
            std::cmp::Ordering::Less => Phase::Submit,
            // Its last block is known and does not hold it, as far as was seen; only a later one settles that.
            std::cmp::Ordering::Equal => Phase::Watch { submit_again_at: u32::MAX },
            std::cmp::Ordering::Greater => Phase::LookUp { as_of: self.tip },
        };
    }
}

/// Cuts a text of a node to what a report may hold.
pub(crate) fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(REASON_BYTES_MAX));
    text
}

#[cfg(test)]
mod tests;
