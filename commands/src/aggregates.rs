//! The aggregates behind one type: loaded through cqrs-es, decided on a clone, cached only as committed.

use std::sync::Arc;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent as _};
use nsl_domain::authority::Authority;
use nsl_domain::decision::{Order, Recorded, Rejection};
use nsl_domain::price_feed::PriceFeed;
use nsl_domain::sealing::Sealing;
use nsl_domain::secret::Secret;
use nsl_domain::wallet::Wallet;
use nsl_domain::worker::Worker;
use nsl_event_store::{EventStore, LoadError, RecordedEvent, SNAPSHOT_EVERY, fold_events};
use nsl_schemas::canonical;
use nsl_schemas::command::Command;
use nsl_schemas::event::WireEvent;

/// Names an aggregate's stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamKey {
    /// Its type.
    pub aggregate_type: &'static str,
    /// `<tenant>.<id>`.
    pub aggregate_id: String,
}

/// An aggregate at a version.
#[derive(Debug, Clone)]
pub struct Versioned {
    /// Events so far.
    pub version: u64,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Authority(Arc<Authority>),
    PriceFeed(Arc<PriceFeed>),
    Sealing(Arc<Sealing>),
    Secret(Arc<Secret>),
    Wallet(Arc<Wallet>),
    Worker(Arc<Worker>),
}

/// An event as it will be stored, apart from ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedEvent {
    /// Its type.
    pub event_type: String,
    /// Its version.
    pub event_version: String,
    /// Canonical JSON.
    pub payload: String,
}

/// The aggregate type that a command addresses.
pub fn aggregate_type(command: &Command) -> &'static str {
    match command {
        Command::Authority(_) => Authority::TYPE,
        Command::PriceFeed(_) => PriceFeed::TYPE,
        Command::Sealing(_) => Sealing::TYPE,
        Command::Secret(_) => Secret::TYPE,
        Command::Wallet(_) => Wallet::TYPE,
        Command::Worker(_) => Worker::TYPE,
    }
}

impl Versioned {
    /// Loads an aggregate from its snapshot and its stream.
    pub async fn load(store: &EventStore, key: &StreamKey) -> Result<Self, LoadError> {
        macro_rules! load {
            ($aggregate:ty, $variant:path) => {{
                let version = <$aggregate>::STATE_VERSION;
                loaded(store.load_snapshotted(&key.aggregate_id, Recorded::decode, version).await?, $variant)
            }};
        }
        let (state, version) = match key.aggregate_type {
            Authority::TYPE => load!(Authority, State::Authority),
            PriceFeed::TYPE => load!(PriceFeed, State::PriceFeed),
            Sealing::TYPE => load!(Sealing, State::Sealing),
            Secret::TYPE => load!(Secret, State::Secret),
            Worker::TYPE => load!(Worker, State::Worker),
            // `aggregate_type` above names no other.
            _ => load!(Wallet, State::Wallet),
        };
        Ok(Self { version, state })
    }

    /// An aggregate as its stream's events leave it, for logs that are not Postgres'.
    pub fn fold(key: &StreamKey, events: &[RecordedEvent]) -> Result<Self, LoadError> {
        let (state, version) = match key.aggregate_type {
            Authority::TYPE => folded(events, State::Authority)?,
            PriceFeed::TYPE => folded(events, State::PriceFeed)?,
            Sealing::TYPE => folded(events, State::Sealing)?,
            Secret::TYPE => folded(events, State::Secret)?,
            Worker::TYPE => folded(events, State::Worker)?,
            _ => folded(events, State::Wallet)?,
        };
        Ok(Self { version, state })
    }

    /// Offers a committed state to be kept when its stream has grown by enough since `before`: states in memory are
    /// never loaded, and their streams grow the longest.
    pub fn keep(&self, store: &EventStore, key: &StreamKey, before: u64) {
        if self.version / SNAPSHOT_EVERY == before / SNAPSHOT_EVERY {
            return;
        }
        let (id, version) = (&key.aggregate_id, self.version);
        match &self.state {
            State::Authority(state) => store.offer_snapshot(id, version, Authority::STATE_VERSION, &**state),
            State::PriceFeed(state) => store.offer_snapshot(id, version, PriceFeed::STATE_VERSION, &**state),
            State::Sealing(state) => store.offer_snapshot(id, version, Sealing::STATE_VERSION, &**state),
            State::Secret(state) => store.offer_snapshot(id, version, Secret::STATE_VERSION, &**state),
            State::Wallet(state) => store.offer_snapshot(id, version, Wallet::STATE_VERSION, &**state),
            State::Worker(state) => store.offer_snapshot(id, version, Worker::STATE_VERSION, &**state),
        }
    }

    /// An aggregate without events.
    #[cfg(test)]
    pub fn absent(aggregate_type: &str) -> Self {
        let state = match aggregate_type {
            Authority::TYPE => State::Authority(Arc::default()),
            PriceFeed::TYPE => State::PriceFeed(Arc::default()),
            Sealing::TYPE => State::Sealing(Arc::default()),
            Secret::TYPE => State::Secret(Arc::default()),
            Worker::TYPE => State::Worker(Arc::default()),
            _ => State::Wallet(Arc::default()),
        };
        Self { version: 0, state }
    }

    /// Decides `order` and returns the events with the state after them; `self` stays as it is.
    pub async fn decide(&self, order: Order<Command>) -> Result<(Vec<DecidedEvent>, Self), Rejection> {
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
            (State::Sealing(state), Command::Sealing(command)) => handle!(state, command, State::Sealing),
            (State::Secret(state), Command::Secret(command)) => handle!(state, command, State::Secret),
            (State::Wallet(state), Command::Wallet(command)) => handle!(state, command, State::Wallet),
            (State::Worker(state), Command::Worker(command)) => handle!(state, command, State::Worker),
            (
                _,
                Command::Authority(_)
                | Command::PriceFeed(_)
                | Command::Sealing(_)
                | Command::Secret(_)
                | Command::Wallet(_)
                | Command::Worker(_),
            ) => {
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

fn folded<A, E>(events: &[RecordedEvent], variant: fn(Arc<A>) -> State) -> Result<(State, u64), LoadError>
where
    A: Aggregate<Event = Recorded<E>>,
    E: WireEvent,
{
    let mut state = A::default();
    let version = fold_events(&mut state, 0, events, Recorded::decode)?;
    Ok((variant(Arc::new(state)), version))
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
