//! What the operators decide after the genesis: which builds may hold keys, which workers no longer count, who the
//! operators are.
//!
//! Acts form a chain: each is signed by the quorum of its epoch, counts up, and names the hash of the one before it, the
//! first the manifest's. So whoever is shown acts can check that none is missing *between* them, that none is old, and
//! that all are the operators'; what nobody can see is whether newer ones are withheld.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    BUILDS_MAX, Build, ChainError, GenesisManifest, Quorum, SealingProvider, Signed, Statement, TenantRoot,
};
use crate::bytes::Sha256;
use crate::canonical;
use crate::nkey::PublicKey;
use crate::pool_view::{PoolView, VIEWS_PER_ACT};

/// What the signed bytes of an act begin with.
pub const OPERATOR_ACT_TAG: &str = "nsl-operator-act-v1";
/// Most acts of a log: every worker is told all of them when it starts.
pub const ACTS_MAX: u32 = 10_000;

/// What the operators do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum OperatorAct {
    /// A measured build may hold keys.
    AllowBuild {
        /// Which.
        build: Build,
    },
    /// A measured build may no longer hold keys; what its workers report is not taken any more.
    RevokeBuild {
        /// Which, by its measurements.
        build: Build,
    },
    /// What a worker reports is not taken any more.
    RevokeWorker {
        /// The key that signs its outcomes.
        key: PublicKey,
    },
    /// Other operators sign from now on. The new quorum signs this act beside the old one: one that cannot sign would
    /// lock everybody out.
    ReplaceQuorum {
        /// Who.
        quorum: Quorum,
        /// Whether the tenant roots of all earlier quorums end, and must be registered anew: for keys that leaked.
        voids_roots: bool,
    },
    /// These workers endorse reservations from now on, from heads that the operators vouch for: the first, and again
    /// when a majority of the workers before them is lost.
    EstablishPool {
        /// Where in the log the heads were read: each wallet's last reservation up to this position.
        #[serde(deserialize_with = "crate::number::below_2_pow_53")]
        heads_position: u64,
        /// Who, and from which heads on.
        view: PoolView,
    },
}

/// An act with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OperatorStatement {
    /// What is done.
    pub act: OperatorAct,
    /// Which quorum signs.
    pub epoch: u32,
    /// The log it is for.
    pub genesis_sha256: Sha256,
    /// Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub issued_at_ms: u64,
    /// The hash of the act before it; of the manifest for the first.
    pub previous_sha256: Sha256,
    /// Counts the acts, from 1.
    pub sequence: u32,
}

impl Statement for OperatorStatement {
    const TAG: &'static str = OPERATOR_ACT_TAG;
}

/// Declares the payloads of commands that do an act of the operators, or of events that record one.
macro_rules! operator_acts {
    ($act:literal in $($name:ident = $wire:literal),+ $(,)?) => {$(
        #[doc = concat!("`", $wire, "`.")]
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub struct $name {
            #[doc = $act]
            pub act: $crate::authority::Signed<$crate::authority::OperatorStatement>,
        }
    )+};
}
pub(crate) use operator_acts;

/// Why an act does not count. The order is the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// For another log.
    #[error("the act is for another genesis manifest")]
    OtherGenesis,
    /// Made when the operators were others, or will be.
    #[error("the act is of epoch {found}, the operators' is {expected}")]
    Epoch {
        /// The present one.
        expected: u32,
        /// The act's.
        found: u32,
    },
    /// Made before another act, or after one that is not here.
    #[error("the act is number {found}, the next is {expected}")]
    Sequence {
        /// The next.
        expected: u32,
        /// The act's.
        found: u32,
    },
    /// Made after another act than the last one.
    #[error("the act does not follow the last one")]
    Previous,
    /// Too few of the operators signed.
    #[error("the act is not signed by the operators' quorum")]
    Quorum,
    /// Too few of the new operators signed.
    #[error("the new quorum did not sign its own beginning")]
    NewQuorum,
    /// The new quorum cannot be met.
    #[error("the new quorum cannot be met, or names a key twice")]
    QuorumUnsound,
    /// It is allowed.
    #[error("the build is allowed already")]
    BuildAllowed,
    /// It is not allowed.
    #[error("no such build is allowed")]
    BuildUnknown,
    /// It was revoked before.
    #[error("the worker was revoked before")]
    WorkerRevoked,
    /// Too many builds.
    #[error("at most {BUILDS_MAX} builds are allowed at a time")]
    Builds,
    /// No majority can be had of it, or it is not in its only form.
    #[error("the pool's members are none, too many, or not in order, or the view is of another log")]
    ViewUnsound,
    /// It might be taken for one that followed the last without the operators.
    #[error("the pool's view is number {found}, the operators' next is {expected}")]
    ViewNumber {
        /// The next.
        expected: u32,
        /// The view's.
        found: u32,
    },
    /// Too many acts.
    #[error("a log has at most {ACTS_MAX} acts of its operators")]
    Acts,
}

