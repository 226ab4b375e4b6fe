//! The aggregates behind one type: loaded through cqrs-es, decided on a clone, cached only as committed.

use std::sync::Arc;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent as _};
use nsl_domain::authority::Authority;
use nsl_domain::decision::{Order, Recorded, Rejection};
use nsl_domain::price_feed::PriceFeed;
use nsl_domain::wallet::Wallet;
use nsl_domain::worker::Worker;
use nsl_event_store::{EventReader, LoadError};
use nsl_schemas::canonical;
use nsl_schemas::command::Command;

/// Names an aggregate's stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StreamKey {
    /// Its type.
    pub aggregate_type: &'static str,
    /// `<tenant>.<id>`.
    pub aggregate_id: String,
}

/// An aggregate at a version.
#[derive(Debug, Clone)]
pub(crate) struct Versioned {
    /// Events so far.
    pub version: u64,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Authority(Arc<Authority>),
    PriceFeed(Arc<PriceFeed>),
    Wallet(Arc<Wallet>),
    Worker(Arc<Worker>),
}

/// An event as it will be stored, apart from ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecidedEvent {
    /// Its type.
    pub event_type: String,
    /// Its version.
    pub event_version: String,
    /// Canonical JSON.
    pub payload: String,
}

/// The aggregate type that a command addresses.
pub(crate) fn aggregate_type(command: &Command) -> &'static str {
    match command {
        Command::Authority(_) => Authority::TYPE,
        Command::PriceFeed(_) => PriceFeed::TYPE,
        Command::Wallet(_) => Wallet::TYPE,
        Command::Worker(_) => Worker::TYPE,
    }
}

impl Versioned {
    /// Loads an aggregate from its stream.
    pub(crate) async fn load(reader: &EventReader, key: &StreamKey) -> Result<Self, LoadError> {
        let id = &key.aggregate_id;
        let (state, version) = match key.aggregate_type {
            Authority::TYPE => loaded(reader.load_aggregate(id, Recorded::decode).await?, State::Authority),
            PriceFeed::TYPE => loaded(reader.load_aggregate(id, Recorded::decode).await?, State::PriceFeed),
            Worker::TYPE => loaded(reader.load_aggregate(id, Recorded::decode).await?, State::Worker),
            // `aggregate_type` above names no other.
            _ => loaded(reader.load_aggregate(id, Recorded::decode).await?, State::Wallet),
        };
        Ok(Self { version, state })
    }

    /// An aggregate without events.
    #[cfg(test)]
    pub(crate) fn absent(aggregate_type: &str) -> Self {
        let state = match aggregate_type {
            Authority::TYPE => State::Authority(Arc::default()),
            PriceFeed::TYPE => State::PriceFeed(Arc::default()),
            Worker::TYPE => State::Worker(Arc::default()),
            _ => State::Wallet(Arc::default()),
        };
        Self { version: 0, state }
    }

    /// Decides `order` and returns the events with the state after them; `self` stays as it is.
    pub(crate) async fn decide(&self, order: Order<Command>) -> Result<(Vec<DecidedEvent>, Self), Rejection> {
        let Order { tenant, id, command_id, request_sha256, issued_at_ms, now_ms, body, facts } = order;
        macro_rules! handle {
            ($state:expr, $command:expr, $variant:path) => {{
                let body = *$command;
                let order =
                    Order { tenant, id, command_id, request_sha256, issued_at_ms, now_ms, body, facts };
                let (events, state) = handle(&**$state, order).await?;
                (events, $variant(Arc::new(state)))
            }};
        }
        let (events, state) = match (&self.state, body) {
            (State::Authority(state), Command::Authority(command)) => {
                handle!(state, command, State::Authority)
            }
            (State::PriceFeed(state), Command::PriceFeed(command)) => {
                handle!(state, command, State::PriceFeed)
            }
            (State::Wallet(state), Command::Wallet(command)) => handle!(state, command, State::Wallet),
            (State::Worker(state), Command::Worker(command)) => handle!(state, command, State::Worker),
            (_, Command::Authority(_) | Command::PriceFeed(_) | Command::Wallet(_) | Command::Worker(_)) => {
                unreachable!("the stream key is made from the command's own aggregate type")
            }
        };
        let version = self.version + events.len() as u64;
        Ok((events, Self { version, state }))
    }
}

fn loaded<A>((state, version): (A, u64), variant: fn(Arc<A>) -> State) -> (State, u64) {
    (variant(Arc::new(state)), version)
}

/// Runs cqrs-es' `handle` on a clone: it mutates while it writes.
async fn handle<A>(state: &A, order: A::Command) -> Result<(Vec<DecidedEvent>, A), Rejection>
where
    A: Aggregate<Error = Rejection, Services = ()> + Clone,
{
    let mut state = state.clone();
    let sink = EventSink::default();
    state.handle(order, &(), &sink).await?;
    let events = sink.collect().await;
    let decided = events
        .iter()
        .map(|event| DecidedEvent {
            event_type: event.event_type(),
            event_version: event.event_version(),
            payload: canonical::to_string(event),
        })
        .collect();
    Ok((decided, state))
}
