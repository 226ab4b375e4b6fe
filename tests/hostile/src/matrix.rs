//! What is tried, what should come of it, and what did.

use std::fmt;

use futures::future::LocalBoxFuture;
use nsl_enclave_protocol::Response;
use nsl_schemas::authority::SealingProvider;
use nsl_schemas::outcome::JobResult;

use crate::parent::Parent;

/// What the policy of the attacked wallet demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Rules that a transaction keeps or breaks alone.
    Stateless,
    /// Rules that count, for which every signature is withheld until it is proven to be counted.
    Withheld,
    /// Whatever the policy: the attack is not on a wallet.
    Any,
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Stateless => "stateless",
            Self::Withheld => "withheld",
            Self::Any => "any",
        })
    }
}

/// What an attack came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Whoever was asked said no, and gave nothing.
    Refused,
    /// Something was given that claims to be more than it is, and whoever it is for sees that.
    Detected,
    /// A signature over the very transaction that the client ordered and the policy allows: nothing that was not given.
    SameTransaction,
    /// The parent has what it must not have, or somebody believes what is not so.
    Accepted,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Refused => "refused",
            Self::Detected => "detected",
            Self::SameTransaction => "same transaction",
            Self::Accepted => "ACCEPTED",
        })
    }
}

/// What an attack came to, and what said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it ended.
    pub verdict: Verdict,
    /// The code of the error; where something was accepted, what.
    pub by: String,
}

impl Finding {
    pub(crate) fn new(verdict: Verdict, by: impl Into<String>) -> Self {
        Self { verdict, by: by.into() }
    }

    pub(crate) fn accepted(what: impl Into<String>) -> Self {
        Self::new(Verdict::Accepted, what)
    }

    /// Of a judge that answers `Ok` to what it believes.
    pub(crate) fn of<T, E: fmt::Display>(judged: Result<T, E>, believed: &str) -> Self {
        match judged {
            Ok(_) => Self::accepted(believed),
            Err(error) => Self::new(Verdict::Detected, error.to_string()),
        }
    }

    /// Of a worker's answer: whatever is no refusal was given.
    pub(crate) fn of_worker(answer: &Response) -> Self {
        let given = match answer {
            Response::Error { code, .. } => return Self::new(Verdict::Refused, code),
            Response::Outcome { outcome } => match &outcome.result {
                JobResult::Refused { code, .. } => return Self::new(Verdict::Refused, code),
                JobResult::KeyCreated { .. } => "a key",
                JobResult::PolicyReplaced { .. } => "a key sealed anew",
                JobResult::TransferReserved { .. } => "a reservation",
                JobResult::TransferSigned { .. } => "a signature",
                JobResult::SecretSealed { .. } => "a secret sealed anew",
                JobResult::SecretRevealed { .. } => "a secret",
            },
            Response::Description { .. } => "a description",
            Response::Registration { .. } => "a registration",
            Response::Following { .. } => "follows",
            Response::Endorsed { .. } => "an endorsement",
            Response::Pool { .. } => "an answer about the pool's view",
            Response::PoolKey { .. } => "the pool's key",
            Response::Sealing { .. } => "an answer about sealing keys",
        };
        Self::accepted(given)
    }
}

/// What should come of an attack.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// How it should end.
    pub verdict: Verdict,
    /// What should say so: the beginning of [`Finding::by`].
    pub by: &'static str,
    /// The file that does it.
    pub place: &'static str,
}

/// One attack.
pub struct Attack {
    /// What the parent does.
    pub name: &'static str,
    /// On wallets of which modes.
    pub modes: &'static [Mode],
    /// What should come of it.
    pub expected: Expected,
    /// Whether it is none, but the same path without a lie: where that is not accepted, no refusal means anything.
    pub is_control: bool,
    /// Tries it.
    pub(crate) attempt: Attempt,
}

/// Tries an attack on a wallet of a mode.
pub(crate) type Attempt = for<'a> fn(&'a Parent, Mode) -> LocalBoxFuture<'a, anyhow::Result<Finding>>;

/// Attacks on one thing.
pub struct Family {
    /// On what.
    pub name: &'static str,
    /// Where the workers of its site have their sealing keys from.
    pub sealing_provider: SealingProvider,
    /// What is tried.
    pub attacks: &'static [Attack],
}

/// One attack, tried.
pub struct Row {
    /// Of which family.
    pub family: &'static str,
    /// Which.
    pub attack: &'static Attack,
    /// On a wallet of which mode.
    pub mode: Mode,
    /// What came of it.
    pub finding: Finding,
}

impl Row {
    /// Whether it ended as it should.
    pub fn is_as_expected(&self) -> bool {
        let Expected { verdict, by, .. } = self.attack.expected;
        self.finding.verdict == verdict && self.finding.by.starts_with(by)
    }

    /// Whether the parent has what it must not have.
    pub fn is_accepted(&self) -> bool {
        !self.attack.is_control && self.finding.verdict == Verdict::Accepted
    }

    /// For machines.
    pub fn to_json(&self) -> serde_json::Value {
        let Self { family, attack, mode, finding } = self;
        serde_json::json!({
            "family": family, "attack": attack.name, "mode": mode.to_string(), "control": attack.is_control,
            "verdict": finding.verdict.to_string().to_lowercase(), "by": finding.by,
            "place": attack.expected.place, "as_expected": self.is_as_expected(),
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, attack, mode, finding } = self;
        let Expected { verdict, by, place } = attack.expected;
        let name = if attack.is_control { &format!("control: {}", attack.name) } else { attack.name };
        let is_given = attack.is_control && finding.verdict == Verdict::Accepted;
        let found = if is_given { "given".to_owned() } else { finding.verdict.to_string() };
        write!(formatter, "{family:<12} {name:<70} {mode:<9} {found:<16} {} [{place}]", finding.by)?;
        if self.is_as_expected() { Ok(()) } else { write!(formatter, "  EXPECTED {verdict} {by}") }
    }
}

/// All that was tried.
#[derive(Default)]
pub struct Matrix {
    /// In the order of the families.
    pub rows: Vec<Row>,
}

impl Matrix {
    /// How many attacks, controls apart, ended so in wallets of these modes.
    pub fn count(&self, verdict: Verdict, modes: &[Mode]) -> usize {
        let is_one = |row: &&Row| {
            !row.attack.is_control && row.finding.verdict == verdict && modes.contains(&row.mode)
        };
        self.rows.iter().filter(is_one).count()
    }

    /// The rows that did not end as they should.
    pub fn unexpected(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.is_as_expected())
    }

    /// Whether nothing was accepted, and every row ended as it should.
    pub fn holds(&self) -> bool {
        self.unexpected().next().is_none() && !self.rows.iter().any(Row::is_accepted)
    }
}
