//! What the operators decided, as far as this worker was shown: a host can withhold newer acts, but it can neither make one
//! up nor take back one that it showed. A worker works only while the acts allow its own build.

use std::sync::{Arc, PoisonError, RwLock};

use nsl_schemas::authority::{ActError, GenesisManifest, OperatorStatement, Operators, Signed};
use nsl_schemas::job::EnclaveJob;
use nsl_verify::attestation::Pcr;

/// Why no job can be judged now; newer acts may change that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotNow {
    /// The operators do not allow this build, or do no longer.
    #[error("the operators' acts that were shown do not allow this worker's build")]
    Build,
    /// The job's tenant root is of a quorum that was not shown yet.
    #[error("the operators' acts that were shown name no quorum {epoch}")]
    Epoch {
        /// The root's.
        epoch: u32,
    },
}

/// The acts that were shown, folded.
#[derive(Debug)]
pub(crate) struct Shown {
    /// PCR0 to PCR2 of this worker.
    measurements: [Pcr; 3],
    operators: RwLock<Arc<Operators>>,
}

impl Shown {
    /// What the manifest says alone.
    pub(crate) fn new(manifest: &GenesisManifest, measurements: [Pcr; 3]) -> Self {
        Self { measurements, operators: RwLock::new(Arc::new(Operators::of_genesis(manifest))) }
    }

    /// Checks and takes in the next acts; those that were shown before are passed over.
    pub(crate) fn follow(&self, acts: &[Signed<OperatorStatement>]) -> Result<Arc<Operators>, ActError> {
        let mut shown = self.operators.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = |act: &&Signed<OperatorStatement>| act.statement.sequence > shown.sequence();
        let mut operators = Operators::clone(&shown);
        let followed =
            acts.iter().filter(is_new).try_for_each(|act| operators.follow(std::slice::from_ref(act)));
        // Acts before the one that does not count were checked, so they stay.
        *shown = Arc::new(operators);
        followed.map(|()| Arc::clone(&shown))
    }

    /// What they decided, if that lets this worker work.
    pub(crate) fn if_allowed(&self) -> Result<Arc<Operators>, NotNow> {
        let operators = self.operators();
        let is_allowed = operators.builds().iter().any(|build| build.measurements() == self.measurements);
        if is_allowed { Ok(operators) } else { Err(NotNow::Build) }
    }

    /// What they decided, whatever that means for this worker.
    pub(crate) fn operators(&self) -> Arc<Operators> {
        Arc::clone(&self.operators.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// By what the job is judged.
    pub(crate) fn for_job(&self, job: &EnclaveJob) -> Result<Arc<Operators>, NotNow> {
        let operators = self.if_allowed()?;
        let epoch = job.authority.root.statement.epoch;
        if epoch > operators.epoch() { Err(NotNow::Epoch { epoch }) } else { Ok(operators) }
    }
}
