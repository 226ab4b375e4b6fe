//! Who may issue commands, which workers count, and what the operators decided: folded from the log, kept in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use cqrs_es::Aggregate as _;
use nsl_domain::authority::Authority;
use nsl_domain::worker::Worker;
use nsl_event_store::RecordedEvent;
use nsl_schemas::authority::{GenesisManifest, GrantChain, Operators, SERVICE_VERBS};
use nsl_schemas::bytes::Pcr;
use nsl_schemas::event::DecodeError;
use nsl_schemas::event::authority::AuthorityEvent;
use nsl_schemas::event::worker::WorkerEvent;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::subject::{self, CommandSubject};
use nsl_schemas::token::Tenant;

/// An event of authority that this build cannot read; going on would decide by half of the grants.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is damaged, or newer than this build.
    #[error("event at position {position} cannot be read")]
    Payload {
        /// Where.
        position: u64,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// Its stream's id.
    #[error("event at position {position} has a malformed stream id")]
    Stream {
        /// Where.
        position: u64,
        /// Why.
        #[source]
        source: subject::Error,
    },
}

/// The directory; shared by intake, processor and reactor.
#[derive(Debug)]
pub struct Directory {
    state: RwLock<State>,
    refreshes_paid_until: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct State {
    authorities: HashMap<Tenant, Authority>,
    authorities_position: u64,
    operators: Arc<Operators>,
    /// Each with the measured image that it was registered as.
    workers: HashMap<PublicKey, Pcr>,
    workers_position: u64,
    followed: HashMap<&'static str, u64>,
}

impl Directory {
    /// The aggregate types whose events belong here; each is followed for itself.
    pub const FOLLOWED: [&'static str; 2] = [Authority::TYPE, Worker::TYPE];

    /// What holds before the log's second event.
    pub fn of_genesis(manifest: &GenesisManifest) -> Self {
        let state = State {
            authorities: HashMap::new(),
            authorities_position: 0,
            operators: Arc::new(Operators::of_genesis(manifest)),
            workers: HashMap::new(),
            workers_position: 0,
            followed: HashMap::new(),
        };
        Self { state: RwLock::new(state), refreshes_paid_until: Mutex::default() }
    }

    /// The position up to which all events of the aggregate type are here.
    pub(crate) fn followed_to(&self, aggregate_type: &str) -> u64 {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.followed.get(aggregate_type).copied().unwrap_or(0)
    }

    /// All events of the aggregate type up to the position were applied, from the one on that was followed to before.
    pub(crate) fn follow_to(&self, aggregate_type: &str, position: u64) {
        let Some(followed) = Self::FOLLOWED.into_iter().find(|one| *one == aggregate_type) else { return };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let reached = state.followed.entry(followed).or_default();
        *reached = position.max(*reached);
    }

    /// Whether a refresh may begin now: one an `interval` in the long run, and `burst` of them at once after a rest.
    pub(crate) fn begin_refresh(&self, now: Instant, interval: Duration, burst: u32) -> bool {
        let mut paid_until = self.refreshes_paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        let from = paid_until.map_or(now, |paid_until| paid_until.max(now));
        let may_begin = from.duration_since(now) < interval * burst;
        if may_begin {
            *paid_until = Some(from + interval);
        }
        may_begin
    }

    /// Takes in the next event of its aggregate type; events of other types and repeats change nothing.
    pub fn apply(&self, event: &RecordedEvent) -> Result<(), Error> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let position = event.position;
        let unreadable = |source| Error::Payload { position, source };
        match event.aggregate_type.as_str() {
            Authority::TYPE if position > state.authorities_position => {
                let parsed: AuthorityEvent = event.stored().decode().map_err(unreadable)?;
                let (tenant, _) = subject::split_stream_id(&event.aggregate_id)
                    .map_err(|source| Error::Stream { position, source })?;
                let authority = state.authorities.entry(tenant).or_default();
                authority.evolve(parsed);
                if let Some(operators) = authority.operators().cloned() {
                    state.operators = Arc::new(operators);
                }
                state.authorities_position = position;
            }
            Worker::TYPE if position > state.workers_position => {
                let WorkerEvent::WorkerRegistered(parsed) = event.stored().decode().map_err(unreadable)?;
                state.workers.insert(parsed.key, parsed.pcr0);
                state.workers_position = position;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether `issuer` may issue `subject` at `now_ms`. The statements' signatures were checked when they were
    /// recorded.
    pub fn is_authorised(&self, issuer: &PublicKey, subject: &CommandSubject, now_ms: u64) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state
            .authorities
            .get(&granting_tenant(subject))
            .filter(|authority| authority.root().is_some_and(|root| state.operators.keeps_root(root)))
            .and_then(|authority| authority.grant_of(issuer))
            .is_some_and(|grant| grant.covers(subject) && grant.is_in_force(now_ms))
    }

    /// The root key of a tenant, if it has one.
    pub fn root_key(&self, tenant: &Tenant) -> Option<PublicKey> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).authorities.get(tenant)?.root_key()
    }

    /// The links by which `issuer` has its grant for `subject`, and what took it back: whoever is shown them judges.
    pub fn chain(&self, issuer: &PublicKey, subject: &CommandSubject) -> Option<GrantChain> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.authorities.get(&granting_tenant(subject))?.chain(issuer)
    }

    /// What the operators' acts come to.
    pub fn operators(&self) -> Arc<Operators> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner).operators)
    }

    /// Whether a worker of this key is registered, was not revoked, and is of a build that is allowed still.
    pub fn has_worker(&self, key: &PublicKey) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let is_allowed = |pcr0: &Pcr| state.operators.builds().iter().any(|build| build.pcr0 == *pcr0);
        state.workers.get(key).is_some_and(is_allowed) && !state.operators.is_revoked(key)
    }
}

/// Whose grants count for a command.
fn granting_tenant(subject: &CommandSubject) -> Tenant {
    if SERVICE_VERBS.contains(&subject.verb.as_str()) { Tenant::system() } else { subject.tenant.clone() }
}

#[cfg(test)]
mod tests;
