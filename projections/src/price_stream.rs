//! The price stream: every accepted round of the service's own feeds, on `nsl.v1.price.<pair>`, in position order, at the
//! stream sequence that is its number among them. It follows the rows of the read model `prices` that are served, so a
//! build beside them publishes nothing.
//!
//! The stream itself is the checkpoint, as of the event stream: a repeat, a restart or a second process can neither
//! double nor skip a round, and a stream that was deleted is made again, the same.

use std::time::Duration;

use nsl_bus::async_nats::HeaderMap;
use nsl_bus::async_nats::jetstream::context::GetStreamError;
use nsl_bus::async_nats::jetstream::stream::RawMessageError;
use nsl_bus::{Bus, DriftPolicy, Outcome, SequencedMessage, sequence, stream, streams};
use nsl_schemas::price::PriceMessage;
use nsl_schemas::query::{Price, ProjectionState};
use nsl_schemas::streams::PRICES;
use nsl_schemas::token::Tenant;
use nsl_schemas::{canonical, subject};
use sqlx::postgres::PgPool;
use tokio_util::sync::CancellationToken;

use crate::failpoints;
use crate::fault::{Failure, Fault, Pace, Tries};
use crate::prices;
use crate::progress::Progress;
use crate::runner::pause;

/// The name under which its progress is shown.
pub const NAME: &str = "price-stream";
/// Rounds read at once.
const BATCH_ROUNDS: u32 = 1_000;
/// How often a stream without news is looked at: one that was deleted shall not wait for the next round.
const IDLE_CHECK: Duration = Duration::from_secs(2);

/// Why prices are not published.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream is not as it must be.
    #[error("price stream cannot be made")]
    Definition(#[from] stream::Error),
    /// The stream cannot be looked at.
    #[error("price stream cannot be read")]
    Stream(#[from] GetStreamError),
    /// Its last message cannot be read.
    #[error("last price of the price stream cannot be read")]
    Last(#[from] RawMessageError),
    /// Rounds cannot be read.
    #[error("rounds cannot be read")]
    Rounds(#[from] sqlx::Error),
    /// The bus does not take a message, or not now.
    #[error("price cannot be published")]
    Publish(#[from] sequence::Error),
    /// The read model does not hold what the stream has.
    #[error("price stream is at position {position}, and waits for the read model, which is at {model}")]
    ModelBehind {
        /// The position of the stream's last price.
        position: u64,
        /// The read model's.
        model: u64,
    },
    /// The stream tells another history.
    #[error(
        "price stream {PRICES} differs from the log at its message {sequence}: it has position {found:?}, the log \
             {expected:?}; if the log is right, delete the stream, and it is published again"
    )]
    Diverged {
        /// Where.
        sequence: u64,
        /// The position that the stream's message names, if it is a price.
        found: Option<u64>,
        /// The position of the round with this number, if there is one.
        expected: Option<u64>,
    },
    /// The code that publishes panicked.
    #[error("price stream panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
}

impl Failure for Error {
    fn panicked(message: String) -> Self {
        Self::Panicked { message }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Definition(stream::Error::Drift { .. }) | Self::Diverged { .. } | Self::Panicked { .. } => {
                Fault::failed(self)
            }
            _ => Fault::waiting(self),
        }
    }
}

/// How far the stream is.
#[derive(Debug, Clone, Copy, Default)]
struct Published {
    /// Its last sequence: the number of rounds.
    sequence: u64,
    /// The position of the last round.
    position: u64,
}

/// Publishes the prices.
#[derive(Debug)]
pub struct PricePublisher {
    /// Sees the tables that are served.
    pub pool: PgPool,
    /// Where the stream is.
    pub bus: Bus,
    /// Of the read model that it follows.
    pub prices: Progress,
    /// Where it shows how far it is.
    pub progress: Progress,
    /// How long it rests when it does not get on.
    pub pace: Pace,
}

impl PricePublisher {
    /// Publishes until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut tries = Tries::default();
        while !stop.is_cancelled() {
            let work = Box::pin(self.follow(&stop));
            let Err((fault, rest)) = tries.make(NAME, &self.progress, self.pace, work).await else {
                continue;
            };
            self.progress.blocked(&fault, None, Some(self.prices.status().head));
            pause(rest, &stop).await;
        }
    }

    /// Publishes from the stream's end on, until `stop` or until the stream is found to end elsewhere.
    async fn follow(&self, stop: &CancellationToken) -> Result<(), Error> {
        self.bus.ensure_stream(&streams::prices(self.bus.replicas()), DriftPolicy::Update).await?;
        let mut published = self.published().await?;
        loop {
            // Taken before the rounds are read: what the read model commits meanwhile is found the next time.
            let known = self.prices.status();
            let system = Tenant::system();
            let rounds = prices::rounds_after(&self.pool, &system, published.position, BATCH_ROUNDS).await?;
            let Some(last) = rounds.last().map(|round| round.position) else {
                if known.state != ProjectionState::Starting {
                    self.progress.at(published.position.max(known.position), known.head);
                }
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = self.prices.passes(known.position) => {}
                    () = tokio::time::sleep(IDLE_CHECK) => {
                        if self.bus.last_sequence(PRICES).await? < published.sequence {
                            return Ok(());
                        }
                    }
                }
                continue;
            };
            let count = rounds.len();
            let messages = rounds.into_iter().map(message).collect();
            let outcome = self.bus.publish_run_at_sequence(PRICES, messages, published.sequence + 1).await?;
            failpoints::PRICES_PUBLISHED.reach();
            match outcome {
                Outcome::Published | Outcome::AlreadyThere => {}
                Outcome::Gap { .. } => return Ok(()),
            }
            published.sequence += u64::try_from(count).unwrap_or(u64::MAX);
            published.position = last;
            self.progress.applied(count);
            self.progress.at(last, known.head);
        }
    }

    /// How far the stream is, compared with the rounds.
    async fn published(&self) -> Result<Published, Error> {
        let sequence = self.bus.last_sequence(PRICES).await?;
        if sequence == 0 {
            return Ok(Published::default());
        }
        let message = self.bus.jetstream().get_stream(PRICES).await?.get_raw_message(sequence).await?;
        let price: Option<PriceMessage> = canonical::from_slice(&message.payload).ok();
        let found = price.map(|price| price.position);
        let expected = prices::position_of_round(&self.pool, &Tenant::system(), sequence).await?;
        let model = self.prices.status().position;
        match (found, expected) {
            (Some(position), Some(expected)) if position == expected => Ok(Published { sequence, position }),
            (Some(position), None) if model < position => Err(Error::ModelBehind { position, model }),
            _ => Err(Error::Diverged { sequence, found, expected }),
        }
    }
}

fn message(price: Price) -> SequencedMessage {
    let on = subject::price(&price.pair);
    let Price { pair, round, price_e8, confidence_e8, as_of_ms, age_max_ms, sources, position } = price;
    let message =
        PriceMessage { pair, round, price_e8, confidence_e8, as_of_ms, age_max_ms, sources, position };
    SequencedMessage {
        subject: on,
        headers: HeaderMap::new(),
        payload: canonical::to_string(&message).into(),
    }
}
