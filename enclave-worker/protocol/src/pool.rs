//! Several workers that can each answer any request: the least busy healthy one is asked.
//!
//! **What is retried.** A request goes to another member only if it certainly was not handled: its bytes were not
//! written, or the server refused it unhandled. After a write nothing is retried; the error says that the outcome
//! is unknown, and whoever knows the request's meaning decides. A member whose calls keep failing is left alone
//! for a while ([`PoolOptions::open_interval`]), then tried with one call at a time.

mod breaker;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::channel::{self, Admission, Channel, ChannelOptions, Health};
use crate::endpoint::Endpoint;
use crate::frame::Refusal;
use breaker::Breaker;

/// Most workers of one pool: choosing looks at each, and a host has as many enclaves as it has cores.
pub const MEMBERS_MAX: usize = 64;

/// How a pool chooses.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// How each member connects.
    pub channel: ChannelOptions,
    /// Failed calls in a row after which a member is left alone.
    pub failures_to_open: u32,
    /// For how long it is left alone, and between two trial calls after that.
    pub open_interval: Duration,
    /// Where there is one, a member takes calls only over connections that it admitted.
    pub admission: Option<Arc<dyn Admission>>,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            channel: ChannelOptions::default(),
            failures_to_open: 3,
            open_interval: Duration::from_secs(5),
            admission: None,
        }
    }
}

