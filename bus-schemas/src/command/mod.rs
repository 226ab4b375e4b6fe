//! The payloads of commands, one file per aggregate, and how a payload is read by its subject.

pub mod authority;
pub mod price_feed;
pub mod wallet;
pub mod worker;

use crate::canonical;
use crate::subject::CommandSubject;

/// A command's typed payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `authority`.
    Authority(Box<authority::AuthorityCommand>),
    /// `price-feed`.
    PriceFeed(Box<price_feed::PriceFeedCommand>),
    /// `wallet`.
    Wallet(Box<wallet::WalletCommand>),
    /// `worker`.
    Worker(Box<worker::WorkerCommand>),
}

/// Why a payload is not a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No aggregate type of this name.
    #[error("no aggregate type {0:?}")]
    UnknownAggregate(String),
    /// The aggregate has no such verb.
    #[error("aggregate {aggregate:?} has no verb {verb:?}")]
    UnknownVerb {
        /// The aggregate's type.
        aggregate: String,
        /// The verb.
        verb: String,
    },
    /// Not the shape that the verb asks for.
    #[error("payload: {0}")]
    Payload(#[from] canonical::Error),
}

impl Command {
    /// Reads the payload that `subject` asks for.
    pub fn parse(subject: &CommandSubject, payload: &[u8]) -> Result<Self, Error> {
        let verb = subject.verb.as_str();
        let parsed = match subject.aggregate.as_str() {
            "authority" => {
                authority::AuthorityCommand::parse(verb, payload)?.map(|c| Self::Authority(Box::new(c)))
            }
            "price-feed" => {
                price_feed::PriceFeedCommand::parse(verb, payload)?.map(|c| Self::PriceFeed(Box::new(c)))
            }
            "wallet" => wallet::WalletCommand::parse(verb, payload)?.map(|c| Self::Wallet(Box::new(c))),
            "worker" => worker::WorkerCommand::parse(verb, payload)?.map(|c| Self::Worker(Box::new(c))),
            other => return Err(Error::UnknownAggregate(other.to_owned())),
        };
        parsed.ok_or_else(|| Error::UnknownVerb {
            aggregate: subject.aggregate.to_string(),
            verb: verb.to_owned(),
        })
    }
}

/// Declares an aggregate's command enum: one variant a verb, one payload type a variant.
macro_rules! commands {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $verb:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant($variant)),+
        }

        impl $name {
            /// Every verb of the aggregate.
            pub const VERBS: &'static [&'static str] = &[$($verb),+];

            /// Reads the payload of `verb`; `None` when there is no such verb.
            pub fn parse(verb: &str, payload: &[u8]) -> Result<Option<Self>, crate::canonical::Error> {
                Ok(match verb {
                    $($verb => Some(Self::$variant(crate::canonical::from_slice(payload)?)),)+
                    _ => None,
                })
            }
        }
    };
}
pub(crate) use commands;
