//! One request to a venue: bounded in time and size, no redirects, and what its refusals ask of us.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url, redirect};

use crate::clock::{now_ms, unix_ms};
use crate::config::HttpConfig;

/// Largest body that is read: the longest documented answer has about 3 KiB.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// Pause after "too many requests" without `Retry-After`: venues count in minutes.
const RATE_PAUSE: Duration = Duration::from_mins(1);

/// Pause after a refusal that time alone seldom mends (credentials, payment, region, firewall); asking on
/// would look like an attack.
const REFUSED_PAUSE: Duration = Duration::from_mins(10);

/// Longest `Retry-After` that is kept: a mistaken one must not silence a venue for ever. Bans last up to
/// three days, and one request a day does not prolong them.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// "I am a teapot", by which some venues say that an address is banned.
const STATUS_BANNED: u16 = 418;

/// A body with status 200.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) body: Vec<u8>,
    /// When it had arrived, Unix ms.
    pub(crate) received_at_ms: u64,
    /// When it was made: its `Date`, unless that is later than its arrival.
    pub(crate) served_at_ms: u64,
}

/// Why there is no body. No variant shows the URL, which may hold a key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no complete answer")]
    Transport(#[source] reqwest::Error),
    #[error("answer has status {status}")]
    Status { status: StatusCode, retry_after: Option<Duration> },
    #[error("answer is larger than {BODY_BYTES_MAX} bytes")]
    TooLarge,
}

impl Error {
    /// How long the venue wants to hear nothing of us at all; `None` where only this request failed.
    pub(crate) fn venue_pause(&self) -> Option<Duration> {
        let Self::Status { status, retry_after } = self else { return None };
        let pause = match status.as_u16() {
            429 | STATUS_BANNED => retry_after.unwrap_or(RATE_PAUSE),
            401 | 402 | 403 | 451 => retry_after.unwrap_or(REFUSED_PAUSE),
            _ => (*retry_after)?,
        };
        Some(pause.min(RETRY_AFTER_MAX))
    }

    /// A label for metrics.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Transport(error) if error.is_timeout() => "timeout",
            Self::Transport(_) => "transport",
            Self::Status { status, .. } if status.as_u16() == 429 => "rate_limited",
            Self::Status { status, .. } if status.is_client_error() => "refused",
            Self::Status { .. } => "status",
            Self::TooLarge => "too_large",
        }
    }
}

/// The client for all venues.
pub(crate) fn client(config: &HttpConfig) -> reqwest::Result<Client> {
    Client::builder()
        .user_agent(concat!("nsl-price-sources/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(Duration::from_millis(config.connect_timeout_ms.get()))
        .timeout(Duration::from_millis(config.request_timeout_ms.get()))
        .build()
}

/// Asks once.
pub(crate) async fn fetch(client: &Client, url: &Url) -> Result<Fetched, Error> {
    let transport = |error: reqwest::Error| Error::Transport(error.without_url());
    let response = client.get(url.clone()).send().await.map_err(transport)?;
    if response.status() != StatusCode::OK {
        let retry_after = retry_after(response.headers(), SystemTime::now());
        return Err(Error::Status { status: response.status(), retry_after });
    }
    let date_ms = http_date(response.headers(), DATE.as_str()).map(unix_ms);
    let body = bounded_body(response).await?;
    let received_at_ms = now_ms();
    let served_at_ms = date_ms.map_or(received_at_ms, |date_ms| date_ms.min(received_at_ms));
    Ok(Fetched { body, received_at_ms, served_at_ms })
}

async fn bounded_body(mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| Error::Transport(error.without_url()))?;
        let Some(chunk) = chunk else { return Ok(body) };
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
}

/// Seconds or a date (RFC 9110 §10.2.3); anything else is as good as none.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => http_date(headers, RETRY_AFTER.as_str())?.duration_since(now).ok(),
    }
}

fn http_date(headers: &HeaderMap, name: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, retry_after: Option<u64>) -> Option<u64> {
        let status = StatusCode::from_u16(status).unwrap();
        let retry_after = retry_after.map(Duration::from_secs);
        Error::Status { status, retry_after }.venue_pause().map(|pause| pause.as_secs())
    }

    #[test]
    fn a_venue_that_asks_for_quiet_gets_it() {
        for (status, retry_after, expected) in [
            (429, None, Some(60)),
            (429, Some(7), Some(7)),
            (418, Some(259_200), Some(86_400)),
            (418, None, Some(60)),
            (403, None, Some(600)),
            (451, None, Some(600)),
            (503, Some(30), Some(30)),
            (503, None, None),
            (500, None, None),
            (404, None, None),
            (301, None, None),
            (429, Some(u64::MAX), Some(86_400)),
        ] {
            assert_eq!(refused(status, retry_after), expected, "{status} {retry_after:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (text, expected) in [
            ("120", Some(120)),
            (" 5 ", Some(5)),
            ("Tue, 14 Nov 2023 22:14:20 GMT", Some(60)),
            ("Tue, 14 Nov 2023 22:13:19 GMT", None),
            ("-5", None),
            ("soon", None),
            ("1.5", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            assert_eq!(retry_after(&headers, now).map(|wait| wait.as_secs()), expected, "{text}");
        }
    }
}

#[cfg(test)]
mod server_tests;
