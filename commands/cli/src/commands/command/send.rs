//! `nsl command send`

use std::path::PathBuf;

use clap::Args;
use nsl_client::Prepared;
use nsl_schemas::envelope::PAYLOAD_BYTES_MAX;
use nsl_schemas::subject::CommandSubject;
use uuid::Uuid;

use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::session::{Invocation, Session};

/// Sign and send a payload as it is.
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// nsl.v1.cmd.<tenant>.<aggregate>.<id>.<verb>
    #[arg(value_parser = CommandSubject::parse)]
    subject: CommandSubject,
    /// The payload; - is standard input.
    #[arg(long, value_name = "FILE", default_value = files::STDIN)]
    file: PathBuf,
    /// The command's id; that of a command that was sent before sends it again.
    #[arg(long)]
    id: Option<Uuid>,
}

impl Send {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let Self { subject, file, id } = self;
        let session = invocation.connect().await?;
        let prepared = match session.kept(id, &subject)? {
            Some(prepared) => prepared,
            None => prepare(&session, &subject, file, id).await?,
        };
        let result = session.deliver(&prepared).await?;
        Ok(Outcome::CommandAccepted { command: result.into() })
    }
}

async fn prepare(
    session: &Session<'_>,
    subject: &CommandSubject,
    file: PathBuf,
    id: Option<Uuid>,
) -> Result<Prepared, Error> {
    let payload = read_payload(file).await?;
    Ok(session.client.prepare_text(id.unwrap_or_else(Uuid::now_v7), subject, payload)?)
}

async fn read_payload(file: PathBuf) -> Result<String, Error> {
    let name = file.clone();
    let bytes = files::read_or_stdin(file, PAYLOAD_BYTES_MAX as u64).await.map_err(|error| match error {
        Error::FileTooLarge { path, limit_bytes } => Error::PayloadTooLarge { path, limit_bytes },
        other => other,
    })?;
    String::from_utf8(bytes).map_err(|error| files::file_error(&name, std::io::Error::other(error)))
}
