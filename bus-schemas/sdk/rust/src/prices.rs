//! Accepted prices: the latest one at once, then each new one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use futures::stream::{Stream, StreamExt as _};
use nsl_schemas::price::PriceMessage;
use nsl_schemas::token::Pair;
use nsl_schemas::{canonical, streams, subject};

use crate::{Client, Source};

/// Why prices cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The price stream is not there, or the connection is gone.
    #[error("the price stream cannot be read")]
    Unavailable(#[source] Source),
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

/// Prices of one pair, each newer than the one before.
pub struct PriceStream {
    messages: Ordered,
    last_position: u64,
}

impl Stream for PriceStream {
    type Item = Result<PriceMessage, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let message = match ready!(self.messages.poll_next_unpin(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(Error::Unavailable(Box::new(error))))),
                Some(Ok(message)) => message,
            };
            match canonical::from_slice::<PriceMessage>(&message.payload) {
                // A consumer that the server lost repeats what it had delivered.
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
        let config = OrderedConfig {
            filter_subject: subject::price(pair),
            deliver_policy: DeliverPolicy::LastPerSubject,
            ..OrderedConfig::default()
        };
        let messages = self.ordered_messages(streams::PRICES, config).await;
        let messages = messages.map_err(|error| Error::Unavailable(Box::new(error)))?;
        Ok(PriceStream { messages, last_position: 0 })
    }
}
