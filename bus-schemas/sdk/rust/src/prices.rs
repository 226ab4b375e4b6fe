//! Accepted prices: the latest one at once, then each new one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_nats::Subscriber;
use futures::stream::{Stream, StreamExt as _};
use nsl_schemas::price::PriceMessage;
use nsl_schemas::token::Pair;
use nsl_schemas::{canonical, streams, subject};

use crate::query::QueryError;
use crate::{Client, Source};

/// Why prices cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The price stream is not there, or the connection is gone.
    #[error("the price stream cannot be read")]
    Unavailable(#[source] Source),
    /// The latest price cannot be read.
    #[error("the latest price cannot be read")]
    Latest(#[from] QueryError),
    /// A message that is no price.
    #[error("price message on {subject} cannot be read")]
    Malformed {
        /// Where it was published.
        subject: String,
        /// What is wrong with it.
        #[source]
        source: canonical::Error,
    },
}

/// Prices of one pair, each newer than the one before. What is published while the connection is away is left out: the
/// next price counts, and the log has them all.
pub struct PriceStream {
    latest: Option<PriceMessage>,
    messages: Subscriber,
    last_position: u64,
}

impl Stream for PriceStream {
    type Item = Result<PriceMessage, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(latest) = self.latest.take() {
            self.last_position = latest.position;
            return Poll::Ready(Some(Ok(latest)));
        }
        loop {
            let Some(message) = ready!(self.messages.poll_next_unpin(context)) else {
                return Poll::Ready(None);
            };
            match canonical::from_slice::<PriceMessage>(&message.payload) {
                // Published once more, or before it was asked for the latest.
                Ok(price) if price.position <= self.last_position => {}
                Ok(price) => {
                    self.last_position = price.position;
                    return Poll::Ready(Some(Ok(price)));
                }
                Err(source) => {
                    let subject = message.subject.to_string();
                    return Poll::Ready(Some(Err(Error::Malformed { subject, source })));
                }
            }
        }
    }
}

impl Client {
    /// Follows the accepted prices of `pair`.
    pub async fn prices(&self, pair: &Pair) -> Result<PriceStream, Error> {
        let subject = subject::price(pair);
        // Before the latest is asked for: none falls between.
        let messages = self.nats().subscribe(subject.clone()).await;
        let messages = messages.map_err(|error| Error::Unavailable(Box::new(error)))?;
        let latest = self.last_message(streams::PRICES, subject).await?;
        Ok(PriceStream { latest, messages, last_position: 0 })
    }
}
