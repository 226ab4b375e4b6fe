//! Our log, filled through its own append, and its replay into the wallet's event enum.

use std::fs::File;
use std::hint::black_box;
use std::io::BufWriter;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nsl_event_log::archive::{self, Archive, ArchiveWriter};
use nsl_event_log::source;
use nsl_event_store::{
    AppendError, CommandAppend, ConnectError, EventPage, EventStore, Fence, LeaseError,
    MAX_COMMANDS_PER_BATCH, MAX_LEASE_TTL, MigrateError, NewEvent, Options, ReadError, Replay, ReplayOptions,
};
use nsl_schemas::canonical;
use nsl_schemas::command::wallet::VmState;
use nsl_schemas::event::wallet::{TransferConfirmed, WalletEvent};
use nsl_schemas::number::Datoshi;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::WORKERS;

/// Streams that the events go round.
const STREAMS: u64 = 1_000;
/// The longest there is; one that expires holds as long as nobody else takes the partition.
const LEASE: Duration = MAX_LEASE_TTL;
/// As long as an issuer's key.
const ISSUER: &str = "UBENCHMARKBENCHMARKBENCHMARKBENCHMARKBENCHMARKBENCHMARKB";
/// As long as a hash.
const SHA256: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("our log cannot be made")]
    Migrate(#[from] MigrateError),
    #[error("our log cannot be opened")]
    Connect(#[from] ConnectError),
    #[error("the partition cannot be taken")]
    Lease(#[from] LeaseError),
    #[error("append failed")]
    Append(#[from] AppendError),
    #[error("replay failed")]
    Read(#[from] ReadError),
    #[error("archive failed")]
    Archive(#[from] archive::Error),
    #[error("the log cannot be named")]
    Source(#[from] source::Error),
    #[error("the archive's file cannot be made")]
    File(#[from] std::io::Error),
    #[error("an event cannot be decoded")]
    Decode(#[from] serde_json::Error),
    #[error("the tables cannot be vacuumed")]
    Vacuum(#[from] sqlx::Error),
    #[error("the partition of the command stream is somebody else's")]
    NoFence,
    #[error("{read} of {events} events were read")]
    Short { read: u64, events: u64 },
}

/// A log of so many events.
pub(super) struct Log {
    store: EventStore,
    url: String,
    fence: Fence,
    events: u64,
}

impl Log {
    pub(super) async fn open(url: &str) -> Result<Self, Error> {
        EventStore::migrate(url).await?;
        let store = EventStore::connect(url, Options::default()).await?;
        let fence = store.take_partitions("benchmark", &[0], LEASE).await?.first().copied();
        Ok(Self { store, url: url.to_owned(), fence: fence.ok_or(Error::NoFence)?, events: 0 })
    }

    /// Appends until there are so many events.
    pub(super) async fn grow(&mut self, events: u64) -> Result<(), Error> {
        while self.events < events {
            let batch = (events - self.events).min(MAX_COMMANDS_PER_BATCH as u64);
            let commands: Vec<_> =
                (self.events..self.events + batch).map(|number| self.command(number)).collect();
            self.store.append(&commands).await?;
            self.events += batch;
        }
        // What autovacuum would do in its time: the first read of a row is not the measurement's.
        let mut session = PgConnection::connect(&self.url).await?;
        sqlx::raw_sql("VACUUM ANALYZE").execute(&mut session).await?;
        Ok(session.close().await?)
    }

    /// As long as a signed command of the bus with one event of about 300 bytes.
    fn command(&self, number: u64) -> CommandAppend {
        let command_id = Uuid::now_v7();
        let stream = number % STREAMS;
        let subject = format!("nsl.v1.cmd.load.wallet.{stream}.record-confirmation");
        let event = WalletEvent::from(TransferConfirmed {
            request_id: command_id,
            tx_hash: format!("0x{SHA256}"),
            block_index: u32::try_from(number).unwrap_or(u32::MAX),
            block_hash: format!("0x{SHA256}"),
            vm_state: VmState::Halt,
            exception: None,
            gas_consumed_datoshi: Datoshi(997_775),
        });
        CommandAppend {
            command_id,
            issuer: ISSUER.to_owned(),
            request_hash: [7; 32],
            envelope: format!(
                r#"{{"command_id":"{command_id}","expires_at_ms":1800000060000,"issued_at_ms":1800000000000,"issuer":"{ISSUER}","payload_sha256":"{SHA256}","signature":"{SHA256}{SHA256}","subject":"{subject}"}}"#
            ),
            subject,
            payload: format!(
                r#"{{"block_hash":"0x{SHA256}","block_index":{number},"tx_hash":"0x{SHA256}"}}"#
            ),
            answer: r#"{"status":"accepted"}"#.to_owned(),
            aggregate_type: "wallet".to_owned(),
            aggregate_id: format!("load.{stream}"),
            expected_version: number / STREAMS,
            events: vec![NewEvent {
                event_id: nsl_event_store::event_id(command_id, 0),
                event_type: "transfer-confirmed".to_owned(),
                event_version: "1.0.0".to_owned(),
                payload: canonical::to_string(&event),
                metadata: format!(r#"{{"command_id":"{command_id}","issuer":"{ISSUER}"}}"#),
            }],
            fence: self.fence,
        }
    }

    /// Reads the whole log into the enum; answers how many events it was.
    pub(super) async fn replay(&self, verify: bool) -> Result<u64, Error> {
        let mut replay = self.pages(verify, None).await?;
        let mut events = 0;
        while let Some(page) = replay.next_page().await? {
            events += decode(&page)?;
        }
        Ok(events)
    }

    /// The pages up to a position.
    pub(super) async fn pages(&self, verify: bool, upto: Option<u64>) -> Result<Replay, Error> {
        let options = ReplayOptions { verify, upto, sessions: WORKERS, ..ReplayOptions::default() };
        Ok(self.store.replay(options).await?)
    }

    /// Writes the whole log as an archive.
    pub(super) async fn archive(&self) -> Result<Archived, Error> {
        let log = source::log_id(self.store.reader()).await?;
        let mut writer = ArchiveWriter::new(BufWriter::new(tempfile::tempfile()?), log, 1)?;
        let mut replay = self.pages(true, None).await?;
        while let Some(page) = replay.next_page().await? {
            writer.append(&page)?;
        }
        let (file, summary, _) = writer.finish()?;
        let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        let bytes = file.metadata()?.len();
        eprintln!("an archive of {} events has {bytes} bytes", summary.events);
        Ok(Archived { archive: Archive::new(file)? })
    }
}

/// The log as an archive.
pub(super) struct Archived {
    archive: Archive<File>,
}

impl Archived {
    /// Reads the whole archive into the enum, blocks on several threads.
    pub(super) fn replay(&self) -> Result<u64, Error> {
        let events = AtomicU64::new(0);
        self.archive.for_each_block(WORKERS, |page| {
            events.fetch_add(decode(page)?, Ordering::Relaxed);
            Ok::<_, Error>(())
        })?;
        Ok(events.into_inner())
    }
}

/// Decodes a page's events.
pub(super) fn decode(page: &EventPage) -> Result<u64, Error> {
    for event in page.iter() {
        black_box(event.decode::<WalletEvent>()?);
    }
    Ok(page.len() as u64)
}