/// Why a pool has no response.
#[derive(Debug, Error)]
pub enum Error {
    /// A pool needs 1 to 64 endpoints.
    #[error("pool of {found} endpoints, expected 1 to {MEMBERS_MAX}")]
    MemberCount {
        /// Endpoints given.
        found: usize,
    },
    /// The same endpoint twice would count as two workers.
    #[error("endpoint {endpoint} is given twice")]
    DuplicateEndpoint {
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// No member could take the request before the deadline; it was not handled.
    #[error("none of {members} workers could take the request before the deadline")]
    NoneAvailable {
        /// Members of the pool.
        members: usize,
        /// What the last member tried said, if one was tried.
        #[source]
        source: Option<channel::Error>,
    },
    /// A member took the request and gave no response.
    #[error(transparent)]
    Call(#[from] channel::Error),
}

impl Error {
    /// True if the request certainly was not handled, so that it may be sent again.
    pub fn is_unhandled(&self) -> bool {
        match self {
            Self::MemberCount { .. } | Self::DuplicateEndpoint { .. } | Self::NoneAvailable { .. } => true,
            Self::Call(error) => error.is_unhandled(),
        }
    }
}

/// How a member does.
#[derive(Debug, Clone)]
pub struct MemberHealth {
    /// Which member.
    pub endpoint: Endpoint,
    /// Its connection.
    pub connection: Health,
    /// True while it is left alone because its calls kept failing.
    pub is_left_alone: bool,
    /// Calls under way.
    pub outstanding: usize,
}

/// A set of channels to equal workers. Clones share it.
#[derive(Debug, Clone)]
pub struct Pool {
    members: Arc<[Member]>,
    /// Where the search for the least busy begins, so that equals take turns.
    turn: Arc<AtomicUsize>,
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct Member {
    channel: Channel,
    breaker: Mutex<Breaker>,
}

impl Member {
    /// The breaker is plain data that no panic leaves half changed.
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ready(&self) -> bool {
        matches!(self.channel.health(), Health::Ready)
    }

    /// Learns from a call; true if the member is thereby no longer left alone.
    fn record(&self, outcome: &Result<Vec<u8>, channel::Error>) -> bool {
        match outcome {
            Ok(_) => return self.breaker().succeed(),
            Err(error) if is_members_fault(error) => self.breaker().fail(Instant::now()),
            Err(_) => {}
        }
        false
    }
}

/// A request over a limit is the caller's fault, and one never sent says nothing about the member's answers.
fn is_members_fault(error: &channel::Error) -> bool {
    use channel::Error::{DeadlineExceeded, Refused, Unavailable};
    matches!(
        error,
        DeadlineExceeded { .. } | Unavailable { .. } | Refused { refusal: Refusal::HandlerFailed, .. }
    )
}

impl Pool {
    /// Opens a channel to each endpoint; they connect in the background of the Tokio runtime this is called in.
    pub fn open(endpoints: Vec<Endpoint>, options: PoolOptions) -> Result<Self, Error> {
        if !(1..=MEMBERS_MAX).contains(&endpoints.len()) {
            return Err(Error::MemberCount { found: endpoints.len() });
        }
        let mut sorted = endpoints.clone();
        sorted.sort();
        if let Some([endpoint, _]) = sorted.array_windows().find(|[one, next]| one == next) {
            return Err(Error::DuplicateEndpoint { endpoint: endpoint.clone() });
        }
        let changed = Arc::new(Notify::new());
        let PoolOptions { channel, failures_to_open, open_interval, admission } = options;
        let member = |endpoint| Member {
            channel: Channel::open(endpoint, channel, Arc::clone(&changed), admission.clone()),
            breaker: Mutex::new(Breaker::new(failures_to_open, open_interval)),
        };
        Ok(Self { members: endpoints.into_iter().map(member).collect(), turn: Arc::default(), changed })
    }

    /// How each member does, in the order of the endpoints.
    pub fn health(&self) -> Vec<MemberHealth> {
        let now = Instant::now();
        let health = |member: &Member| MemberHealth {
            endpoint: member.channel.endpoint().clone(),
            connection: member.channel.health(),
            is_left_alone: !member.breaker().admits(now),
            outstanding: member.channel.outstanding(),
        };
        self.members.iter().map(health).collect()
    }

    /// Sends `request` to one member and waits for its response until `deadline`; see the module for what is
    /// sent to another.
    pub async fn call(&self, request: impl Into<Bytes>, deadline: Instant) -> Result<Vec<u8>, Error> {
        let request = request.into();
        let mut last_error = None;
        while let Some(member) = self.wait_for_member(deadline).await {
            let outcome = member.channel.call_if_ready(request.clone(), deadline).await;
            if member.record(&outcome) {
                self.changed.notify_waiters();
            }
            match outcome {
                Ok(response) => return Ok(response),
                Err(error) if is_worth_another(&error) => last_error = Some(error),
                Err(error) => return Err(Error::Call(error)),
            }
        }
        Err(Error::NoneAvailable { members: self.members.len(), source: last_error })
    }

    /// Waits until a member is connected and not left alone; `None` when the deadline passed.
    async fn wait_for_member(&self, deadline: Instant) -> Option<&Member> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed, also one between the look and the wait.
            changed.as_mut().enable();
            let now = Instant::now();
            if now >= deadline {
                return None;
            }
            if let Some(member) = self.choose(now) {
                return Some(member);
            }
            let reopening = self.members.iter().filter_map(|member| member.breaker().reopens_at());
            let until = reopening.filter(|at| *at > now).fold(deadline, Instant::min);
            let _ = timeout_at(until, changed).await;
        }
    }

    /// The ready member with the fewest calls under way; equals take turns.
    fn choose(&self, now: Instant) -> Option<&Member> {
        let start = self.turn.fetch_add(1, Ordering::Relaxed) % self.members.len();
        let (later, first) = self.members.split_at(start);
        let usable = |member: &&Member| member.is_ready() && member.breaker().admits(now);
        loop {
            let members = first.iter().chain(later).filter(usable);
            let member = members.min_by_key(|member| member.channel.outstanding())?;
            // Another call may have taken this member's one trial; it is then no longer usable.
            if member.breaker().begin(now) {
                return Some(member);
            }
        }
    }
}

/// The connection was gone or the server is leaving: another member can take the request as it is. Each of these
/// goes with a change of the member's health, so the loop does not spin on one member.
fn is_worth_another(error: &channel::Error) -> bool {
    use channel::Error::{NotConnected, Refused};
    matches!(error, NotConnected { .. } | Refused { refusal: Refusal::ShuttingDown, .. })
}
