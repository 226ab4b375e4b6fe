//! An event as one line.

use nsl_client::PublishedEvent;
use serde::Serialize;
use serde_json::value::RawValue;

/// An event for scripts: the CloudEvent's attributes, and the data as the log holds it.
#[derive(Serialize)]
struct Line<'a> {
    reason: &'static str,
    position: u64,
    subject: &'a str,
    id: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    schema_version: &'a str,
    time: &'a str,
    version: u64,
    data: &'a RawValue,
}

pub(super) fn json(event: &PublishedEvent) -> Result<String, std::io::Error> {
    let PublishedEvent { position, subject, id, event_type, schema_version, time, version, data } = event;
    let (position, version, reason) = (*position, *version, "event");
    let line = Line { reason, position, subject, id, event_type, schema_version, time, version, data };
    Ok(serde_json::to_string(&line)?)
}

pub(super) fn human(event: &PublishedEvent) -> String {
    let PublishedEvent { position, subject, time, .. } = event;
    let what = subject.strip_prefix("nsl.v1.evt.").unwrap_or(subject);
    format!("{position:>8}  {time}  {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_an_event_keeps_its_bytes() {
        let data: Box<RawValue> = serde_json::from_str("{\"b\":1,\"a\":1.0}").unwrap();
        let event = PublishedEvent {
            position: 7,
            subject: "nsl.v1.evt.acme.wallet.main.key-created".into(),
            id: "i".into(),
            event_type: "t".into(),
            schema_version: "1.0.0".into(),
            time: "2026-11-22T19:00:00Z".into(),
            version: 1,
            data,
        };
        assert!(json(&event).unwrap().ends_with("\"data\":{\"b\":1,\"a\":1.0}}"));
        assert_eq!(human(&event), "       7  2026-11-22T19:00:00Z  acme.wallet.main.key-created");
    }
}
