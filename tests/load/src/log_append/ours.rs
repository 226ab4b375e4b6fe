//! Our store: versions are kept by the caller, as a partition's owner keeps its aggregates, and checked by the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nsl_event_store::{
    AppendError, CommandAppend, ConnectError, EventStore, Fence, GroupCommit, LeaseError, MigrateError,
    NewEvent, Options, PARTITIONS,
};
use uuid::Uuid;

use super::{AGGREGATES, text};

/// Longer than the whole benchmark.
const LEASE: Duration = Duration::from_mins(5); // the longest that a lease may be

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("our log cannot be made")]
    Migrate(#[from] MigrateError),
    #[error("our log cannot be opened")]
    Connect(#[from] ConnectError),
    #[error("the partitions cannot be taken")]
    Lease(#[from] LeaseError),
    #[error("append failed")]
    Append(#[from] AppendError),
}

/// A log with all partitions held.
#[derive(Clone)]
pub(crate) struct Writer {
    store: EventStore,
    fences: Arc<[Fence]>,
}

/// Callers of the group commit, and what they know of the streams.
#[derive(Clone)]
pub(crate) struct Ours {
    writer: Writer,
    group: GroupCommit,
    versions: Arc<[AtomicU64]>,
}

impl Ours {
    /// Makes the log.
    pub(crate) async fn open(url: &str) -> Result<Self, Error> {
        let writer = Writer::open(url).await?;
        let group = GroupCommit::start(writer.store.clone());
        let versions = (0..AGGREGATES).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { writer, group, versions })
    }

    /// What a client of the closed loop does.
    pub(crate) fn executor(&self) -> impl Fn(usize) -> Execution + Clone + Send + 'static {
        let ours = self.clone();
        move |aggregate| {
            let ours = ours.clone();
            Box::pin(async move { ours.execute(aggregate).await })
        }
    }

    /// A conflict is decided again until it commits, and the latency covers it.
    async fn execute(&self, aggregate: usize) -> Result<(), Error> {
        let version = &self.versions[aggregate];
        let mut command = self.writer.command(aggregate);
        loop {
            command.expected_version = version.load(Ordering::Acquire);
            match self.group.append(command.clone()).await {
                Ok(_) => {
                    version.fetch_max(command.expected_version + 1, Ordering::AcqRel);
                    return Ok(());
                }
                Err(AppendError::Refused(refusal)) if refusal.is_stale_only() => {
                    let actual = refusal.stale.first().map_or(0, |stream| stream.actual);
                    version.fetch_max(actual, Ordering::AcqRel);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Writer {
    /// Makes the log.
    pub(crate) async fn open(url: &str) -> Result<Self, Error> {
        EventStore::migrate(url).await?;
        let store = EventStore::connect(url, Options::default()).await?;
        let partitions: Vec<u16> = (0..PARTITIONS).collect();
        let fences = store.take_partitions("benchmark", &partitions, LEASE).await?.into();
        Ok(Self { store, fences })
    }

    /// Appends a batch without sharing it.
    pub(crate) async fn append(&self, commands: &[CommandAppend]) -> Result<(), Error> {
        self.store.append(commands).await?;
        Ok(())
    }

    /// A command of one event of about 300 bytes, as long as a signed one of the bus.
    pub(crate) fn command(&self, aggregate: usize) -> CommandAppend {
        let command_id = Uuid::now_v7();
        let aggregate_id = format!("load.{aggregate}");
        let subject = format!("nsl.v1.cmd.load.account.{aggregate}.deposit");
        CommandAppend {
            command_id,
            issuer: ISSUER.to_owned(),
            request_hash: [7; 32],
            envelope: format!(
                r#"{{"command_id":"{command_id}","expires_at_ms":1800000060000,"issued_at_ms":1800000000000,"issuer":"{ISSUER}","payload_sha256":"{SHA256}","signature":"{SHA256}{SHA256}","subject":"{subject}"}}"#
            ),
            subject,
            payload: format!(r#"{{"amount":"5","text":"{}"}}"#, text()),
            answer: r#"{"status":"accepted"}"#.to_owned(),
            aggregate_type: "account".to_owned(),
            aggregate_id,
            expected_version: 0,
            events: vec![NewEvent {
                event_id: nsl_event_store::event_id(command_id, 0),
                event_type: "deposited".to_owned(),
                event_version: "1.0.0".to_owned(),
                payload: format!(r#"{{"amount":"5","text":"{}"}}"#, text()),
                metadata: format!(r#"{{"command_id":"{command_id}","issuer":"{ISSUER}"}}"#),
            }],
            fence: self.fences[aggregate % self.fences.len()],
        }
    }
}

/// As long as an issuer's key.
const ISSUER: &str = "UBENCHMARKBENCHMARKBENCHMARKBENCHMARKBENCHMARKBENCHMARKB";
/// As long as a hash.
const SHA256: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

type Execution = std::pin::Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;
