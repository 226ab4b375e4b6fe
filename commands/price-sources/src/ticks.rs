//! Observations on the bus: publishing into the stream `NSL_TICK`, and reading one pair of it in order.

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{DeliverPolicy, StreamError};
use async_nats::jetstream::context::{GetStreamError, PublishError as JetStreamPublishError};
use async_nats::jetstream::stream::ConsumerError;
use nsl_bus::Bus;
use nsl_schemas::canonical;
use nsl_schemas::price::Observation;
use nsl_schemas::token::{self, Pair, Venue};
use nsl_schemas::{streams, subject};

use crate::venue;

/// How far an observation's time may lie ahead of the time at which the stream stored it: publishers cap it
/// at their own clock, and clocks of honest machines differ by less.
const CLOCK_LEAD_MS_MAX: u64 = 5_000;

/// An observation that was not stored.
#[derive(Debug, thiserror::Error)]
#[error("observation of {venue} for {pair} was not acknowledged")]
pub(crate) struct PublishError {
    venue: Venue,
    pair: Pair,
    #[source]
    source: JetStreamPublishError,
}

/// Stores an observation; returns when the stream has it.
pub(crate) async fn publish(bus: &Bus, pair: &Pair, observation: &Observation) -> Result<(), PublishError> {
    let venue = &observation.venue;
    let failed = |source| PublishError { venue: venue.clone(), pair: pair.clone(), source };
    let payload = canonical::to_string(observation);
    let stored = bus.jetstream().publish(subject::tick(venue, pair), payload.into()).await.map_err(failed)?;
    stored.await.map_err(failed)?;
    Ok(())
}

/// A subscription that could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubscribeError {
    #[error("venue cannot stand in a subject")]
    Venue(#[from] token::Error),
    #[error("cannot open stream {}", streams::TICKS)]
    Stream(#[from] GetStreamError),
    #[error("cannot create a consumer of stream {}", streams::TICKS)]
    Consumer(#[from] ConsumerError),
    #[error("cannot read stream {}", streams::TICKS)]
    Messages(#[from] StreamError),
}

/// The last observation of each venue of this build for `pair`, and from there all of them in stream order.
pub(crate) async fn subscribe(bus: &Bus, pair: &Pair) -> Result<Ordered, SubscribeError> {
    let venues = venue::ALL.iter().map(|adapter| Venue::parse(adapter.name));
    let subjects: Result<_, _> = venues.map(|venue| venue.map(|venue| subject::tick(&venue, pair))).collect();
    let config = OrderedConfig {
        filter_subjects: subjects?,
        deliver_policy: DeliverPolicy::LastPerSubject,
        ..OrderedConfig::default()
    };
    let stream = bus.jetstream().get_stream(streams::TICKS).await?;
    Ok(stream.create_consumer(config).await?.messages().await?)
}

/// Why a message is not taken for an observation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("message on {subject} does not say when it was stored")]
    StoredTime {
        subject: String,
        #[source]
        source: async_nats::Error,
    },
    #[error("not an observation")]
    Form(#[from] canonical::Error),
    #[error("observation of {venue} is stored under another subject")]
    Subject { venue: Venue },
    #[error("venue {venue} is not one of this build")]
    UnknownVenue { venue: Venue },
    #[error("observation of {venue} is dated {lead_ms} ms after it was stored")]
    FromTheFuture { venue: Venue, lead_ms: u64 },
}

/// Reads a message of the stream.
pub(crate) fn read_message(pair: &Pair, message: &Message) -> Result<Observation, ReadError> {
    let subject = message.subject.as_str();
    let stored_at = message.info().map(|info| info.published);
    let stored_at =
        stored_at.map_err(|source| ReadError::StoredTime { subject: subject.to_owned(), source })?;
    // A time before 1970 reads as 1970: every observation is then from the future and refused.
    let stored_at_ms = u64::try_from(stored_at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    read(pair, subject, &message.payload, stored_at_ms)
}

/// Whoever may publish on the subject wrote it, so nothing in it is taken on trust but
/// what a venue may say; the feed judges the rest.
fn read(
    pair: &Pair,
    message_subject: &str,
    payload: &[u8],
    stored_at_ms: u64,
) -> Result<Observation, ReadError> {
    let observation: Observation = canonical::from_slice(payload)?;
    let venue = observation.venue.clone();
    if subject::tick(&venue, pair) != message_subject {
        return Err(ReadError::Subject { venue });
    }
    if venue::find(&venue).is_none() {
        return Err(ReadError::UnknownVenue { venue });
    }
    let lead_ms = observation.observed_at_ms.saturating_sub(stored_at_ms);
    if lead_ms > CLOCK_LEAD_MS_MAX {
        return Err(ReadError::FromTheFuture { venue, lead_ms });
    }
    Ok(observation)
}

#[cfg(test)]
mod tests {
    use nsl_schemas::number::PriceE8;

    use super::*;

    fn observation(venue: &str, observed_at_ms: u64) -> Observation {
        Observation {
            venue: Venue::parse(venue).unwrap(),
            price_e8: PriceE8(256_000_000),
            bid_e8: Some(PriceE8(u64::MAX)),
            ask_e8: Some(PriceE8(u64::MAX)),
            observed_at_ms,
        }
    }

    #[test]
    fn takes_what_a_source_publishes() {
        let pair = Pair::parse("NEO-USD").unwrap();
        let sent = observation("bitfinex", 1_000);
        let payload = canonical::to_string(&sent);
        let read = read(&pair, "nsl.v1.tick.bitfinex.NEO-USD", payload.as_bytes(), 1_000).unwrap();
        assert_eq!(read, sent);
    }

    #[test]
    fn refuses_what_no_source_would_publish() {
        let pair = Pair::parse("NEO-USD").unwrap();
        let json = |venue, at| canonical::to_string(&observation(venue, at));
        let bitfinex = "nsl.v1.tick.bitfinex.NEO-USD";
        for (message_subject, payload) in [
            (bitfinex, "not json".to_owned()),
            (bitfinex, String::new()),
            (bitfinex, json("bitfinex", 1_000).replace("\"256000000\"", "2.56")),
            (bitfinex, json("coingecko", 1_000)),
            ("nsl.v1.tick.bitfinex.GAS-USD", json("bitfinex", 1_000)),
            ("nsl.v1.tick.mtgox.NEO-USD", json("mtgox", 1_000)),
            (bitfinex, json("bitfinex", 7_001)),
            (bitfinex, json("bitfinex", 9_007_199_254_740_991)),
        ] {
            assert!(read(&pair, message_subject, payload.as_bytes(), 2_000).is_err(), "{payload}");
        }
    }

    #[test]
    fn the_largest_observation_fits_the_stream() {
        let largest = observation(&"v".repeat(64), 9_007_199_254_740_991);
        let limit = nsl_bus::streams::ticks(1).max_message_bytes.unwrap();
        assert!(canonical::to_string(&largest).len() < usize::try_from(limit).unwrap() / 2);
    }
}
