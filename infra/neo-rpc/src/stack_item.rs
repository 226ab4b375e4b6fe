//! Values of the NeoVM as nodes write them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A value of the NeoVM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StackItem {
    /// Nothing.
    Null,
    /// A truth value.
    Boolean(bool),
    /// A number of up to 128 bits.
    Integer(i128),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list or a struct.
    Array(Vec<StackItem>),
    /// A value that has no place here, such as a map or a number of more than 128 bits, by its type.
    Other(String),
}

impl StackItem {
    /// The value as a number, if it is one.
    pub const fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Tagged {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    value: Value,
}

impl<'de> Deserialize<'de> for StackItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tagged { kind, value } = Tagged::deserialize(deserializer)?;
        Ok(match (kind.as_str(), value) {
            ("Any", Value::Null) => Self::Null,
            ("Boolean", Value::Bool(value)) => Self::Boolean(value),
            ("Integer", Value::String(digits)) => match digits.parse() {
                Ok(value) => Self::Integer(value),
                Err(_) => Self::Other(kind),
            },
            ("ByteString" | "Buffer", Value::String(text)) => {
                Self::Bytes(STANDARD.decode(text).map_err(D::Error::custom)?)
            }
            ("Array" | "Struct", items @ Value::Array(_)) => {
                Self::Array(Vec::deserialize(items).map_err(D::Error::custom)?)
            }
            _ => Self::Other(kind),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_by_their_type() {
        for (text, expected) in [
            (r#"{"type":"Any"}"#, StackItem::Null),
            (r#"{"type":"Any","value":null}"#, StackItem::Null),
            (r#"{"type":"Boolean","value":true}"#, StackItem::Boolean(true)),
            (r#"{"type":"Integer","value":"-5"}"#, StackItem::Integer(-5)),
            (r#"{"type":"ByteString","value":"AQI="}"#, StackItem::Bytes(vec![1, 2])),
            (
                r#"{"type":"Struct","value":[{"type":"Integer","value":"1"},{"type":"Map","value":[]}]}"#,
                StackItem::Array(vec![StackItem::Integer(1), StackItem::Other("Map".to_owned())]),
            ),
            (
                r#"{"type":"Integer","value":"170141183460469231731687303715884105728"}"#,
                StackItem::Other("Integer".to_owned()),
            ),
        ] {
            assert_eq!(serde_json::from_str::<StackItem>(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn malformed_values_are_refused() {
        let nested = r#"{"type":"Array","value":["#.repeat(200);
        for text in [r#"{"value":1}"#, r#"{"type":"ByteString","value":"%"}"#, "5", &nested] {
            assert!(serde_json::from_str::<StackItem>(text).is_err(), "{text}");
        }
    }
}
