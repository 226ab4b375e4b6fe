//! JetStream streams as data, and bringing a server to them.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, Source};

pub use async_nats::jetstream::stream::{DiscardPolicy, RetentionPolicy, StorageType, SubjectTransform};

use crate::Bus;
use crate::drift::{Comparison, Difference, DriftPolicy, Ensured, listed};

/// JetStream's own word for "no limit".
const UNLIMITED: i64 = -1;

/// Where the messages of a stream come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intake {
    /// It takes what is published on these subjects, stored under the subject that the transform gives.
    Subjects {
        /// Subjects, with wildcards.
        subjects: Vec<String>,
        /// How the stored subject is derived; none keeps the published one.
        transform: Option<SubjectTransform>,
    },
    /// It copies from other streams.
    Sources(Vec<SourceDefinition>),
}

/// A stream to copy from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDefinition {
    /// The stream.
    pub stream: String,
    /// Which subjects of it, and how they are stored; empty takes all as they are.
    pub transforms: Vec<SubjectTransform>,
}

/// A stream. `None` means no limit, or the server's default where that is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamDefinition {
    /// Its name, without spaces and dots.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Where its messages come from.
    pub intake: Intake,
    /// When a message may go.
    pub retention: RetentionPolicy,
    /// Where messages are kept.
    pub storage: StorageType,
    /// What happens at a limit.
    pub discard: DiscardPolicy,
    /// Messages a subject.
    pub max_messages_per_subject: Option<u32>,
    /// Age of a message.
    pub max_age_ms: Option<u64>,
    /// Bytes of the whole stream.
    pub max_bytes: Option<u64>,
    /// Bytes of one message with its headers.
    pub max_message_bytes: Option<u32>,
    /// Deleting single messages is refused for ever.
    pub deny_delete: bool,
    /// Purging is refused for ever.
    pub deny_purge: bool,
    /// The last message of a subject can be asked for by a request that names that subject, so that the right to ask can
    /// be given for some subjects only.
    pub allow_direct: bool,
    /// The sequence of the first message; none is 1.
    pub first_sequence: Option<u64>,
    /// How long `Nats-Msg-Id` repeats are swallowed; none is the server's default of two minutes.
    pub duplicate_window_ms: Option<u64>,
    /// Copies in a cluster.
    pub replicas: u8,
}

/// A stream that is not as it must be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's stream differs, and may not or cannot be changed.
    #[error("stream {stream} differs from its definition: {}", listed(differences))]
    Drift {
        /// The stream.
        stream: String,
        /// Every field that differs.
        differences: Vec<Difference>,
    },
    /// The stream cannot be read.
    #[error("cannot read stream {stream}")]
    Read {
        /// The stream.
        stream: String,
        /// Why.
        #[source]
        source: async_nats::jetstream::context::GetStreamError,
    },
    /// The server refuses the definition.
    #[error("cannot create or update stream {stream}")]
    Write {
        /// The stream.
        stream: String,
        /// Why.
        #[source]
        source: CreateStreamError,
    },
}

impl StreamDefinition {
    /// A file stream without limits over `subjects`; set the fields that differ.
    pub fn new(name: &str, description: &str, subjects: &[&str]) -> Self {
        let subjects = subjects.iter().map(|subject| (*subject).to_owned()).collect();
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            intake: Intake::Subjects { subjects, transform: None },
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            discard: DiscardPolicy::Old,
            max_messages_per_subject: None,
            max_age_ms: None,
            max_bytes: None,
            max_message_bytes: None,
            deny_delete: false,
            deny_purge: false,
            allow_direct: false,
            first_sequence: None,
            duplicate_window_ms: None,
            replicas: 1,
        }
    }

    /// Lays the definition over `base`, whose fields that we do not manage stay as they are.
    fn over(&self, base: Config) -> Config {
        let (subjects, subject_transform, sources) = match &self.intake {
            Intake::Subjects { subjects, transform } => (subjects.clone(), transform.clone(), None),
            Intake::Sources(sources) => (Vec::new(), None, Some(sources.iter().map(source).collect())),
        };
        Config {
            name: self.name.clone(),
            description: Some(self.description.clone()),
            subjects,
            subject_transform,
            sources,
            retention: self.retention,
            storage: self.storage,
            discard: self.discard,
            max_messages_per_subject: self.max_messages_per_subject.map_or(UNLIMITED, i64::from),
            max_age: Duration::from_millis(self.max_age_ms.unwrap_or(0)),
            max_bytes: self.max_bytes.map_or(UNLIMITED, |limit| i64::try_from(limit).unwrap_or(i64::MAX)),
            max_message_size: self
                .max_message_bytes
                .map_or(-1, |limit| i32::try_from(limit).unwrap_or(i32::MAX)),
            deny_delete: self.deny_delete,
            deny_purge: self.deny_purge,
            allow_direct: self.allow_direct,
            first_sequence: self.first_sequence.or(base.first_sequence),
            duplicate_window: self.duplicate_window_ms.map_or(base.duplicate_window, Duration::from_millis),
            num_replicas: usize::from(self.replicas),
            ..base
        }
    }
}

