//! Ids that follow from a command's id or a worker's key.

use nsl_schemas::ids;
use nsl_schemas::nkey::SigningKey;
use serde_json::{Value, json};

use super::{COMMAND_ID, WORKER_SEED, key};

pub(super) fn document() -> Value {
    let events: Vec<Value> = (0..3)
        .map(|index| {
            let event_id = ids::event_id(COMMAND_ID, index);
            let job_id = ids::job_id(event_id);
            json!({
                "index": index,
                "event_id": event_id,
                "job_id": job_id,
                "reservation_job_id": ids::reservation_job_id(event_id),
                "report_command_id": ids::report_command_id(job_id),
            })
        })
        .collect();
    json!({
        "about": "UUIDs of version 5: event id from namespace command id and name event/<index>; job id from \
            namespace event id and name job, of the job that reserves job/reservation; report command id from namespace job id and name report; a process' \
            command id from namespace request id and name process/<process>/<step>. A worker's id is the first 32 hex digits of its key's SHA-256.",
        "command_id": COMMAND_ID,
        "events": events,
        "expire_request_command_id": ids::process_command_id(COMMAND_ID, "transfer", "expire"),
        "worker": key(&WORKER_SEED),
        "worker_id": ids::worker_id(&SigningKey::from_seed(&WORKER_SEED).public()),
    })
}