/// What manifest and acts come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operators {
    genesis_sha256: Sha256,
    sealing_provider: SealingProvider,
    /// By epoch; the last one signs.
    quorums: Vec<Quorum>,
    /// What quorums of earlier epochs signed, tenant roots and orders of sealing keys, is void.
    roots_from_epoch: u32,
    builds: Vec<Build>,
    revoked_workers: BTreeSet<PublicKey>,
    pool: Option<EstablishedPool>,
    sequence: u32,
    head_sha256: Sha256,
}

/// The pool that the operators established last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EstablishedPool {
    /// Where in the log its heads were read.
    pub heads_position: u64,
    /// Its members; others may have followed them since.
    pub view: PoolView,
}

impl Operators {
    /// Before the first act.
    pub fn of_genesis(manifest: &GenesisManifest) -> Self {
        let genesis_sha256 = manifest.sha256();
        Self {
            genesis_sha256,
            sealing_provider: manifest.sealing_provider.clone(),
            quorums: vec![manifest.quorum.clone()],
            roots_from_epoch: 0,
            builds: manifest.builds.clone(),
            revoked_workers: BTreeSet::new(),
            pool: None,
            sequence: 0,
            head_sha256: genesis_sha256,
        }
    }

    /// Checks the next act, signatures and all.
    pub fn check(&self, act: &Signed<OperatorStatement>) -> Result<(), ActError> {
        let statement = &act.statement;
        if statement.genesis_sha256 != self.genesis_sha256 {
            return Err(ActError::OtherGenesis);
        }
        if statement.epoch != self.epoch() {
            return Err(ActError::Epoch { expected: self.epoch(), found: statement.epoch });
        }
        if statement.sequence != self.next_sequence() {
            return Err(ActError::Sequence { expected: self.next_sequence(), found: statement.sequence });
        }
        if statement.previous_sha256 != self.head_sha256 {
            return Err(ActError::Previous);
        }
        if !act.is_signed_by(self.quorum()) {
            return Err(ActError::Quorum);
        }
        if statement.sequence > ACTS_MAX {
            return Err(ActError::Acts);
        }
        self.check_act(act)
    }

    fn check_act(&self, act: &Signed<OperatorStatement>) -> Result<(), ActError> {
        let refused = match &act.statement.act {
            OperatorAct::AllowBuild { build } if self.allows(build) => ActError::BuildAllowed,
            OperatorAct::AllowBuild { .. } if self.builds.len() >= BUILDS_MAX => ActError::Builds,
            OperatorAct::RevokeBuild { build } if !self.allows(build) => ActError::BuildUnknown,
            OperatorAct::RevokeWorker { key } if self.is_revoked(key) => ActError::WorkerRevoked,
            OperatorAct::ReplaceQuorum { quorum, .. } if !quorum.is_sound() => ActError::QuorumUnsound,
            OperatorAct::ReplaceQuorum { quorum, .. } if !act.is_signed_by(quorum) => ActError::NewQuorum,
            OperatorAct::EstablishPool { view, .. } => return self.check_view(view),
            OperatorAct::AllowBuild { .. }
            | OperatorAct::RevokeBuild { .. }
            | OperatorAct::RevokeWorker { .. }
            | OperatorAct::ReplaceQuorum { .. } => return Ok(()),
        };
        Err(refused)
    }

    fn check_view(&self, view: &PoolView) -> Result<(), ActError> {
        if !view.is_sound() || view.genesis_sha256 != self.genesis_sha256 {
            return Err(ActError::ViewUnsound);
        }
        let (expected, found) = (self.next_view_number(), view.number);
        if found != expected {
            return Err(ActError::ViewNumber { expected, found });
        }
        if view.members.iter().any(|key| self.is_revoked(key)) {
            return Err(ActError::WorkerRevoked);
        }
        Ok(())
    }

