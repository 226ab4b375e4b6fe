//! Turns the processors' notices of a new head into wake-ups. A notice is a hint: nobody trusts its number, and without
//! any the log is still polled.

use futures::StreamExt;
use nsl_bus::Bus;
use nsl_bus::async_nats::SubscribeError;
use nsl_schemas::subject::HEAD;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Digits of the largest position; a longer payload is no position.
const POSITION_DIGITS_MAX: usize = 20;

/// Wakes whoever holds a receiver of `heads`, until `stop`.
pub async fn listen(
    bus: Bus,
    heads: watch::Sender<u64>,
    stop: CancellationToken,
) -> Result<(), SubscribeError> {
    let mut notices = bus.client().subscribe(HEAD).await?;
    loop {
        let notice = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            notice = notices.next() => notice,
        };
        match notice {
            Some(notice) => {
                if let Some(head) = read(&notice.payload) {
                    heads.send_replace(head);
                }
            }
            // The connection is closed for good, so the process is about to end.
            None => return Ok(()),
        }
    }
}

fn read(payload: &[u8]) -> Option<u64> {
    let digits = payload.len() <= POSITION_DIGITS_MAX && payload.iter().all(u8::is_ascii_digit);
    if digits { std::str::from_utf8(payload).ok()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_decimal_position_wakes() {
        for (payload, expected) in [
            ("42", Some(42)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("000000000000000000042", None),
            ("", None),
            ("+1", None),
            ("1\n", None),
            ("{\"head\":1}", None),
        ] {
            assert_eq!(read(payload.as_bytes()), expected, "{payload:?}");
        }
    }
}
