//! Canonical JSON (RFC 8785): the bytes that are hashed, signed and stored.

mod rearrange;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bytes::Sha256;
use rearrange::rearrange;

/// Deepest nesting of a payload: our deepest type, an outcome with a reservation, nests 10 levels; 16 leaves room and bounds the parser's stack.
pub const DEPTH_MAX: usize = 16;

/// The canonical text of `value`.
///
/// Every type of this crate serialises: string keys, integers below 2^53, no floats.
pub fn to_string<T: Serialize>(value: &T) -> String {
    const SERIALISES: &str = "wire types hold only strings, bounded integers, lists and string-keyed maps";
    // Types that declare their fields in order are canonical as serde_json writes them, at a fifteenth of serde_jcs' cost;
    // others need their members put in order, at a fifth of it.
    let plain = serde_json::to_string(value).expect(SERIALISES);
    if is_canonical(plain.as_bytes()) {
        return plain;
    }
    rearrange(&plain).unwrap_or_else(|| serde_jcs::to_string(value).expect(SERIALISES))
}

/// Whether what serde_json wrote is what RFC 8785 wants. It says no wherever telling would need more than a glance: at
/// keys with escapes or beyond ASCII, at numbers with fractions or more than 15 digits.
fn is_canonical(json: &[u8]) -> bool {
    // Of each object that is open, the last key; of each list, nothing.
    let mut last_keys: Vec<Option<&[u8]>> = Vec::with_capacity(DEPTH_MAX);
    let mut rest = json;
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'{' => last_keys.push(Some(&[])),
            b'[' => last_keys.push(None),
            b'}' | b']' => drop(last_keys.pop()),
            b'"' => {
                let Some(length) = string_length(rest) else { return false };
                let (text, after) = rest.split_at(length);
                rest = &after[1..];
                if let ([b':', ..], Some(Some(last))) = (rest, last_keys.last_mut()) {
                    if !text.is_ascii() || text.contains(&b'\\') || (!last.is_empty() && *last >= text) {
                        return false;
                    }
                    *last = text;
                }
            }
            b'0'..=b'9' => {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                if digits > 14 || matches!(rest.get(digits), Some(b'.' | b'e' | b'E')) {
                    return false;
                }
                rest = &rest[digits..];
            }
            _ => {}
        }
    }
    true
}

/// How many bytes there are before the closing quotation mark.
fn string_length(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
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
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::command::wallet::RequestTransfer;
    use crate::envelope::SignedCommand;
    use crate::event::Metadata;
    use crate::event::wallet::{TransferRequested, WalletEvent};
    use crate::nkey::SigningKey;
    use crate::number::{Amount, Datoshi, UnixMs};
    use crate::result::Answer;
    use crate::subject::CommandSubject;

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let key = prop_oneof!["[a-c]{0,2}", "[a-z\\\\\"é😀\n]{0,3}"];
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            (-9_007_199_254_740_991_i64..9_007_199_254_740_992).prop_map(Into::into),
            "[a-z:{}\\[\\]\"\\\\é\u{1}\u{7f},0-9]{0,6}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map(key.clone(), inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Writes an object's members as they come.
    struct Unsorted(Vec<(String, serde_json::Value)>);

    impl Serialize for Unsorted {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
        }
    }

    proptest! {
        /// RFC 8785 by the other implementation, whatever order the members come in.
        #[test]
        fn the_quick_ways_give_the_same_bytes(
            members in prop::collection::btree_map("[a-dé\"\\\\]{1,2}", any_json(), 0..5),
            rotated in 0_usize..5,
        ) {
            let mut members: Vec<_> = members.into_iter().collect();
            let by = rotated.min(members.len());
            members.rotate_left(by);
            let value = Unsorted(members);
            prop_assert_eq!(to_string(&value), serde_jcs::to_string(&value).unwrap());
        }
    }

    #[test]
    fn what_is_in_order_takes_the_quick_way_and_nothing_else() {
        let table = [
            (r#"{"a":1,"b":{"a":[{"z":"\\"},{"a":"{"}]}}"#, true),
            (r#"{"b":1,"a":1}"#, false),
            (r#"{"a":{"b":1,"a":1}}"#, false),
            (r#"{"a":"\"b\":1","b":1}"#, true),
            (r#"{"a":1.5}"#, false),
            (r#"{"a":1e3}"#, false),
            (r#"{"a":9007199254740993}"#, false),
            (r#"{"é":1}"#, false),
        ];
        for (text, expected) in table {
            assert_eq!(is_canonical(text.as_bytes()), expected, "{text}");
        }
    }

    /// What is written for every transfer; a member out of its place would cost fifteen times as much.
    #[test]
    fn what_every_transfer_writes_is_declared_in_order() {
        let key = SigningKey::from_seed(&[1; 32]);
        let subject = CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.request-transfer").unwrap();
        let SignedCommand { envelope, .. } =
            SignedCommand::sign(&key, &subject, Uuid::nil(), 1, 2, String::new());
        let metadata = Metadata {
            command_id: Uuid::nil(),
            decided_at_ms: UnixMs(1),
            event_id: Uuid::nil(),
            issuer: key.public(),
            traceparent: Some("00".to_owned()),
        };
        let event = WalletEvent::from(TransferRequested {
            approvals_missing: None,
            not_before_ms: Some(UnixMs(1)),
            request_id: Uuid::nil(),
            request_sha256: Sha256([0; 32]),
            reserves: true,
            sign_by_ms: Some(UnixMs(1)),
            transfer: RequestTransfer {
                amount: Amount(1),
                asset: String::new(),
                network_fee_datoshi: Datoshi(1),
                network_magic: 1,
                system_fee_datoshi: Datoshi(1),
                to: String::new(),
                valid_until_block: 1,
            },
            tx_hash: String::new(),
        });
        let written = [
            serde_json::to_string(&envelope),
            serde_json::to_string(&metadata),
            serde_json::to_string(&event),
            serde_json::to_string(&Answer::Accepted { version: 1 }),
        ];
        for text in written.map(Result::unwrap) {
            assert!(is_canonical(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn sorts_keys_and_drops_white_space() {
        let value: serde_json::Value =
            serde_json::from_str("{\"b\": 1, \"a\": [true, null, \"é\\n\"]}").unwrap();
        assert_eq!(to_string(&value), "{\"a\":[true,null,\"é\\n\"],\"b\":1}");
    }

    #[test]
    fn what_is_out_of_order_is_put_in_order_and_what_is_odd_is_left_to_others() {
        let table = [
            (r#"{"b":[{"d":"}","c":{}}],"a":-1}"#, Some(r#"{"a":-1,"b":[{"c":{},"d":"}"}]}"#)),
            (r#"{"b":true,"ab":null,"a":[],"":""}"#, Some(r#"{"":"","a":[],"ab":null,"b":true}"#)),
            (r#""text""#, Some(r#""text""#)),
            (r#"{"b":1,"a":1.5}"#, None),
            (r#"{"b":1,"a":1e3}"#, None),
            (r#"{"b":1,"a":9007199254740993}"#, None),
            (r#"{"b":1,"é":1}"#, None),
            (r#"{"b":1,"\"":1}"#, None),
            (r#"{"b":1,"a":1,"b":2}"#, None),
        ];
        for (text, expected) in table {
            assert_eq!(rearrange(text).as_deref(), expected, "{text}");
        }
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
