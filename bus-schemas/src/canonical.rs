//! Canonical JSON (RFC 8785): the bytes that are hashed, signed and stored.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bytes::Sha256;

/// Deepest nesting of a payload: our deepest type nests 6 levels; 16 leaves room and bounds the parser's stack.
pub const DEPTH_MAX: usize = 16;

/// The canonical text of `value`.
///
/// Every type of this crate serialises: string keys, integers below 2^53, no floats.
pub fn to_string<T: Serialize>(value: &T) -> String {
    serde_jcs::to_string(value)
        .expect("wire types hold only strings, bounded integers, lists and string-keyed maps")
}

/// SHA-256 of the canonical text of `value`.
pub fn sha256<T: Serialize>(value: &T) -> Sha256 {
    Sha256::of(to_string(value).as_bytes())
}

/// Why a payload could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// Not JSON, or not of the expected shape.
    #[error("{0}")]
    Shape(#[from] serde_json::Error),
}

/// Reads JSON of bounded depth.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    if nests_deeper_than(bytes, DEPTH_MAX) {
        return Err(Error::TooDeep);
    }
    Ok(serde_json::from_slice(bytes)?)
}

fn nests_deeper_than(bytes: &[u8], limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_keys_and_drops_white_space() {
        let value: serde_json::Value =
            serde_json::from_str("{\"b\": 1, \"a\": [true, null, \"é\\n\"]}").unwrap();
        assert_eq!(to_string(&value), "{\"a\":[true,null,\"é\\n\"],\"b\":1}");
    }

    #[test]
    fn counts_depth_outside_strings_only() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(from_slice::<serde_json::Value>(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert!(matches!(
            from_slice::<serde_json::Value>(nested(DEPTH_MAX + 1).as_bytes()),
            Err(Error::TooDeep)
        ));
        let text = format!("\"{}\\\"{}\"", "[".repeat(50), "[".repeat(50));
        assert!(from_slice::<String>(text.as_bytes()).is_ok());
    }
}
