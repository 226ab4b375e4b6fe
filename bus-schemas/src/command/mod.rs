//! The payloads of commands, one file per aggregate, and how a payload is read by its subject.

pub mod authority;
pub mod price_feed;
pub mod sealing;
pub mod secret;
pub mod wallet;
pub mod worker;

use crate::canonical;
use crate::subject::CommandSubject;

/// Declares the aggregate types that take commands: what a payload may be, and how its subject tells which.
macro_rules! aggregates {
    ($($(#[$doc:meta])* $variant:ident = $aggregate:literal, $command:ty;)+) => {
        /// A command's typed payload.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Command {
            $($(#[$doc])* $variant(Box<$command>)),+
        }

        impl Command {
            /// Every aggregate type that takes commands.
            pub const AGGREGATES: &'static [&'static str] = &[$($aggregate),+];

            /// Reads the payload that `subject` asks for.
            pub fn parse(subject: &CommandSubject, payload: &[u8]) -> Result<Self, Error> {
                let verb = subject.verb.as_str();
                let parsed = match subject.aggregate.as_str() {
                    $($aggregate => <$command>::parse(verb, payload)?.map(|c| Self::$variant(Box::new(c))),)+
                    other => return Err(Error::UnknownAggregate(other.to_owned())),
                };
                parsed.ok_or_else(|| Error::UnknownVerb {
                    aggregate: subject.aggregate.to_string(),
                    verb: verb.to_owned(),
                })
            }
        }

        /// Every command with the schema of its payload.
        #[cfg(feature = "schema")]
        pub fn schemas() -> Vec<crate::schema::DescribedCommand> {
            [$(<$command>::schemas($aggregate)),+].concat()
        }
    };
}

aggregates! {
    /// `authority`.
    Authority = "authority", authority::AuthorityCommand;
    /// `price-feed`.
    PriceFeed = "price-feed", price_feed::PriceFeedCommand;
    /// `sealing`.
    Sealing = "sealing", sealing::SealingCommand;
    /// `secret`.
    Secret = "secret", secret::SecretCommand;
    /// `wallet`.
    Wallet = "wallet", wallet::WalletCommand;
    /// `worker`.
    Worker = "worker", worker::WorkerCommand;
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

/// Declares an aggregate's command enum: one variant a verb, one payload type a variant.
macro_rules! commands {
    ($(#[$doc:meta])* $name:ident { $($(#[doc = $variant_doc:literal])+ $variant:ident = $verb:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $variant_doc])+ $variant($variant)),+
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

            /// Every verb with the schema of its payload.
            #[cfg(feature = "schema")]
            pub(crate) fn schemas(aggregate: &'static str) -> Vec<crate::schema::DescribedCommand> {
                vec![$(crate::schema::DescribedCommand {
                    aggregate,
                    verb: $verb,
                    summary: concat!($($variant_doc),+).trim_start(),
                    schema: crate::schema::accepted::<$variant>(),
                }),+]
            }
        }
    };
}
pub(crate) use commands;
