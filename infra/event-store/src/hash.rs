//! What an event's leaf in the audit log rests on: SHA-256 over records whose every field, the leading domain tag too,
//! is preceded by its length in bytes as a big-endian `u64`, so that no two records have the same bytes.

use sha2::{Digest, Sha256};
use uuid::Uuid;

const EVENT_TAG: &[u8] = b"nsl-event-v1";
const COMMAND_TAG: &[u8] = b"nsl-command-record-v1";

/// The fields of an event that its hash covers.
#[derive(Clone, Copy, Debug)]
pub struct HashedEvent<'a> {
    /// The stream's type.
    pub aggregate_type: &'a str,
    /// The stream's id, `<tenant>.<id>`.
    pub aggregate_id: &'a str,
    /// The event's number in its stream, from 1; hashed as a big-endian `u64`.
    pub sequence: u64,
    /// The event's own id; hashed as its 16 bytes.
    pub event_id: Uuid,
    /// The event's type.
    pub event_type: &'a str,
    /// The version of the event's schema.
    pub event_version: &'a str,
    /// The payload's text as stored.
    pub payload: &'a str,
    /// The metadata's text as stored.
    pub metadata: &'a str,
}

/// Hashes an event: tag `nsl-event-v1`, the fields in their order above, then, for a command's first event, its
/// [`command_hash`], for every other event an empty field.
pub fn content_hash(event: &HashedEvent<'_>, command: Option<&[u8; 32]>) -> [u8; 32] {
    record_hash(&[
        EVENT_TAG,
        event.aggregate_type.as_bytes(),
        event.aggregate_id.as_bytes(),
        &event.sequence.to_be_bytes(),
        event.event_id.as_bytes(),
        event.event_type.as_bytes(),
        event.event_version.as_bytes(),
        event.payload.as_bytes(),
        event.metadata.as_bytes(),
        command.map_or(&[], |hash| hash.as_slice()),
    ])
}

/// Hashes what a command came as: tag `nsl-command-record-v1`, subject, signed envelope, payload.
pub fn command_hash(subject: &str, envelope: &str, payload: &str) -> [u8; 32] {
    record_hash(&[COMMAND_TAG, subject.as_bytes(), envelope.as_bytes(), payload.as_bytes()])
}

fn record_hash(fields: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for field in fields {
        hasher.update((field.len() as u64).to_be_bytes());
        hasher.update(field);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(fields: &[String; 6], sequence: u64, event_id: Uuid) -> HashedEvent<'_> {
        let [aggregate_type, aggregate_id, event_type, event_version, payload, metadata] = fields;
        HashedEvent {
            aggregate_type,
            aggregate_id,
            sequence,
            event_id,
            event_type,
            event_version,
            payload,
            metadata,
        }
    }

    /// Computed apart, by Python's hashlib and struct.pack(">Q", …), from the description in the module's head.
    #[test]
    fn golden_vector() {
        let event = HashedEvent {
            aggregate_type: "wallet",
            aggregate_id: "acme.main",
            sequence: 1,
            event_id: Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10),
            event_type: "created",
            event_version: "1",
            payload: "{\"a\":1}",
            metadata: "{}",
        };
        let command = command_hash("nsl.v1.cmd.acme.wallet.main.create", "{\"issuer\":\"U1\"}", "{}");
        assert_eq!(hex(&command), GOLDEN_COMMAND);
        assert_eq!(hex(&content_hash(&event, Some(&command))), GOLDEN_FIRST);
        assert_eq!(hex(&content_hash(&event, None)), GOLDEN_LATER);
    }

    const GOLDEN_COMMAND: &str = "6d4c18d935e75700e39d5050c821ab86c621c6d36d4e3d1aaaabef59f31fbcaa";
    const GOLDEN_FIRST: &str = "ef557dd488498c485b1113f121217fb4a09ec1aa4aff5e5aa0f128711efa22cd";
    const GOLDEN_LATER: &str = "d8cf6a951a059ceaa7d20337963a0ed1f8259d4def7caa2184730c3726814012";

    fn hex(bytes: &[u8]) -> String {
        use std::fmt::Write as _;
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }

    proptest! {
        /// Text moved over a field's border is another record, although the fields joined are the same bytes.
        #[test]
        fn moving_text_between_neighbours_changes_the_hash(
            fields in prop::array::uniform6("[a-c]{0,4}"), border in 0_usize..5, taken in 1_usize..4,
        ) {
            let mut moved = fields.clone();
            prop_assume!(taken <= fields[border].len());
            let kept = fields[border].len() - taken;
            let tail = moved[border].split_off(kept);
            moved[border + 1].insert_str(0, &tail);
            let id = Uuid::from_u128(7);
            prop_assert_ne!(
                content_hash(&event(&fields, 1, id), None),
                content_hash(&event(&moved, 1, id), None)
            );
        }

        #[test]
        fn equal_hash_means_equal_fields(
            one in prop::array::uniform6("[ab]{0,2}"), other in prop::array::uniform6("[ab]{0,2}"),
            sequences in (1_u64..3, 1_u64..3), ids in (0_u128..2, 0_u128..2),
            commands in (prop::option::of(0_u8..2), prop::option::of(0_u8..2)),
        ) {
            let same = one == other && sequences.0 == sequences.1 && ids.0 == ids.1 && commands.0 == commands.1;
            let hash = |fields, sequence, id, command: Option<u8>| {
                let command = command.map(|byte| [byte; 32]);
                content_hash(&event(fields, sequence, Uuid::from_u128(id)), command.as_ref())
            };
            prop_assert_eq!(
                hash(&one, sequences.0, ids.0, commands.0) == hash(&other, sequences.1, ids.1, commands.1),
                same
            );
        }
    }
}
