//! `nsl authority replace-quorum`

use clap::Args;
use nsl_schemas::authority::{OperatorAct, Quorum};
use nsl_schemas::nkey::PublicKey;

use super::operator_act;
use super::signing::Signing;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Let other operators sign from now on, signed by the old ones and by the new.
#[derive(Debug, Args)]
pub(crate) struct ReplaceQuorum {
    /// The new operators' keys (U…), all of them.
    #[arg(value_name = "KEY", required = true, value_parser = PublicKey::parse)]
    keys: Vec<PublicKey>,
    /// How many of them must sign.
    #[arg(long, value_name = "COUNT")]
    threshold: u8,
    /// End the roots of all tenants too, which must then be registered anew: where old operators' keys leaked.
    #[arg(long)]
    void_roots: bool,
    #[command(flatten)]
    signing: Signing,
}

impl ReplaceQuorum {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let Self { keys, threshold, void_roots, signing } = self;
        let quorum = Quorum { threshold, keys };
        if !quorum.is_sound() {
            return Err(Error::Input("the threshold cannot be met, or a key is named twice".to_owned()));
        }
        let act = |_: &_| Ok(OperatorAct::ReplaceQuorum { quorum, voids_roots: void_roots });
        operator_act(invocation, "replace-quorum", signing, act).await
    }
}
