//! Ids that follow from other ids, so that a repeat names the same thing and nothing is numbered twice.

use uuid::Uuid;

use crate::bytes::Sha256;
use crate::canonical;
use crate::nkey::PublicKey;
use crate::outcome::SignedOutcome;
use crate::token::AggregateId;

/// The id of a command's `index`th event.
pub fn event_id(command_id: Uuid, index: u32) -> Uuid {
    Uuid::new_v5(&command_id, format!("event/{index}").as_bytes())
}

/// The id of the job that event `event_id` asks for.
pub fn job_id(event_id: Uuid) -> Uuid {
    Uuid::new_v5(&event_id, b"job")
}

/// The id of the job that reserves for the transfer that event `event_id` asks for: it is done before the transfer's own.
pub fn reservation_job_id(event_id: Uuid) -> Uuid {
    Uuid::new_v5(&event_id, b"job/reservation")
}

/// The id of the command that delivers a worker's outcome. It follows from the outcome, not from the job: an outcome
/// that was rejected, for a worker that was not registered yet or a policy that changed meanwhile, must not stand in the
/// way of the next one. Of several good ones the log takes the first.
pub fn outcome_command_id(job_id: Uuid, outcome: &SignedOutcome) -> Uuid {
    Uuid::new_v5(&job_id, &canonical::sha256(outcome).0)
}

/// The id of the command by which the chain relay reports the end of job `job_id`; a second report has the same id and
/// is answered with the first one's receipt.
pub fn report_command_id(job_id: Uuid) -> Uuid {
    Uuid::new_v5(&job_id, b"report")
}

/// The id of the command that a process sends at a step of `request_id`'s life; sent again, it is the same command.
pub fn process_command_id(request_id: Uuid, process: &str, step: &str) -> Uuid {
    Uuid::new_v5(&request_id, format!("process/{process}/{step}").as_bytes())
}

/// Hex digits of a worker's id: 128 bits, as many as a UUID's.
const WORKER_ID_DIGITS: usize = 32;

/// The id under which the worker of `key` is registered: the first 32 hex digits of the key's SHA-256.
pub fn worker_id(key: &PublicKey) -> AggregateId {
    let digits: String = Sha256::of(&key.0).to_string().chars().take(WORKER_ID_DIGITS).collect();
    AggregateId::parse(&digits).expect("hex digits are token characters")
}
