//! Jobs that no worker can ever do are put aside for people, so that they hold up no others.

use async_nats::HeaderMap;
use async_nats::jetstream::Message;
use async_nats::jetstream::context::PublishError;
use nsl_bus::{Bus, headers};
use nsl_schemas::subject;

/// Header with the subject that the job came on.
const HEADER_SUBJECT: &str = "Nsl-Parked-Subject";
/// Header with the reason.
const HEADER_REASON: &str = "Nsl-Parked-Reason";
/// Longest reason in a header: it may quote what somebody sent.
const REASON_CHARS_MAX: usize = 512;

/// A job that could not be parked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot write the headers of a parked job")]
    Headers(#[from] headers::Error),
    #[error("parking stream did not take the job")]
    Publish(#[from] PublishError),
}

/// Stores the job's bytes in the parking stream.
pub(crate) async fn park(bus: &Bus, message: &Message, reason: &str) -> Result<(), Error> {
    let mut headers = HeaderMap::new();
    headers::set(&mut headers, HEADER_SUBJECT, message.subject.as_str())?;
    headers::set(&mut headers, HEADER_REASON, &one_line(reason))?;
    let payload = message.payload.clone();
    bus.jetstream().publish_with_headers(subject::PARKED_JOB, headers, payload).await?.await?;
    Ok(())
}

/// A header's value holds no control characters.
fn one_line(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_reason_becomes_a_header() {
        let reason = format!("line\r\n\tNsl-Evil: {}", "é".repeat(1000));
        let mut headers = HeaderMap::new();
        headers::set(&mut headers, HEADER_REASON, &one_line(&reason)).unwrap();
        assert_eq!(one_line("a\r\nb"), "a  b");
        assert_eq!(one_line(&reason).chars().count(), REASON_CHARS_MAX);
    }
}
