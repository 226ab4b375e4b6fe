//! Durable pull consumers as data: ensured with drift detection, or recreated at the takeover of a partition.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{ConsumerInfoError, ConsumerInfoErrorKind};
use async_nats::jetstream::stream::{
    ConsumerCreateStrictError, ConsumerError, ConsumerErrorKind, ConsumerUpdateError,
};

use crate::Bus;
use crate::drift::{Comparison, Difference, DriftPolicy, Ensured, listed};

/// A durable pull consumer, ready to fetch from.
pub type Consumer = async_nats::jetstream::consumer::Consumer<pull::Config>;

/// Where a new consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first message that the stream has.
    All,
    /// At the first message after its creation.
    New,
    /// At this sequence.
    Sequence(u64),
}

/// Where a consumer's state lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As its stream's messages: a restart of the server goes on where it was.
    AsStream,
    /// In the server's memory: a restart of the server loses the consumer, and who reads it makes it again. The server
    /// writes no file for every few acknowledgements.
    Memory,
}

/// A durable pull consumer with explicit acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerDefinition {
    /// The stream it reads.
    pub stream: String,
    /// Its durable name.
    pub name: String,
    /// Which stored subject it reads, with wildcards.
    pub filter_subject: String,
    /// Where it begins.
    pub start: Start,
    /// After how long without acknowledgement a message is delivered again.
    pub ack_wait_ms: u64,
    /// How often a message is delivered at most; none is without end.
    pub max_deliver: Option<u32>,
    /// How many messages may await acknowledgement.
    pub max_ack_pending: u32,
    /// Where the server keeps what was acknowledged.
    pub state: State,
}

/// A consumer that is not as it must be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's consumer differs, and may not or cannot be changed.
    #[error("consumer {consumer} of stream {stream} differs from its definition: {}", listed(differences))]
    Drift {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
        /// Every field that differs.
        differences: Vec<Difference>,
    },
    /// The consumer cannot be read.
    #[error("cannot read consumer {consumer} of stream {stream}")]
    Read {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
        /// Why.
        #[source]
        source: ConsumerInfoError,
    },
    /// The server refuses to create it.
    #[error("cannot create consumer {consumer} of stream {stream}")]
    Create {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
        /// Why.
        #[source]
        source: ConsumerCreateStrictError,
    },
    /// The server refuses to update it.
    #[error("cannot update consumer {consumer} of stream {stream}")]
    Update {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
        /// Why.
        #[source]
        source: ConsumerUpdateError,
    },
    /// The server refuses to delete it.
    #[error("cannot delete consumer {consumer} of stream {stream}")]
    Delete {
        /// The stream.
        stream: String,
        /// The consumer.
        consumer: String,
        /// Why.
        #[source]
        source: ConsumerError,
    },
}

impl ConsumerDefinition {
    /// How it is asked of the server.
    fn config(&self) -> pull::Config {
        pull::Config {
            durable_name: Some(self.name.clone()),
            filter_subject: self.filter_subject.clone(),
            deliver_policy: match self.start {
                Start::All => DeliverPolicy::All,
                Start::New => DeliverPolicy::New,
                Start::Sequence(start_sequence) => DeliverPolicy::ByStartSequence { start_sequence },
            },
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_millis(self.ack_wait_ms),
            max_deliver: self.max_deliver.map_or(-1, i64::from),
            max_ack_pending: i64::from(self.max_ack_pending),
            memory_storage: self.state == State::Memory,
            ..pull::Config::default()
        }
    }

    fn names(&self) -> (String, String) {
        (self.stream.clone(), self.name.clone())
    }
}

impl Bus {
    /// Creates the consumer, or compares it with the definition and acts on a difference as `policy` says. Keeps
    /// what the consumer has acknowledged.
    pub async fn ensure_consumer(
        &self,
        definition: &ConsumerDefinition,
        policy: DriftPolicy,
    ) -> Result<(Consumer, Ensured), Error> {
        let Some(found) = self.consumer_config(definition).await? else {
            return Ok((self.create_consumer(definition).await?, Ensured::Created));
        };
        let wanted = definition.config();
        let comparison = compare(&found, &wanted);
        if !comparison.0.is_empty() && !comparison.may_update(policy) {
            let (stream, consumer) = definition.names();
            return Err(Error::Drift { stream, consumer, differences: comparison.0 });
        }
        // An update to equal values changes nothing, and gives the handle.
        let consumer = self.jetstream().update_consumer_on_stream(wanted, &definition.stream).await.map_err(
            |source| {
                let (stream, consumer) = definition.names();
                Error::Update { stream, consumer, source }
            },
        )?;
        let ensured =
            if comparison.0.is_empty() { Ensured::Unchanged } else { Ensured::Updated(comparison.0) };
        Ok((consumer, ensured))
    }

    /// Deletes the consumer and creates it anew, so that every message not acknowledged comes again *in order*. A new
    /// owner of a partition calls this before its first fetch: with the old consumer, later messages would overtake
    /// those that the dead owner had fetched and not acknowledged.
    pub async fn recreate_consumer(&self, definition: &ConsumerDefinition) -> Result<Consumer, Error> {
        match self.jetstream().delete_consumer_from_stream(&definition.name, &definition.stream).await {
            Ok(_) => {}
            Err(source) if is_missing(&source) => {}
            Err(source) => {
                let (stream, consumer) = definition.names();
                return Err(Error::Delete { stream, consumer, source });
            }
        }
        self.create_consumer(definition).await
    }

    async fn create_consumer(&self, definition: &ConsumerDefinition) -> Result<Consumer, Error> {
        self.jetstream()
            .create_consumer_strict_on_stream(definition.config(), &definition.stream)
            .await
            .map_err(|source| {
                let (stream, consumer) = definition.names();
                Error::Create { stream, consumer, source }
            })
    }

    async fn consumer_config(
        &self,
        definition: &ConsumerDefinition,
    ) -> Result<Option<async_nats::jetstream::consumer::Config>, Error> {
        let failed = |source| {
            let (stream, consumer) = definition.names();
            Error::Read { stream, consumer, source }
        };
        let stream = self.jetstream().get_stream_no_info(&definition.stream).await.map_err(|source| {
            failed(ConsumerInfoError::with_source(ConsumerInfoErrorKind::Request, source))
        })?;
        match stream.consumer_info(&definition.name).await {
            Ok(info) => Ok(Some(info.config)),
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

fn is_missing(error: &ConsumerError) -> bool {
    matches!(error.kind(), ConsumerErrorKind::JetStream(error) if error.error_code() == ErrorCode::CONSUMER_NOT_FOUND)
}

fn compare(found: &async_nats::jetstream::consumer::Config, wanted: &pull::Config) -> Comparison {
    let mut comparison = Comparison::default();
    comparison.field("filter_subject", &found.filter_subject, &wanted.filter_subject);
    comparison.fixed("start", &found.deliver_policy, &wanted.deliver_policy);
    comparison.fixed("ack_policy", &found.ack_policy, &wanted.ack_policy);
    comparison.field("ack_wait", &found.ack_wait, &wanted.ack_wait);
    comparison.field("max_deliver", &found.max_deliver, &wanted.max_deliver);
    comparison.field("max_ack_pending", &found.max_ack_pending, &wanted.max_ack_pending);
    comparison.fixed("memory_storage", &found.memory_storage, &wanted.memory_storage);
    comparison
}
