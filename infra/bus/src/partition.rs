//! Partitioned work queues (design D6): the stream's subject transform puts a partition token into the stored subject;
//! the reader restores the published subject, which signatures cover.

use async_nats::jetstream::stream::{DiscardPolicy, RetentionPolicy, SubjectTransform};

use crate::StreamDefinition;
use crate::stream::Intake;

/// How a family of subjects is spread over partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partitioning {
    /// What published subjects begin with, without the last dot.
    pub published_prefix: &'static str,
    /// What stored subjects begin with; the partition follows.
    pub stored_prefix: &'static str,
    /// How many tokens follow the published prefix.
    pub tokens: u8,
    /// How many of them, from the first, choose the partition.
    pub key_tokens: u8,
    /// How many partitions there are. Changing it moves keys: drain first.
    pub partitions: u16,
}

/// Commands: `<tenant>.<aggregate>.<id>` chooses one of 64 partitions, so one aggregate's commands keep their order.
pub const COMMANDS: Partitioning = Partitioning {
    published_prefix: "nsl.v1.cmd",
    stored_prefix: "nsl.v1.cmdp",
    tokens: 4,
    key_tokens: 3,
    partitions: 64,
};

/// The name of the work queue of commands.
pub const COMMAND_STREAM: &str = "NSL_CMD";
/// Commands that wait may take this much disk; then publishers are refused, and nothing accepted is dropped.
const COMMAND_STREAM_BYTES: u64 = 1024 * 1024 * 1024;
/// The default `max_payload` of a NATS server: what passes it reaches our intake, which answers with its own error.
const COMMAND_MESSAGE_BYTES: u32 = 1024 * 1024;
/// The shortest window the server takes: a resend that carries a `Nats-Msg-Id` must not be swallowed, its answer with it.
const COMMAND_DUPLICATE_WINDOW_MS: u64 = 100;

/// A stored subject that this partitioning did not make.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("subject {subject:?} is not a stored subject of {prefix}")]
pub struct Error {
    /// The subject as found.
    pub subject: String,
    /// What it should begin with.
    pub prefix: &'static str,
}

/// A stored subject, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The partition it was stored under.
    pub partition: u16,
    /// The subject as it was published.
    pub published: String,
}

impl Partitioning {
    /// The subject that the stream listens on.
    pub fn published_filter(&self) -> String {
        format!("{}{}", self.published_prefix, ".*".repeat(usize::from(self.tokens)))
    }

    /// The stored subjects of one partition, for its consumer's filter.
    pub fn partition_filter(&self, partition: u16) -> String {
        format!("{}.{partition}.>", self.stored_prefix)
    }

    /// The transform that adds the partition token.
    pub fn transform(&self) -> SubjectTransform {
        let keys: String =
            (1..=self.key_tokens).map(|token| [",".to_owned(), token.to_string()].concat()).collect();
        let kept: String =
            (1..=self.tokens).map(|token| [".{{wildcard(", &token.to_string(), ")}}"].concat()).collect();
        SubjectTransform {
            source: self.published_filter(),
            destination: format!("{}.{{{{partition({}{keys})}}}}{kept}", self.stored_prefix, self.partitions),
        }
    }

    /// The published subject and the partition of a stored one.
    pub fn restore(&self, stored: &str) -> Result<Restored, Error> {
        let restored = stored
            .strip_prefix(self.stored_prefix)
            .and_then(|rest| rest.strip_prefix('.'))
            .and_then(|rest| rest.split_once('.'))
            .filter(|(_, kept)| kept.split('.').count() == usize::from(self.tokens))
            .filter(|(_, kept)| kept.split('.').all(|token| !token.is_empty()))
            .and_then(|(partition, kept)| Some((self.parse_partition(partition)?, kept)))
            .map(|(partition, kept)| Restored {
                partition,
                published: format!("{}.{kept}", self.published_prefix),
            });
        restored.ok_or_else(|| Error { subject: stored.to_owned(), prefix: self.stored_prefix })
    }

    fn parse_partition(&self, token: &str) -> Option<u16> {
        // `+1` and `01` parse as numbers and are not what the server writes.
        token
            .parse()
            .ok()
            .filter(|partition: &u16| *partition < self.partitions && token == partition.to_string())
    }
}

/// The work queue of commands, one consumer a partition.
pub fn command_stream(replicas: u8) -> StreamDefinition {
    StreamDefinition {
        intake: Intake::Subjects {
            subjects: vec![COMMANDS.published_filter()],
            transform: Some(COMMANDS.transform()),
        },
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        max_bytes: Some(COMMAND_STREAM_BYTES),
        max_message_bytes: Some(COMMAND_MESSAGE_BYTES),
        duplicate_window_ms: Some(COMMAND_DUPLICATE_WINDOW_MS),
        replicas,
        ..StreamDefinition::new(COMMAND_STREAM, "Commands that wait for their decision", &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_is_the_one_of_the_design() {
        assert_eq!(
            COMMANDS.transform(),
            SubjectTransform {
                source: "nsl.v1.cmd.*.*.*.*".to_owned(),
                destination:
                    "nsl.v1.cmdp.{{partition(64,1,2,3)}}.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}.\
                              {{wildcard(4)}}"
                        .to_owned(),
            }
        );
    }

    #[test]
    fn only_subjects_that_the_transform_makes_are_restored() {
        let restored = COMMANDS.restore("nsl.v1.cmdp.63.acme.wallet.main.create").unwrap();
        assert_eq!(
            restored,
            Restored { partition: 63, published: "nsl.v1.cmd.acme.wallet.main.create".to_owned() }
        );
        for stored in [
            "",
            "nsl.v1.cmdp",
            "nsl.v1.cmdp.1",
            "nsl.v1.cmdp.64.a.b.c.d",
            "nsl.v1.cmdp.-1.a.b.c.d",
            "nsl.v1.cmdp.+1.a.b.c.d",
            "nsl.v1.cmdp.01.a.b.c.d",
            "nsl.v1.cmdp.x.a.b.c.d",
            "nsl.v1.cmdp.1.a.b.c",
            "nsl.v1.cmdp.1.a.b.c.d.e",
            "nsl.v1.cmdp.1.a..c.d",
            "nsl.v1.cmdpx.1.a.b.c.d",
            "nsl.v1.cmd.a.b.c.d",
        ] {
            assert!(COMMANDS.restore(stored).is_err(), "{stored}");
        }
    }
}
