//! `nsl authority revoke-build`

use clap::Args;
use nsl_schemas::authority::{OperatorAct, Operators};

use super::operator_act;
use super::signing::Signing;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Let a measured build hold keys no longer, signed by the operators.
#[derive(Debug, Args)]
pub(crate) struct RevokeBuild {
    /// Its PCR0, or its name where that names one build only; `nsl authority show` lists both.
    #[arg(value_name = "BUILD")]
    build: String,
    #[command(flatten)]
    signing: Signing,
}

impl RevokeBuild {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let Self { build: named, signing } = self;
        let act = |operators: &Operators| {
            let is_named = |pcr0: String, name: &str| pcr0 == named || name == named;
            let mut found =
                operators.builds().iter().filter(|build| is_named(build.pcr0.to_string(), &build.name));
            match (found.next(), found.next()) {
                (Some(build), None) => Ok(OperatorAct::RevokeBuild { build: build.clone() }),
                (None, _) => Err(Error::Input(format!("no allowed build is called or measured {named:?}"))),
                (Some(_), Some(_)) => Err(Error::Input(format!("several builds are called {named:?}"))),
            }
        };
        operator_act(invocation, "revoke-build", signing, act).await
    }
}
