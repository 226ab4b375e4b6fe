//! From an open job to the bytes on the bus: the event, the command behind it, the aggregate's state, the issuer's chain.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use nsl_domain::process::{Cause, Job, ProcessEvent, job, secret_job};
use nsl_domain::secret::Secret;
use nsl_domain::wallet::Wallet;
use nsl_event_store::{Envelope, EventReader, LoadError, MAX_POSITIONS, ReadError, RecordedEvent};
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::event::DecodeError;
use nsl_schemas::job::{CLASS_STANDARD, EnclaveTask, SUBMIT_KIND};
use nsl_schemas::subject::{self, CommandSubject};
use uuid::Uuid;

use super::folded::Folded;
use super::turns::Turns;
use crate::clock;
use crate::directory::Directory;

/// Wallets kept in memory; others are loaded from the log.
pub(super) const WALLETS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("is not zero");
/// Secrets kept in memory, each with its ciphertext: 10 MiB at most.
const SECRETS_MAX: NonZeroUsize = NonZeroUsize::new(1_000).expect("is not zero");

/// Why a job could not be prepared.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the log cannot be read")]
    Read(#[from] ReadError),
    #[error("the aggregate cannot be loaded")]
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

/// Prepares jobs; aggregates are folded from the events that pass by.
pub(super) struct Preparer {
    reader: EventReader,
    directory: Arc<Directory>,
    secrets: Folded<Secret>,
    wallets: Folded<Wallet>,
    turns: Turns,
}

impl Preparer {
    pub(super) fn new(reader: EventReader, directory: Arc<Directory>) -> Self {
        let (secrets, wallets) = (Folded::new(SECRETS_MAX), Folded::new(WALLETS_MAX));
        Self { reader, directory, secrets, wallets, turns: Turns::default() }
    }

    /// Whether the event may make it another transfer's turn to reserve.
    pub(super) fn may_pass_turn(&self, recorded: &RecordedEvent, event: &ProcessEvent) -> bool {
        match event {
            ProcessEvent::Secret(_) => false,
            ProcessEvent::Wallet(event) => self.turns.may_pass(&recorded.aggregate_id, event),
        }
    }

    /// The transfers of these wallets whose turn to reserve has come at `now_ms`.
    pub(super) async fn turns(&mut self, wallets: BTreeSet<&str>, now_ms: u64) -> Result<Vec<Uuid>, Error> {
        let mut come = Vec::new();
        for aggregate_id in wallets {
            let wallet = self.wallets.get(&self.reader, aggregate_id).await?;
            come.extend(self.turns.next(aggregate_id, wallet, now_ms));
        }
        Ok(come)
    }

    /// Takes in the next event.
    pub(super) fn observe(&mut self, recorded: &RecordedEvent, event: ProcessEvent) {
        match event {
            ProcessEvent::Secret(event) => self.secrets.observe(recorded, event),
            ProcessEvent::Wallet(event) => self.wallets.observe(recorded, event),
        }
    }

    /// The messages of the jobs that the events at these positions ask for, in their order; none for a job whose
    /// aggregate is past it, nor for one that reserves while it is another transfer's turn. Events that are not
    /// `at_hand` are read from the log.
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
        let asking =
            ProcessEvent::decode(event.stored()).map_err(|source| Error::Event { position, source })?;
        let command = SignedCommand {
            envelope: serde_json::from_str(&stored.envelope).map_err(unreadable)?,
            payload: stored.payload.clone(),
        };
        let subject =
            CommandSubject::parse(&stored.subject).map_err(|source| Error::Subject { position, source })?;
        let authority = self.directory.chain(&command.envelope.issuer, &subject);
        let cause = Cause {
            tenant: &subject.tenant,
            id: &subject.id,
            event_id: event.event_id,
            command: &command,
            authority: authority.as_ref(),
        };
        let (reader, id) = (&self.reader, &event.aggregate_id);
        let job = match &asking {
            ProcessEvent::Secret(event) => secret_job(event, self.secrets.get(reader, id).await?, cause),
            ProcessEvent::Wallet(event) => {
                let wallet = self.wallets.get(reader, id).await?;
                let is_turn = wallet.reserves_next(clock::now_ms()) == Some(command.envelope.command_id);
                // Reserved out of turn, it would not follow the wallet's last reservation.
                job(event, wallet, cause).filter(|job| is_turn || !reserves(job))
            }
        };
        let (kind, payload) = match job {
            Some(Job::Enclave(job)) => (job.task.kind(), serde_json::to_vec(&job).map_err(unreadable)?),
            Some(Job::Submit(job)) => (SUBMIT_KIND, serde_json::to_vec(&job).map_err(unreadable)?),
            None => return Ok(None),
        };
        let subject = subject::job(kind, CLASS_STANDARD);
        Ok(Some(Prepared { kind, subject, payload }))
    }
}

fn reserves(job: &Job) -> bool {
    matches!(job, Job::Enclave(job) if matches!(job.task, EnclaveTask::ReserveTransfer { .. }))
}
