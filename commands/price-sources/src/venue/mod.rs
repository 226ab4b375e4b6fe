//! The venues: for each one where to ask and how to read its answer. A new venue is one file and one line in
//! [`ALL`].
//!
//! Parsers are pure and see untrusted bytes: any body gives an observation or a named error.

mod bitfinex;
mod coingecko;
mod coinpaprika;

use nsl_schemas::number::PriceE8;
use nsl_schemas::price::Observation;
use nsl_schemas::token::Venue;
use serde_json::value::RawValue;

use crate::decimal;

/// Every venue of this build.
pub const ALL: &[Adapter] = &[bitfinex::ADAPTER, coingecko::ADAPTER, coinpaprika::ADAPTER];

/// The quote currency of every venue here: pairs against a stablecoin need that coin's own index first.
pub const QUOTE_CURRENCY: &str = "USD";

/// How far a venue's clock may run ahead of ours before its time is disbelieved; public clocks differ by
/// less.
const CLOCK_LEAD_MS_MAX: u64 = 5_000;

/// Longest piece of a venue's own error text that is repeated in ours.
const VENUE_MESSAGE_CHARS_MAX: usize = 200;

/// How to talk with one venue.
#[derive(Debug)]
pub struct Adapter {
    /// Its name on the bus.
    pub name: &'static str,
    /// Path and query of the price of a symbol, below the base URL.
    pub path: fn(symbol: &str) -> String,
    /// Reads the answer.
    pub parse: fn(&Answer<'_>) -> Result<Observation, Error>,
}

/// A venue's answer with status 200.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Who answered.
    pub venue: &'a Venue,
    /// What was asked for, in the venue's own spelling.
    pub symbol: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// When it had arrived, Unix ms.
    pub received_at_ms: u64,
    /// When it was made: the earlier of the `Date` header (an answer from a cache keeps its old one) and
    /// `received_at_ms`.
    pub served_at_ms: u64,
}

/// Why an answer is no observation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON, or not the venue's shape.
    #[error("answer has another form than documented")]
    Form(#[source] serde_json::Error),
    /// A list of another length than documented.
    #[error("answer is a list of {found} elements, expected {expected}")]
    Length {
        /// What was found.
        found: usize,
        /// What the documentation says.
        expected: usize,
    },
    /// The venue reports an error, with status 200.
    #[error("venue reports: {0}")]
    Reported(String),
    /// The answer is about something else than was asked.
    #[error("answer does not hold {0:?}")]
    SymbolMissing(String),
    /// A price that is none.
    #[error("{field} is {text:?}")]
    Price {
        /// Which one.
        field: &'static str,
        /// As it was sent, cut to a printable length.
        text: String,
        /// What is wrong with it.
        #[source]
        source: decimal::Error,
    },
    /// A time that cannot be read.
    #[error("time {0:?} cannot be read")]
    Time(String),
    /// A time that has not come yet.
    #[error(
        "time {observed_at_ms} ms is more than {CLOCK_LEAD_MS_MAX} ms ahead of the clock, {received_at_ms} ms"
    )]
    FromTheFuture {
        /// The venue's time.
        observed_at_ms: u64,
        /// Ours.
        received_at_ms: u64,
    },
}

/// The adapter of this name.
pub fn find(name: &Venue) -> Option<&'static Adapter> {
    ALL.iter().find(|adapter| adapter.name == name.as_str())
}

/// Reads a price from a JSON number's own text.
fn price(field: &'static str, raw: &RawValue) -> Result<PriceE8, Error> {
    decimal::parse(raw.get()).map_err(|source| Error::Price { field, text: cut(raw.get()), source })
}

/// The venue's time, if it is believable. A lead within the clock tolerance counts as now, so that a venue
/// whose clock runs a little ahead is not held for the future at every round.
fn observed_at_ms(venue_time_ms: u64, answer: &Answer<'_>) -> Result<u64, Error> {
    let received_at_ms = answer.received_at_ms;
    if venue_time_ms > received_at_ms.saturating_add(CLOCK_LEAD_MS_MAX) {
        return Err(Error::FromTheFuture { observed_at_ms: venue_time_ms, received_at_ms });
    }
    Ok(venue_time_ms.min(received_at_ms))
}

fn cut(text: &str) -> String {
    text.chars().take(VENUE_MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens_and_unique() {
        for adapter in ALL {
            assert!(Venue::parse(adapter.name).is_ok(), "{}", adapter.name);
            assert_eq!(ALL.iter().filter(|other| other.name == adapter.name).count(), 1, "{}", adapter.name);
        }
    }

    /// Bodies that are no answer of any venue, whatever the status said.
    #[test]
    fn no_venue_takes_a_foreign_body_for_a_price() {
        let bodies: [&[u8]; 14] = [
            b"",
            b" ",
            b"null",
            b"true",
            b"2.56",
            b"\"2.56\"",
            b"[]",
            b"{}",
            b"<!DOCTYPE html><html><body>Just a moment...</body></html>",
            b"{\"neo\":{\"usd\":2.5",
            b"[2.55,1,2.57,1,0,0,2.5",
            b"\xff\xfe\x00",
            b"{\"code\":-1121,\"msg\":\"Invalid symbol.\"}",
            b"{\"Response\":\"Error\",\"Message\":\"rate limit\"}",
        ];
        let deep = "[".repeat(60_000);
        for adapter in ALL {
            let venue = Venue::parse(adapter.name).unwrap();
            for body in bodies.into_iter().chain([deep.as_bytes()]) {
                let answer =
                    Answer { venue: &venue, symbol: "neo", body, received_at_ms: 9_000, served_at_ms: 9_000 };
                assert!(
                    (adapter.parse)(&answer).is_err(),
                    "{venue} {:?}",
                    cut(&String::from_utf8_lossy(body))
                );
            }
        }
    }

    #[test]
    fn a_venue_clock_may_lead_a_little_and_counts_as_now() {
        let venue = Venue::parse("bitfinex").unwrap();
        let answer =
            Answer { venue: &venue, symbol: "", body: b"", received_at_ms: 100_000, served_at_ms: 100_000 };
        for (venue_time_ms, expected) in [
            (1, Some(1)),
            (100_000, Some(100_000)),
            (105_000, Some(100_000)),
            (105_001, None),
            (u64::MAX, None),
        ] {
            assert_eq!(observed_at_ms(venue_time_ms, &answer).ok(), expected, "{venue_time_ms}");
        }
    }
}
