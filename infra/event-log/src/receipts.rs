//! Receipts from events and commands alone: what a client was answered follows from the log, so the receipts' table can
//! be lost, checked and made anew.

use nsl_event_store::{CommandView, EventPage, EventView, Receipt};
use nsl_schemas::authority::KeySignature;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::canonical;
use nsl_schemas::envelope::Envelope;
use nsl_schemas::event::rejection::{self, CommandRejected};
use nsl_schemas::result::Answer;
use uuid::Uuid;

/// Why no receipt follows.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log, or the stretch of it that was read, begins within a command, or a command was taken out.
    #[error("event at position {position} is of no command that is in the log before it")]
    NoCommand {
        /// The event's position.
        position: u64,
    },
    /// The command's envelope cannot be read.
    #[error("envelope of the command at position {position} cannot be read")]
    Envelope {
        /// The position of its first event.
        position: u64,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// The envelope is another command's.
    #[error("envelope at position {position} is of command {found}, not {expected}")]
    OtherCommand {
        /// The position of the command's first event.
        position: u64,
        /// The event's command.
        expected: Uuid,
        /// The envelope's.
        found: Uuid,
    },
    /// The rejection cannot be read.
    #[error("rejection at position {position} cannot be read")]
    Rejection {
        /// Its position.
        position: u64,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
}

/// Derives receipts from the log's events, read in order and with their commands.
#[derive(Debug, Default)]
pub struct Derivation {
    current: Option<Open>,
}

/// A command whose events may go on.
#[derive(Debug)]
struct Open {
    command_id: Uuid,
    issuer: String,
    request_hash: [u8; 32],
    first_position: u64,
    event_count: u32,
    /// The stream's version after the last event so far.
    version: u64,
    rejected: Option<Answer>,
}

impl Derivation {
    /// Takes the next page, and answers the receipts of the commands that end in it.
    pub fn page(&mut self, page: &EventPage) -> Result<Vec<Receipt>, Error> {
        let mut receipts = Vec::new();
        for event in page.iter() {
            receipts.extend(self.event(&event)?);
        }
        Ok(receipts)
    }

    /// The last command's receipt: the log's head is a command's end.
    pub fn finish(&mut self) -> Option<Receipt> {
        self.current.take().map(Open::receipt)
    }

    fn event(&mut self, event: &EventView<'_>) -> Result<Option<Receipt>, Error> {
        if let Some(command) = &event.command {
            return Ok(self.current.replace(Open::new(event, command)?).map(Open::receipt));
        }
        match &mut self.current {
            Some(open) if open.command_id == event.command_id => {
                open.event_count += 1;
                open.version = event.sequence;
                Ok(None)
            }
            _ => Err(Error::NoCommand { position: event.position }),
        }
    }
}

impl Open {
    fn new(event: &EventView<'_>, command: &CommandView<'_>) -> Result<Self, Error> {
        let position = event.position;
        let (issuer, request_hash) = origin(event, command)?;
        let rejected = if event.aggregate_type == rejection::AGGREGATE {
            let rejection: CommandRejected =
                event.decode().map_err(|source| Error::Rejection { position, source })?;
            Some(Answer::Rejected { code: rejection.code, message: rejection.message })
        } else {
            None
        };
        Ok(Self {
            command_id: event.command_id,
            issuer,
            request_hash,
            first_position: position,
            event_count: 1,
            version: event.sequence,
            rejected,
        })
    }

    fn receipt(self) -> Receipt {
        let answer = self.rejected.unwrap_or(Answer::Accepted { version: self.version });
        Receipt {
            command_id: self.command_id,
            issuer: self.issuer,
            request_hash: self.request_hash,
            first_position: self.first_position,
            event_count: self.event_count,
            answer: canonical::to_string(&answer),
        }
    }
}

/// Who signed the command, and the hash that tells a resend from another command.
fn origin(event: &EventView<'_>, command: &CommandView<'_>) -> Result<(String, [u8; 32]), Error> {
    let position = event.position;
    let failed = |source| Error::Envelope { position, source };
    // The log's beginning is no client's command: in the envelope's place stand the manifest's signatures.
    if position == 1
        && let Ok(signatures) = serde_json::from_str::<Vec<KeySignature>>(command.envelope)
    {
        let first = signatures.first().ok_or(Error::NoCommand { position })?;
        return Ok((first.key.to_string(), Sha256::of(command.payload.as_bytes()).0));
    }
    let envelope: Envelope = serde_json::from_str(command.envelope).map_err(failed)?;
    if envelope.command_id != event.command_id {
        let (expected, found) = (event.command_id, envelope.command_id);
        return Err(Error::OtherCommand { position, expected, found });
    }
    Ok((envelope.issuer.to_string(), envelope.request_sha256().0))
}
