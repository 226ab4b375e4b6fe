//! `nsl secret get`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use nsl_client::secret::Reading;
use nsl_schemas::authority::Signed;
use nsl_schemas::token::AggregateId;

use super::{named, seeds, shown, signers};
use crate::error::Error;
use crate::files;
use crate::outcome::{Outcome, SecretRead};
use crate::session::Invocation;
use crate::shell::Shell;

/// For how long readers let themselves be answered: longer than this program waits by default, and no longer than an
/// answer is of use.
const READING_LIFE: Duration = Duration::from_mins(10);

/// Read a secret.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// Its name.
    secret: AggregateId,
    /// A new file for the secret, that only you can read; without it, the secret goes to standard output as it is.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The seed file of a reader; repeat it until the readers' quorum is met. By default the context's issuer signs.
    #[arg(long, value_name = "FILE")]
    reader_seed: Vec<PathBuf>,
}

impl Get {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let Self { secret, out, reader_seed } = self;
        if out.is_none() && invocation.shell.is_json() {
            return Err(Error::Input("a secret is no JSON: name a file for it with --out".to_owned()));
        }
        let session = invocation.connect().await?;
        let genesis = session.genesis()?.statement;
        let operators = session.client.operators(&genesis).await?;
        let present = shown(&session, &secret).await?;
        let name = named(&session, &secret, genesis.sha256());
        let reading = Reading::new(name, present.version, present.policy.sha256(), READING_LIFE)?;
        let readers = seeds(&reader_seed)?;
        let signed = Signed::sign(reading.statement().clone(), &signers(&session, &readers)?);
        // Not kept to be sent again: the key that opens the answer ends with this run.
        let result = session.client.send(&session.client.prepare_reveal(signed)?).await?;
        let (from, limit) = (result.first_position, invocation.timeout());
        let read = session.client.await_secret(&reading, &genesis, &operators, from, limit).await?;
        let Some(file) = out else {
            Shell::bytes(&read.content)?;
            return Ok(Outcome::Streamed);
        };
        files::write_new_private(&file, &read.content)?;
        let (bytes, version) = (read.content.len(), present.version);
        Ok(Outcome::SecretRead(SecretRead { secret, version, file, bytes, position: read.position }))
    }
}
