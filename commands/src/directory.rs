//! Who may issue commands and which workers are registered, folded from the log and kept in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use cqrs_es::Aggregate as _;
use nsl_domain::authority::Authority;
use nsl_domain::worker::Worker;
use nsl_event_store::RecordedEvent;
use nsl_schemas::authority::{GrantChain, SERVICE_VERBS};
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
#[derive(Debug, Default)]
pub struct Directory {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    authorities: HashMap<Tenant, Authority>,
    authorities_position: u64,
    workers: HashSet<PublicKey>,
    workers_position: u64,
}

impl Directory {
    /// The aggregate types whose events belong here; each is followed for itself.
    pub const FOLLOWED: [&'static str; 2] = [Authority::TYPE, Worker::TYPE];

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
                state.authorities.entry(tenant).or_default().evolve(parsed);
                state.authorities_position = position;
            }
            Worker::TYPE if position > state.workers_position => {
                let WorkerEvent::WorkerRegistered(parsed) = event.stored().decode().map_err(unreadable)?;
                state.workers.insert(parsed.key);
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
            .and_then(|authority| authority.grant_of(issuer))
            .is_some_and(|grant| grant.covers(subject) && grant.is_in_force(now_ms))
    }

    /// The root key of a tenant, if it has one.
    pub fn root_key(&self, tenant: &Tenant) -> Option<PublicKey> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).authorities.get(tenant)?.root_key()
    }

    /// The links by which `issuer` has its grant for `subject`.
    pub fn chain(&self, issuer: &PublicKey, subject: &CommandSubject) -> Option<GrantChain> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.authorities.get(&granting_tenant(subject))?.chain(issuer)
    }

    /// Whether a worker of this key is registered.
    pub fn has_worker(&self, key: &PublicKey) -> bool {
        self.state.read().unwrap_or_else(PoisonError::into_inner).workers.contains(key)
    }
}

/// Whose grants count for a command.
fn granting_tenant(subject: &CommandSubject) -> Tenant {
    if SERVICE_VERBS.contains(&subject.verb.as_str()) { Tenant::system() } else { subject.tenant.clone() }
}

#[cfg(test)]
mod tests;
