//! Integers that may pass 2^53, written as decimal strings so that no JSON reader rounds them.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! decimal_string {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "{}", self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
                if !plain {
                    return Err(Error);
                }
                text.parse().map(Self).map_err(|_| Error)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let further_digits = <$inner>::MAX.ilog10();
                let pattern = format!("^(0|[1-9][0-9]{{0,{further_digits}}})$");
                schemars::json_schema!({"type": "string", "pattern": pattern})
            }
        }
    };
}

/// The text is not a plain decimal integer in range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a non-negative decimal integer in a string, without sign, leading zero or fraction")]
pub struct Error;

decimal_string!(
    /// A token amount in the token's smallest unit.
    Amount,
    u128
);
decimal_string!(
    /// A GAS amount in datoshi (10^-8 GAS).
    Datoshi,
    u64
);
decimal_string!(
    /// A time in Unix milliseconds where every value is text.
    UnixMs,
    u64
);
decimal_string!(
    /// A price in units of 10^-8 of the quote currency.
    PriceE8,
    u64
);

/// Reads an integer that every JSON reader, and canonical JSON itself, keeps exactly.
pub fn below_2_pow_53<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = u64::deserialize(deserializer)?;
    if value < 1 << 53 { Ok(value) } else { Err(de::Error::custom("expected an integer below 2^53")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_plain_decimal_integers_only() {
        for (text, expected) in [
            ("\"0\"", Some(0)),
            ("\"42\"", Some(42)),
            ("\"340282366920938463463374607431768211455\"", Some(u128::MAX)),
            ("\"340282366920938463463374607431768211456\"", None),
            ("\"007\"", None),
            ("\"+1\"", None),
            ("\"-1\"", None),
            ("\"1.0\"", None),
            ("\"1e3\"", None),
            ("\"\"", None),
            ("\" 1\"", None),
            ("1", None),
        ] {
            assert_eq!(serde_json::from_str::<Amount>(text).ok().map(|a| a.0), expected, "{text}");
        }
    }

    #[test]
    fn integers_that_json_rounds_are_refused() {
        #[derive(Deserialize)]
        struct Message {
            #[serde(deserialize_with = "below_2_pow_53")]
            at_ms: u64,
        }
        let read = |at_ms: u64| serde_json::from_str::<Message>(&format!("{{\"at_ms\":{at_ms}}}"));
        assert_eq!(read((1 << 53) - 1).unwrap().at_ms, (1 << 53) - 1);
        assert!(read(1 << 53).is_err());
        assert!(read(u64::MAX).is_err());
    }
}
