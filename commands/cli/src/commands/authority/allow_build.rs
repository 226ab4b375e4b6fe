//! `nsl authority allow-build`

use std::path::PathBuf;

use clap::Args;
use nsl_schemas::authority::OperatorAct;

use super::operator_act;
use super::signing::Signing;
use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Let a measured build of the worker hold keys, signed by the operators.
#[derive(Debug, Args)]
pub(crate) struct AllowBuild {
    /// Its name and measurements as JSON, as the build of an image writes them.
    #[arg(value_name = "BUILD")]
    build: PathBuf,
    #[command(flatten)]
    signing: Signing,
}

impl AllowBuild {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let build = files::read_build(&self.build)?;
        let act = |_: &_| Ok(OperatorAct::AllowBuild { build });
        operator_act(invocation, "allow-build", self.signing, act).await
    }
}
