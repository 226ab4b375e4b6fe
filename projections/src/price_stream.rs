//! The price stream: every accepted round of the service's own feeds, on `nsl.v1.price.<pair>`, in position order.
//! It follows the read model `prices`. Its checkpoint's lock is held until the bus has acknowledged, so one process
//! publishes at a time; what a crash repeats is dropped by its message id, and where the checkpoint was lost, the
//! stream's last message tells what it has.

use nsl_bus::async_nats::jetstream::context::{GetStreamError, PublishError};
use nsl_bus::async_nats::jetstream::message::PublishMessage;
use nsl_bus::async_nats::jetstream::stream::{LastRawMessageError, LastRawMessageErrorKind};
use nsl_bus::{Bus, DriftPolicy, stream, streams};
use nsl_schemas::price::PriceMessage;
use nsl_schemas::query::Price;
use nsl_schemas::streams::PRICES;
use nsl_schemas::token::Tenant;
use nsl_schemas::{canonical, subject};
use sqlx::postgres::PgPool;
use tokio_util::sync::CancellationToken;

use crate::checkpoint;
use crate::failpoints;
use crate::prices;
use crate::progress::{Progress, described};
use crate::runner::pause;

/// The name of its checkpoint, under which its progress is shown.
pub const NAME: &str = "price-stream";
/// Rounds published under one lock.
const BATCH_ROUNDS: u32 = 256;
/// Every accepted price, and no running aggregate.
const ACCEPTED_PRICES: &str = "nsl.v1.price.*";

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
    Last(#[from] LastRawMessageError),
    /// Rounds or checkpoint cannot be read or written.
    #[error("rounds cannot be read")]
    Rounds(#[from] sqlx::Error),
    /// The bus did not take a message.
    #[error("price cannot be published")]
    Publish(#[from] PublishError),
}

/// Publishes the prices.
#[derive(Debug)]
pub struct PricePublisher {
    /// The live schema.
    pub pool: PgPool,
    /// Where the stream is.
    pub bus: Bus,
    /// Copies of the stream.
    pub replicas: u8,
    /// Of the read model that it follows.
    pub prices: Progress,
    /// Where it shows how far it is.
    pub progress: Progress,
}

impl PricePublisher {
    /// Publishes until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let Err(error) = self.follow(&stop).await else { continue };
            let reason = described(&error);
            tracing::warn!(projection = NAME, reason, "prices wait to be published");
            self.progress.blocked(&reason, None, None);
            pause(&stop).await;
        }
    }

    async fn follow(&self, stop: &CancellationToken) -> Result<(), Error> {
        self.bus.ensure_stream(&streams::prices(self.replicas), DriftPolicy::Update).await?;
        let found = checkpoint::load(&self.pool, NAME).await?;
        let mut published = found.position.max(self.last_published().await?);
        loop {
            // Taken before the rounds are read: what the read model commits meanwhile is found the next time.
            let known = self.prices.status();
            if let Some(position) = self.publish_after(published).await? {
                published = position;
                self.progress.at(published, known.head);
                continue;
            }
            // No round is left, so it is as far as the read model.
            published = published.max(known.position);
            self.progress.at(published, known.head);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.prices.passes(known.position) => {}
            }
        }
    }

    /// Publishes the next rounds; the position of the last, none if there is no further.
    async fn publish_after(&self, position: u64) -> Result<Option<u64>, Error> {
        let mut transaction = self.pool.begin().await?;
        let from = checkpoint::lock(&mut transaction, NAME).await?.position.max(position);
        let rounds = prices::rounds_after(&mut transaction, &Tenant::system(), from, BATCH_ROUNDS).await?;
        let Some(last) = rounds.last().map(|(_, price)| price.position) else { return Ok(None) };
        let mut underway = Vec::with_capacity(rounds.len());
        for (event_id, price) in rounds {
            let on = subject::price(&price.pair);
            let text = canonical::to_string(&message(price));
            let publish =
                PublishMessage::build().message_id(event_id).expected_stream(PRICES).payload(text.into());
            underway.push(self.bus.jetstream().send_publish(on, publish).await?);
        }
        for acknowledgement in underway {
            acknowledgement.await?;
        }
        failpoints::PRICES_PUBLISHED.reach();
        checkpoint::advance(&mut transaction, NAME, last).await?;
        transaction.commit().await?;
        Ok(Some(last))
    }

    /// The position of the last price that the stream has.
    async fn last_published(&self) -> Result<u64, Error> {
        let stream = self.bus.jetstream().get_stream(PRICES).await?;
        let last = match stream.get_last_raw_message_by_subject(ACCEPTED_PRICES).await {
            Ok(last) => last,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let price: Result<PriceMessage, _> = canonical::from_slice(&last.payload);
        Ok(price.map_or_else(
            |error| {
                // Somebody else's message is no reason to fall silent: the checkpoint remains.
                tracing::warn!(%error, subject = %last.subject, "last message of the price stream is no price");
                0
            },
            |price| price.position,
        ))
    }
}

fn message(price: Price) -> PriceMessage {
    let Price { pair, round, price_e8, confidence_e8, as_of_ms, age_max_ms, sources, position } = price;
    PriceMessage { pair, round, price_e8, confidence_e8, as_of_ms, age_max_ms, sources, position }
}