    /// Applies an act that was checked when it was recorded.
    pub fn apply(&mut self, statement: &OperatorStatement) {
        self.sequence = statement.sequence;
        self.head_sha256 = canonical::sha256(statement);
        match &statement.act {
            OperatorAct::AllowBuild { build } => self.builds.push(build.clone()),
            OperatorAct::RevokeBuild { build } => {
                self.builds.retain(|allowed| allowed.measurements() != build.measurements());
            }
            OperatorAct::RevokeWorker { key } => {
                self.revoked_workers.insert(*key);
            }
            OperatorAct::ReplaceQuorum { quorum, voids_roots } => {
                self.quorums.push(quorum.clone());
                if *voids_roots {
                    self.roots_from_epoch = self.epoch();
                }
            }
            OperatorAct::EstablishPool { heads_position, view } => {
                self.pool = Some(EstablishedPool { heads_position: *heads_position, view: view.clone() });
            }
        }
    }

    /// Checks and applies acts in their order; the first that does not count ends it, and those before it stay.
    pub fn follow(&mut self, acts: &[Signed<OperatorStatement>]) -> Result<(), ActError> {
        acts.iter().try_for_each(|act| {
            self.check(act)?;
            self.apply(&act.statement);
            Ok(())
        })
    }

    /// Whether the root counts: named by the quorum of its epoch, and not voided since.
    pub fn check_root(&self, root: &Signed<TenantRoot>) -> Result<(), ChainError> {
        let statement = &root.statement;
        if statement.genesis_sha256 != self.genesis_sha256 {
            return Err(ChainError::OtherGenesis);
        }
        if !self.keeps_root(statement) {
            return Err(ChainError::RootVoid);
        }
        match self.quorum_of(statement.epoch) {
            None => Err(ChainError::EpochUnknown),
            Some(quorum) if root.is_signed_by(quorum) => Ok(()),
            Some(_) => Err(ChainError::Root),
        }
    }

    /// The quorum of an epoch, unless what it signed was voided.
    pub fn quorum_of(&self, epoch: u32) -> Option<&Quorum> {
        let quorum = usize::try_from(epoch).ok().and_then(|epoch| self.quorums.get(epoch));
        quorum.filter(|_| epoch >= self.roots_from_epoch)
    }

    /// Where workers get their sealing keys.
    pub fn sealing_provider(&self) -> &SealingProvider {
        &self.sealing_provider
    }

    /// Whether the recorded root still counts; its signatures were checked when it was recorded.
    pub fn keeps_root(&self, root: &TenantRoot) -> bool {
        root.epoch >= self.roots_from_epoch
    }

    /// The statement that would do `act` next.
    pub fn next(&self, act: OperatorAct, issued_at_ms: u64) -> OperatorStatement {
        OperatorStatement {
            act,
            epoch: self.epoch(),
            genesis_sha256: self.genesis_sha256,
            issued_at_ms,
            previous_sha256: self.head_sha256,
            sequence: self.next_sequence(),
        }
    }

    /// The log.
    pub fn genesis_sha256(&self) -> Sha256 {
        self.genesis_sha256
    }

    /// Counts the quorums, from 0.
    pub fn epoch(&self) -> u32 {
        // A quorum is replaced by an act, and acts are bounded.
        u32::try_from(self.quorums.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Who signs.
    pub fn quorum(&self) -> &Quorum {
        self.quorums.last().expect("the first quorum is the manifest's, and none is taken away")
    }

    /// The builds that may hold keys.
    pub fn builds(&self) -> &[Build] {
        &self.builds
    }

    /// The workers that no longer count.
    pub fn revoked_workers(&self) -> &BTreeSet<PublicKey> {
        &self.revoked_workers
    }

    /// The pool that they established last, if any.
    pub fn pool(&self) -> Option<&EstablishedPool> {
        self.pool.as_ref()
    }

    /// The number of the next view that they establish: beyond all that can follow the last one without them.
    pub fn next_view_number(&self) -> u32 {
        self.pool.as_ref().map_or(1, |pool| pool.view.number.saturating_add(VIEWS_PER_ACT))
    }

    /// How many acts there are.
    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    /// The hash of the last act, or of the manifest.
    pub fn head_sha256(&self) -> Sha256 {
        self.head_sha256
    }

    /// Whether this worker was revoked.
    pub fn is_revoked(&self, key: &PublicKey) -> bool {
        self.revoked_workers.contains(key)
    }

    fn allows(&self, build: &Build) -> bool {
        self.builds.iter().any(|allowed| allowed.measurements() == build.measurements())
    }

    fn next_sequence(&self) -> u32 {
        self.sequence.saturating_add(1)
    }
}

#[cfg(test)]
mod tests;
