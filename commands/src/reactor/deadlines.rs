//! Sends the commands of deadlines that have passed: signed by this service, under ids that follow from their requests.
//! A repeat is the same command and hears the first one's answer, so it may be sent any number of times.

use nsl_client::{Client, SendError, prepared};
use nsl_domain::process::{Command, on_deadline};
use nsl_event_store::RecordedEvent;
use nsl_schemas::{errors, subject, token};

use super::memory::Process;

/// How a command was answered; whichever it is, the log has it, and the command is not sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answered {
    /// Its events are in the log.
    Accepted,
    /// A rule said no: something else happened to the request in time.
    Rejected {
        /// Which rule.
        code: String,
    },
    /// The log had it before.
    Before,
}

impl Answered {
    /// The metric's label.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected { .. } => "rejected",
            Self::Before => "repeated",
        }
    }
}

/// Why a command has no answer; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("command cannot be named")]
    Token(#[from] token::Error),
    #[error("stream id of the request's event cannot be read")]
    Stream(#[from] subject::Error),
    #[error("command cannot be made")]
    Prepare(#[from] prepared::Error),
    #[error("command was not decided")]
    Send(#[from] SendError),
}

/// A command that was sent, with its answer if there was one.
pub(super) struct Fired {
    pub(super) process: Process,
    pub(super) answered: Result<Answered, Error>,
}

/// The command that the process' deadline asks for; `event` led to its state.
pub(super) fn command(process: Process, event: &RecordedEvent) -> Result<Option<Command>, Error> {
    let (tenant, wallet) = subject::split_stream_id(&event.aggregate_id)?;
    Ok(on_deadline(process.state, process.request_id, &tenant, &wallet)?)
}

/// Sends a command until it is answered or time is up.
pub(super) async fn send(client: Client, process: Process, command: Command) -> Fired {
    let answered = async {
        let Command { id, subject, payload } = command;
        let prepared = client.prepare_text(id, &subject, payload)?;
        settle(client.send(&prepared).await.map(drop))
    };
    Fired { process, answered: answered.await }
}

fn settle(sent: Result<(), SendError>) -> Result<Answered, Error> {
    match sent {
        Ok(()) => Ok(Answered::Accepted),
        Err(SendError::Rejected { code, .. }) => Ok(Answered::Rejected { code }),
        // It is signed anew each time, so a receipt of an earlier one says that the id is taken.
        Err(SendError::Refused { code, .. }) if code == errors::ID_REUSED.code => Ok(Answered::Before),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_the_log_has_is_settled_and_nothing_else() {
        let command_id = Uuid::nil();
        let rejected = |code: &str| {
            let (code, message) = (code.to_owned(), String::new());
            settle(Err(SendError::Rejected { command_id, code, message, position: 1 }))
        };
        let refused = |code: &str| {
            let (code, message) = (code.to_owned(), String::new());
            settle(Err(SendError::Refused { command_id, code, message, retry_after: None }))
        };
        assert_eq!(settle(Ok(())).unwrap(), Answered::Accepted);
        let code = || "transfer_unknown".to_owned();
        assert_eq!(rejected("transfer_unknown").unwrap(), Answered::Rejected { code: code() });
        assert_eq!(refused("id_reused").unwrap(), Answered::Before);
        for code in ["not_authorised", "command_from_future", "rate_limited", "unavailable"] {
            assert!(refused(code).is_err(), "{code}");
        }
        assert!(settle(Err(SendError::OutcomeUnknown { command_id, attempts: 3 })).is_err());
    }
}
