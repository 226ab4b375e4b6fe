//! Ids that follow from a command's id.

use nsl_schemas::ids;
use serde_json::{Value, json};

use super::COMMAND_ID;

pub(super) fn document() -> Value {
    let events: Vec<Value> = (0..3)
        .map(|index| {
            let event_id = ids::event_id(COMMAND_ID, index);
            let job_id = ids::job_id(event_id);
            json!({
                "index": index,
                "event_id": event_id,
                "job_id": job_id,
                "outcome_command_id": ids::outcome_command_id(job_id),
            })
        })
        .collect();
    json!({
        "about": "UUIDs of version 5: event id from namespace command id and name event/<index>; job id from \
            namespace event id and name job; outcome command id from namespace job id and name outcome.",
        "command_id": COMMAND_ID,
        "events": events,
    })
}
