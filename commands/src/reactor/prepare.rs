//! From an open job to the bytes on the bus: the event, the command behind it, the wallet's state, the issuer's chain.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use nsl_domain::decision::Recorded;
use nsl_domain::process::{Cause, Job, job};
use nsl_domain::wallet::Wallet;
use nsl_event_store::{Envelope, EventReader, LoadError, MAX_POSITIONS, ReadError, RecordedEvent};
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::event::DecodeError;
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::job::{CLASS_STANDARD, EnclaveTask, SUBMIT_KIND};
use nsl_schemas::subject::{self, CommandSubject};
use uuid::Uuid;

use super::turns::Turns;
use crate::clock;
use crate::directory::Directory;

/// Wallets kept in memory; others are loaded from the log.
pub(super) const WALLETS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("is not zero");

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
    turns: Turns,
}

impl Preparer {
    pub(super) fn new(reader: EventReader, directory: Arc<Directory>) -> Self {
        Self { reader, directory, wallets: LruCache::new(WALLETS_MAX), turns: Turns::default() }
    }

    /// Whether the event may make it another transfer's turn to reserve.
    pub(super) fn may_pass_turn(&self, event: &RecordedEvent, wallet_event: &WalletEvent) -> bool {
        self.turns.may_pass(&event.aggregate_id, wallet_event)
    }

    /// The transfers of these wallets whose turn to reserve has come at `now_ms`.
    pub(super) async fn turns(&mut self, wallets: BTreeSet<&str>, now_ms: u64) -> Result<Vec<Uuid>, Error> {
        let mut come = Vec::new();
        for aggregate_id in wallets {
            self.keep(aggregate_id).await?;
            let wallet = self.wallets.get(aggregate_id).map(|(_, wallet)| wallet);
            come.extend(wallet.and_then(|wallet| self.turns.next(aggregate_id, wallet, now_ms)));
        }
        Ok(come)
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

    /// The messages of the jobs that the events at these positions ask for, in their order; none for a job whose wallet
    /// is past it, nor for one that reserves while it is another transfer's turn. Events that are not `at_hand` are read from the log.
    pub(super) async fn prepare(
        &mut self,
        jobs: &[u64],
        at_hand: &[RecordedEvent],
    ) -> Result<Vec<Prepared>, Error> {
        let mut prepared = Vec::with_capacity(jobs.len());
        for positions in jobs.chunks(MAX_POSITIONS) {
            let commands: HashMap<u64, Envelope> =
                self.reader.envelopes(positions).await?.into_iter().map(|one| (one.position, one)).collect();
            let mut events: HashMap<u64, &RecordedEvent> =
                at_hand.iter().map(|event| (event.position, event)).collect();
            let missing: Vec<u64> =
                positions.iter().copied().filter(|position| !events.contains_key(position)).collect();
            let read = if missing.is_empty() { Vec::new() } else { self.reader.events_at(&missing).await? };
            events.extend(read.iter().map(|event| (event.position, event)));
            for position in positions {
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
        let reserves_next = wallet.reserves_next(clock::now_ms());
        let (kind, payload) = match job(&wallet_event, wallet, cause) {
            // Reserved out of turn, it would not follow the wallet's last reservation.
            Some(Job::Enclave(job))
                if matches!(job.task, EnclaveTask::ReserveTransfer { .. })
                    && reserves_next != Some(command.envelope.command_id) =>
            {
                return Ok(None);
            }
            Some(Job::Enclave(job)) => (job.task.kind(), serde_json::to_vec(&job).map_err(unreadable)?),
            Some(Job::Submit(job)) => (SUBMIT_KIND, serde_json::to_vec(&job).map_err(unreadable)?),
            None => return Ok(None),
        };
        let subject = subject::job(kind, CLASS_STANDARD);
        Ok(Some(Prepared { kind, subject, payload }))
    }

    async fn wallet(&mut self, aggregate_id: &str) -> Result<&Wallet, Error> {
        self.keep(aggregate_id).await?;
        Ok(&self.wallets.get_or_insert(aggregate_id.to_owned(), Default::default).1)
    }

    /// Sees to it that the wallet is in memory.
    async fn keep(&mut self, aggregate_id: &str) -> Result<(), Error> {
        if !self.wallets.contains(aggregate_id) {
            let (wallet, version) =
                self.reader.load_aggregate::<Wallet>(aggregate_id, Recorded::decode).await?;
            self.wallets.put(aggregate_id.to_owned(), (version, wallet));
        }
        Ok(())
    }
}
