//! Ids that follow from other ids, so that a repeat names the same thing and nothing is numbered twice.

use uuid::Uuid;

/// The id of a command's `index`th event.
pub fn event_id(command_id: Uuid, index: u32) -> Uuid {
    Uuid::new_v5(&command_id, format!("event/{index}").as_bytes())
}

/// The id of the job that event `event_id` asks for.
pub fn job_id(event_id: Uuid) -> Uuid {
    Uuid::new_v5(&event_id, b"job")
}

/// The id of the command that reports the outcome of job `job_id`; a second report has the same id and is answered
/// with the first one's receipt.
pub fn outcome_command_id(job_id: Uuid) -> Uuid {
    Uuid::new_v5(&job_id, b"outcome")
}
