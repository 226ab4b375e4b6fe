//! Reports a worker's outcome to the log as the command `record-outcome`.

use nsl_client::{Client, SendError, prepared};
use nsl_schemas::command::wallet::RecordOutcome;
use nsl_schemas::errors;
use nsl_schemas::ids;
use nsl_schemas::outcome::SignedOutcome;
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{self, Verb};

/// The verb that only grants of tenant `system` allow.
const VERB: &str = "record-outcome";

/// What came of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reported {
    /// The log has this outcome.
    Recorded,
    /// The log had one before.
    Repeated,
    /// The wallet's reservations went on meanwhile, and the reactor asks for another outcome with the last one.
    Overtaken,
}

/// Why the log has no outcome of this job.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot name the command")]
    Token(#[from] token::Error),
    #[error("cannot prepare the report")]
    Prepare(#[from] prepared::Error),
    #[error("cannot report the outcome")]
    Send(#[source] SendError),
    /// The log rejected this outcome; the reactor asks for another one as long as the job is open.
    #[error("outcome was rejected ({code}): {message}")]
    Rejected { code: String, message: String },
}

/// Reports `outcome` of the job that `requested` asked for. The command's id follows from the outcome; of several outcomes
/// the log takes the first good one.
pub(crate) async fn report(
    client: &Client,
    requested: &CommandSubject,
    outcome: SignedOutcome,
) -> Result<Reported, Error> {
    let subject = CommandSubject { verb: Verb::parse(VERB)?, ..requested.clone() };
    let command_id = ids::outcome_command_id(outcome.statement.job_id, &outcome);
    let command = client.prepare_with_id(command_id, &subject, &RecordOutcome { outcome })?;
    settle(client.send(&command).await.map(drop))
}

fn settle(sent: Result<(), SendError>) -> Result<Reported, Error> {
    match sent {
        Ok(()) => Ok(Reported::Recorded),
        Err(SendError::Rejected { code, .. }) if code == errors::OUTCOME_UNEXPECTED.code => {
            Ok(Reported::Repeated)
        }
        Err(SendError::Rejected { code, .. }) if code == errors::RESERVATION_OUT_OF_TURN.code => {
            Ok(Reported::Overtaken)
        }
        Err(SendError::Refused { code, .. }) if code == errors::ID_REUSED.code => Ok(Reported::Repeated),
        Err(SendError::Rejected { code, message, .. }) => Err(Error::Rejected { code, message }),
        Err(error) => Err(Error::Send(error)),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn rejected(code: &str) -> SendError {
        SendError::Rejected { command_id: Uuid::nil(), code: code.into(), message: "m".into(), position: 1 }
    }

    fn refused(code: &str) -> SendError {
        let (code, message) = (code.into(), "m".into());
        SendError::Refused { command_id: Uuid::nil(), code, message, retry_after: None }
    }

    #[test]
    fn an_outcome_that_the_log_has_is_settled_and_a_lost_one_is_not() {
        assert_eq!(settle(Ok(())).unwrap(), Reported::Recorded);
        assert_eq!(settle(Err(rejected("outcome_unexpected"))).unwrap(), Reported::Repeated);
        assert_eq!(settle(Err(refused("id_reused"))).unwrap(), Reported::Repeated);
        assert_eq!(settle(Err(rejected("reservation_out_of_turn"))).unwrap(), Reported::Overtaken);
        for code in ["worker_unknown", "outcome_invalid", "limit_exceeded"] {
            assert!(matches!(settle(Err(rejected(code))), Err(Error::Rejected { .. })), "{code}");
        }
        for code in ["not_authorised", "rate_limited", "unavailable"] {
            assert!(matches!(settle(Err(refused(code))), Err(Error::Send(_))), "{code}");
        }
        let unknown = SendError::OutcomeUnknown { command_id: Uuid::nil(), attempts: 3 };
        assert!(matches!(settle(Err(unknown)), Err(Error::Send(_))));
    }
}
