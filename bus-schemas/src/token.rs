//! Subject tokens: names that may stand between two dots of a NATS subject.

use serde::{Deserialize, Serialize};

/// Longest token: keeps a whole subject under 512 bytes and an index row small.
pub const TOKEN_BYTES_MAX: usize = 64;

/// Why a text is not a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {value:?} is not 1 to 64 characters of A-Z a-z 0-9 _ -")]
pub struct Error {
    /// Which name was parsed.
    pub kind: &'static str,
    /// The text, cut to a printable length.
    pub value: String,
}

fn is_token(text: &str) -> bool {
    (1..=TOKEN_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

macro_rules! token {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses the token.
            pub fn parse(text: &str) -> Result<Self, Error> {
                if is_token(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Error { kind: $kind, value: text.chars().take(TOKEN_BYTES_MAX + 1).collect() })
                }
            }

            /// The token's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self, Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(token: $name) -> Self {
                token.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                Self::parse(text)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"})
            }
        }
    };
}

token!(
    /// A tenant: the first part of every aggregate id.
    Tenant,
    "tenant"
);
token!(
    /// An aggregate type, as `wallet`.
    AggregateType,
    "aggregate type"
);
token!(
    /// An aggregate's id within its tenant.
    AggregateId,
    "aggregate id"
);
token!(
    /// What a command asks for, as `request-transfer`.
    Verb,
    "verb"
);
token!(
    /// A past fact's name, as `transfer-signed`.
    EventName,
    "event name"
);
token!(
    /// A currency pair, as `NEO-USD`.
    Pair,
    "pair"
);
token!(
    /// A market-data venue, as `bitfinex`.
    Venue,
    "venue"
);

impl Tenant {
    /// The tenant of the service itself: authority, workers, price feeds.
    pub fn system() -> Self {
        Self("system".to_owned())
    }

    /// Whether this is the service's own tenant.
    pub fn is_system(&self) -> bool {
        self.0 == "system"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_subject_safe_names() {
        for (text, accepted) in [
            ("acme", true),
            ("NEO-USD", true),
            ("a_b-9", true),
            ("", false),
            ("a.b", false),
            ("a b", false),
            ("*", false),
            (">", false),
            ("é", false),
            (&"x".repeat(64), true),
            (&"x".repeat(65), false),
        ] {
            assert_eq!(Tenant::parse(text).is_ok(), accepted, "{text:?}");
        }
    }
}