impl Bus {
    /// Creates the stream, or compares it with the definition and acts on a difference as `policy` says.
    pub async fn ensure_stream(
        &self,
        definition: &StreamDefinition,
        policy: DriftPolicy,
    ) -> Result<Ensured, Error> {
        let stream = definition.name.clone();
        if let Some(found) = self.stream_config(&stream).await? {
            return self.settle_stream(definition, found, policy).await;
        }
        match self.jetstream().create_stream(definition.over(Config::default())).await {
            Ok(_) => Ok(Ensured::Created),
            // Another process was faster with another version of the definition.
            Err(source) if error_code(&source) == Some(ErrorCode::STREAM_NAME_EXIST) => {
                match self.stream_config(&stream).await? {
                    Some(found) => self.settle_stream(definition, found, policy).await,
                    None => Err(Error::Write { stream, source }),
                }
            }
            Err(source) => Err(Error::Write { stream, source }),
        }
    }

    async fn settle_stream(
        &self,
        definition: &StreamDefinition,
        found: Config,
        policy: DriftPolicy,
    ) -> Result<Ensured, Error> {
        let stream = definition.name.clone();
        let wanted = definition.over(found.clone());
        let comparison = compare(&found, &wanted);
        if comparison.0.is_empty() {
            return Ok(Ensured::Unchanged);
        }
        if !comparison.may_update(policy) {
            return Err(Error::Drift { stream, differences: comparison.0 });
        }
        self.jetstream().update_stream(wanted).await.map_err(|source| Error::Write { stream, source })?;
        Ok(Ensured::Updated(comparison.0))
    }

    async fn stream_config(&self, stream: &str) -> Result<Option<Config>, Error> {
        match self.jetstream().get_stream(stream).await {
            Ok(found) => Ok(Some(found.cached_info().config.clone())),
            Err(source) => match source.kind() {
                GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    Ok(None)
                }
                _ => Err(Error::Read { stream: stream.to_owned(), source }),
            },
        }
    }
}

fn source(definition: &SourceDefinition) -> Source {
    Source {
        name: definition.stream.clone(),
        subject_transforms: definition.transforms.clone(),
        ..Source::default()
    }
}

fn error_code(error: &CreateStreamError) -> Option<ErrorCode> {
    match error.kind() {
        CreateStreamErrorKind::JetStream(error) => Some(error.error_code()),
        _ => None,
    }
}

fn compare(found: &Config, wanted: &Config) -> Comparison {
    let mut comparison = Comparison::default();
    comparison.field("description", &found.description, &wanted.description);
    comparison.field("subjects", &found.subjects, &wanted.subjects);
    comparison.field("transform", &found.subject_transform, &wanted.subject_transform);
    comparison.field("sources", &found.sources, &wanted.sources);
    comparison.fixed("retention", &found.retention, &wanted.retention);
    comparison.fixed("storage", &found.storage, &wanted.storage);
    comparison.field("discard", &found.discard, &wanted.discard);
    comparison.field(
        "max_messages_per_subject",
        &found.max_messages_per_subject,
        &wanted.max_messages_per_subject,
    );
    comparison.field("max_age", &found.max_age, &wanted.max_age);
    comparison.field("max_bytes", &found.max_bytes, &wanted.max_bytes);
    comparison.field("max_message_bytes", &found.max_message_size, &wanted.max_message_size);
    comparison.field("allow_direct", &found.allow_direct, &wanted.allow_direct);
    comparison.latch("deny_delete", found.deny_delete, wanted.deny_delete);
    comparison.latch("deny_purge", found.deny_purge, wanted.deny_purge);
    comparison.fixed("first_sequence", &found.first_sequence, &wanted.first_sequence);
    comparison.field("duplicate_window", &found.duplicate_window, &wanted.duplicate_window);
    comparison.field("replicas", &found.num_replicas, &wanted.num_replicas);
    comparison
}
