//! Loads a cqrs-es aggregate from its stream.

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use nsl_schemas::event::{DecodeError, Stored};

use crate::reader::{EventReader, ReadError, STREAM_PAGE_EVENTS};
use crate::record::RecordedEvent;

/// Why an aggregate could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its stream could not be read.
    #[error("{aggregate_type} {aggregate_id} cannot be read")]
    Read {
        /// The stream's type.
        aggregate_type: &'static str,
        /// The stream's id.
        aggregate_id: String,
        /// What went wrong.
        #[source]
        source: ReadError,
    },
    /// Its stream has a gap or a repeat.
    #[error("{aggregate_type} {aggregate_id} has event {found} where {expected} belongs")]
    Gap {
        /// The stream's type.
        aggregate_type: &'static str,
        /// The stream's id.
        aggregate_id: String,
        /// The sequence that belongs there.
        expected: u64,
        /// The sequence that is there.
        found: u64,
    },
    /// One of its events is damaged, or newer than this build.
    #[error("event {sequence} of {aggregate_type} {aggregate_id} cannot be decoded")]
    Event {
        /// The stream's type.
        aggregate_type: &'static str,
        /// The stream's id.
        aggregate_id: String,
        /// The event's number.
        sequence: u64,
        /// What the decoder says.
        #[source]
        source: DecodeError,
    },
}

impl LoadError {
    /// Whether it is the stream that cannot be read, by this build and as it is now: trying again does not help.
    pub fn is_of_the_stream(&self) -> bool {
        match self {
            Self::Read { source, .. } => !matches!(source, ReadError::Unavailable { .. }),
            Self::Gap { .. } | Self::Event { .. } => true,
        }
    }

    /// Whether a newer build would read it.
    pub fn is_from_the_future(&self) -> bool {
        matches!(self, Self::Event { source, .. } if source.is_from_the_future())
    }
}

impl EventReader {
    /// Folds the aggregate's stream, page by page, and answers it with its version; version 0 is a new aggregate.
    /// `decode` makes the newest version of any stored event.
    pub async fn load_aggregate<A: Aggregate>(
        &self,
        aggregate_id: &str,
        decode: impl Fn(Stored<'_>) -> Result<A::Event, DecodeError>,
    ) -> Result<(A, u64), LoadError> {
        self.fold(A::default(), 0, aggregate_id, decode).await
    }

    /// Folds what the stream has after the state's version.
    pub(crate) async fn fold<A: Aggregate>(
        &self,
        mut aggregate: A,
        mut version: u64,
        aggregate_id: &str,
        decode: impl Fn(Stored<'_>) -> Result<A::Event, DecodeError>,
    ) -> Result<(A, u64), LoadError> {
        loop {
            let page = self.stream_page(A::TYPE, aggregate_id, version).await.map_err(|source| {
                LoadError::Read { aggregate_type: A::TYPE, aggregate_id: aggregate_id.to_owned(), source }
            })?;
            let is_last = page.len() < usize::from(STREAM_PAGE_EVENTS);
            for event in page {
                version = apply(&mut aggregate, version, &event, &decode)?;
            }
            if is_last {
                return Ok((aggregate, version));
            }
        }
    }
}

/// Applies the stream's next event and answers the version after it.
fn apply<A: Aggregate>(
    aggregate: &mut A,
    version: u64,
    event: &RecordedEvent,
    decode: impl Fn(Stored<'_>) -> Result<A::Event, DecodeError>,
) -> Result<u64, LoadError> {
    let (aggregate_type, sequence) = (A::TYPE, event.sequence);
    let aggregate_id = event.aggregate_id.clone();
    if sequence != version + 1 {
        return Err(LoadError::Gap { aggregate_type, aggregate_id, expected: version + 1, found: sequence });
    }
    let decoded = decode(event.stored()).map_err(|source| LoadError::Event {
        aggregate_type,
        aggregate_id,
        sequence,
        source,
    })?;
    aggregate.apply(decoded);
    Ok(sequence)
}

/// The event in cqrs-es' own form.
pub(crate) fn serialized(event: RecordedEvent) -> Result<SerializedEvent, serde_json::Error> {
    Ok(SerializedEvent {
        payload: serde_json::from_str(&event.payload)?,
        metadata: serde_json::from_str(&event.metadata)?,
        // A u64 fits wherever this is built for (64 bits).
        sequence: usize::try_from(event.sequence).unwrap_or(usize::MAX),
        aggregate_id: event.aggregate_id,
        aggregate_type: event.aggregate_type,
        event_type: event.event_type,
        event_version: event.event_version,
    })
}

#[cfg(test)]
#[path = "aggregate_tests.rs"]
mod tests;
