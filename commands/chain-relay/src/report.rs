//! Reports an end as a command of the wallet, until the log has it.
//!
//! The command's id follows from the job's, so that whatever is reported first stands, and every repeat is known.

use nsl_client::{Client, SendError, prepared};
use nsl_schemas::command::wallet::{RecordConfirmation, RecordExpiry};
use nsl_schemas::job::SubmitJob;
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{AggregateType, Verb};
use nsl_schemas::{errors, ids};
use serde::Serialize;

use crate::lifecycle::Expiry;
use crate::relay::{Confirmation, End};

const AGGREGATE: &str = "wallet";

/// How a report ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// It is in the log now.
    Now,
    /// This or another end of the job is in the log already.
    Before,
    /// A rule refused it for ever.
    Never { code: String, message: String },
}

/// A report that was not decided; report again later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("report cannot be made")]
    Prepare(#[from] prepared::Error),
    #[error("report was not decided")]
    Send(#[from] SendError),
}

impl Error {
    /// For metrics.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Send(SendError::Refused { code, .. } | SendError::Rejected { code, .. }) => code,
            _ => errors::UNAVAILABLE.code,
        }
    }
}

/// Sends reports.
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    client: Client,
}

impl Reporter {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Reports once. It is signed anew each time: if an earlier one was recorded, the id is answered as taken.
    pub(crate) async fn report(&self, job: &SubmitJob, end: &End) -> Result<Recorded, Error> {
        let sent = match end {
            End::Confirmed(confirmation) => {
                self.send(job, "record-confirmation", &record_confirmation(job, confirmation)).await
            }
            End::Expired(expiry) => self.send(job, "record-expiry", &record_expiry(job, expiry)).await,
        };
        match sent {
            Ok(()) => Ok(Recorded::Now),
            Err(Error::Send(SendError::Rejected { code, .. })) if code == errors::TRANSFER_UNKNOWN.code => {
                Ok(Recorded::Before)
            }
            Err(Error::Send(SendError::Refused { code, .. })) if code == errors::ID_REUSED.code => {
                Ok(Recorded::Before)
            }
            Err(Error::Send(SendError::Rejected { code, message, .. })) => {
                Ok(Recorded::Never { code, message })
            }
            Err(error) => Err(error),
        }
    }

    async fn send<P: Serialize>(&self, job: &SubmitJob, verb: &str, payload: &P) -> Result<(), Error> {
        let subject = CommandSubject {
            tenant: job.tenant.clone(),
            aggregate: AggregateType::parse(AGGREGATE).map_err(prepared::Error::from)?,
            id: job.wallet.clone(),
            verb: Verb::parse(verb).map_err(prepared::Error::from)?,
        };
        let command_id = ids::report_command_id(job.job_id);
        let prepared = self.client.prepare_with_id(command_id, &subject, payload)?;
        self.client.send(&prepared).await?;
        Ok(())
    }
}

fn record_confirmation(job: &SubmitJob, confirmation: &Confirmation) -> RecordConfirmation {
    let Confirmation { block, vm_state, exception, gas_consumed } = confirmation;
    RecordConfirmation {
        request_id: job.request_id,
        tx_hash: job.tx_hash.clone(),
        block_index: block.index,
        block_hash: block.hash.to_string(),
        vm_state: *vm_state,
        exception: exception.clone(),
        gas_consumed_datoshi: *gas_consumed,
    }
}

fn record_expiry(job: &SubmitJob, expiry: &Expiry) -> RecordExpiry {
    RecordExpiry {
        request_id: job.request_id,
        tx_hash: job.tx_hash.clone(),
        block_index: expiry.block_index,
        reason: expiry.reason.clone(),
    }
}
