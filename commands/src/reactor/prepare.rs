//! From an open job to the bytes on the bus: the event, the command behind it, the wallet's state, the issuer's chain.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use nsl_domain::decision::Recorded;
use nsl_domain::reaction::{Cause, Job, job};
use nsl_domain::wallet::Wallet;
use nsl_event_store::{Envelope, EventReader, LoadError, MAX_POSITIONS, ReadError, RecordedEvent};
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::event::DecodeError;
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::job::{CLASS_STANDARD, SUBMIT_KIND};
use nsl_schemas::subject::{self, CommandSubject};

use super::memory::OpenJob;
use crate::directory::Directory;

/// Wallets kept in memory; others are loaded from the log.
const WALLETS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("is not zero");

/// Why a job could not be prepared.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the log cannot be read")]
    Read(#[from] ReadError),
    #[error("the wallet cannot be loaded")]
    Load(#[from] LoadError),
    #[error("event at position {position} cannot be read")]
    Event {
        position: u64,
        #[source]
        source: DecodeError,
    },
    #[error("envelope at position {position} cannot be read, or its job written")]
    Record {
        position: u64,
        #[source]
        source: serde_json::Error,
    },
    #[error("subject at position {position} cannot be read")]
    Subject {
        position: u64,
        #[source]
        source: subject::Error,
    },
    #[error("the log has nothing at position {position}")]
    Missing { position: u64 },
}

/// A job's message.
pub(super) struct Prepared {
    pub(super) kind: &'static str,
    pub(super) subject: String,
    pub(super) payload: Vec<u8>,
}

/// Prepares jobs; wallets are folded from the events that pass by.
pub(super) struct Preparer {
    reader: EventReader,
    directory: Arc<Directory>,
    wallets: LruCache<String, (u64, Wallet)>,
}

impl Preparer {
    pub(super) fn new(reader: EventReader, directory: Arc<Directory>) -> Self {
        Self { reader, directory, wallets: LruCache::new(WALLETS_MAX) }
    }

    /// Takes in the next event of a wallet.
    pub(super) fn observe(&mut self, event: &RecordedEvent, wallet_event: WalletEvent) {
        if event.sequence == 1 {
            self.wallets.put(event.aggregate_id.clone(), (0, Wallet::default()));
        }
        let Some((version, wallet)) = self.wallets.get_mut(&event.aggregate_id) else { return };
        if *version + 1 == event.sequence {
            wallet.evolve(wallet_event);
            *version = event.sequence;
        } else if *version < event.sequence {
            // Something was missed: load it when it is asked for.
            self.wallets.pop(&event.aggregate_id);
        }
    }

    /// The messages of open jobs, in their order; none for a job whose wallet is past it. Events that are not
    /// `at_hand` are read from the log.
    pub(super) async fn prepare(
        &mut self,
        jobs: &[OpenJob],
        at_hand: &[RecordedEvent],
    ) -> Result<Vec<Prepared>, Error> {
        let mut prepared = Vec::with_capacity(jobs.len());
        for jobs in jobs.chunks(MAX_POSITIONS) {
            let positions: Vec<u64> = jobs.iter().map(|job| job.position).collect();
            let commands: HashMap<u64, Envelope> =
                self.reader.envelopes(&positions).await?.into_iter().map(|one| (one.position, one)).collect();
            let mut events: HashMap<u64, &RecordedEvent> =
                at_hand.iter().map(|event| (event.position, event)).collect();
            let missing: Vec<u64> =
                positions.iter().copied().filter(|position| !events.contains_key(position)).collect();
            let read = if missing.is_empty() { Vec::new() } else { self.reader.events_at(&missing).await? };
            events.extend(read.iter().map(|event| (event.position, event)));
            for OpenJob { position, .. } in jobs {
                let missing = || Error::Missing { position: *position };
                let event = events.get(position).ok_or_else(missing)?;
                let command = commands.get(position).ok_or_else(missing)?;
                prepared.extend(self.message(event, command).await?);
            }
        }
        Ok(prepared)
    }

    async fn message(&mut self, event: &RecordedEvent, stored: &Envelope) -> Result<Option<Prepared>, Error> {
        let position = event.position;
        let unreadable = |source| Error::Record { position, source };
        let wallet_event: WalletEvent =
            event.stored().decode().map_err(|source| Error::Event { position, source })?;
        let command = SignedCommand {
            envelope: serde_json::from_str(&stored.envelope).map_err(unreadable)?,
            payload: stored.payload.clone(),
        };
        let subject =
            CommandSubject::parse(&stored.subject).map_err(|source| Error::Subject { position, source })?;
        let authority = self.directory.chain(&command.envelope.issuer, &subject);
        let cause = Cause {
            tenant: &subject.tenant,
            wallet: &subject.id,
            event_id: event.event_id,
            command: &command,
            authority: authority.as_ref(),
        };
        let wallet = self.wallet(&event.aggregate_id).await?;
        let (kind, payload) = match job(&wallet_event, wallet, cause) {
            Some(Job::Enclave(job)) => (job.task.kind(), serde_json::to_vec(&job).map_err(unreadable)?),
            Some(Job::Submit(job)) => (SUBMIT_KIND, serde_json::to_vec(&job).map_err(unreadable)?),
            None => return Ok(None),
        };
        let subject = subject::job(kind, CLASS_STANDARD);
        Ok(Some(Prepared { kind, subject, payload }))
    }

    async fn wallet(&mut self, aggregate_id: &str) -> Result<&Wallet, Error> {
        if !self.wallets.contains(aggregate_id) {
            let (wallet, version) =
                self.reader.load_aggregate::<Wallet>(aggregate_id, Recorded::decode).await?;
            self.wallets.put(aggregate_id.to_owned(), (version, wallet));
        }
        Ok(&self.wallets.get_or_insert(aggregate_id.to_owned(), Default::default).1)
    }
}
