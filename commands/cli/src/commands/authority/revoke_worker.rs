//! `nsl authority revoke-worker`

use clap::Args;
use nsl_schemas::authority::OperatorAct;
use nsl_schemas::nkey::PublicKey;

use super::operator_act;
use super::signing::Signing;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Take no more reports of a worker, signed by the operators.
#[derive(Debug, Args)]
pub(crate) struct RevokeWorker {
    /// The key that signs its outcomes (U…).
    #[arg(value_parser = PublicKey::parse)]
    key: PublicKey,
    #[command(flatten)]
    signing: Signing,
}

impl RevokeWorker {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let act = |_: &_| Ok(OperatorAct::RevokeWorker { key: self.key });
        operator_act(invocation, "revoke-worker", self.signing, act).await
    }
}
