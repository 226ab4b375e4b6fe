//! How a statement gets its signatures: at once, where the seeds are at hand, or by way of a file.

use std::path::PathBuf;

use clap::Args;
use nsl_client::statement::{Delivery, Unsigned, statement_of};
use nsl_schemas::authority::{KeySignature, Operators};
use nsl_schemas::canonical;
use nsl_schemas::command::authority::AuthorityCommand;
use nsl_schemas::subject::CommandSubject;
use uuid::Uuid;

use crate::error::Error;
use crate::files;
use crate::outcome::{Outcome, StatementShown};
use crate::session::Session;

/// Where signatures come from.
#[derive(Debug, Args)]
pub(super) struct Signing {
    /// The seed file of a signer; repeat it until all who must sign have.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["out", "id"])]
    seed: Vec<PathBuf>,
    /// Write the statement to this new file instead: `nsl authority sign` signs it where the keys are, `nsl authority
    /// submit` delivers it.
    #[arg(long, value_name = "FILE", conflicts_with = "seed")]
    out: Option<PathBuf>,
    /// The id of a command that was sent before, to send it again.
    #[arg(long)]
    id: Option<Uuid>,
}

impl Signing {
    /// Signs and delivers what `make` makes, or writes it to a file.
    pub(super) async fn conclude(
        self,
        session: &Session<'_>,
        subject: &CommandSubject,
        make: impl FnOnce(&Operators) -> Result<Unsigned, Error>,
    ) -> Result<Outcome, Error> {
        if let Some(kept) = session.kept(self.id, subject)? {
            let result = session.deliver(&kept).await?;
            let payload = kept.command().payload.as_bytes();
            let statement = read_payload(subject, payload)?;
            return Ok(Outcome::StatementRecorded {
                statement: StatementShown::of(statement),
                command: result.into(),
            });
        }
        let operators = session.client.operators(&session.genesis()?.statement).await?;
        let statement = make(&operators)?;
        if let Some(path) = self.out {
            files::write_new_private(&path, canonical::to_string(&statement).as_bytes())?;
            return Ok(Outcome::StatementWritten { file: path, statement: StatementShown::of(statement) });
        }
        let sign = |path: &PathBuf| Ok(statement.sign(&files::read_seed(path)?));
        let signatures = self.seed.iter().map(sign).collect::<Result<_, Error>>()?;
        deliver(session, statement, signatures, &operators, self.id).await
    }
}

/// Delivers a signed statement.
pub(super) async fn deliver(
    session: &Session<'_>,
    statement: Unsigned,
    signatures: Vec<KeySignature>,
    operators: &Operators,
    id: Option<Uuid>,
) -> Result<Outcome, Error> {
    let Delivery { subject, payload } = statement.clone().deliver(signatures, operators)?;
    let command = session.client.prepare_text(id.unwrap_or_else(Uuid::now_v7), &subject, payload)?;
    let result = session.deliver(&command).await?;
    Ok(Outcome::StatementRecorded { statement: StatementShown::of(statement), command: result.into() })
}

fn read_payload(subject: &CommandSubject, payload: &[u8]) -> Result<Unsigned, Error> {
    let invalid = |why: String| Error::Input(format!("payload for {subject}: {why}"));
    let command = AuthorityCommand::parse(subject.verb.as_str(), payload)
        .map_err(|error| invalid(error.to_string()))?;
    command.map(statement_of).ok_or_else(|| invalid("no statement".to_owned()))
}
