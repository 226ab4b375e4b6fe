//! Several workers that can each answer any request: the healthy one with the largest share of its credit free is asked.
//! Members may come and go while calls are under way.
//!
//! **What is retried.** A request goes to another member only if it certainly was not handled: its bytes were not
//! written, or the server refused it unhandled. After a write nothing is retried; the error says that the outcome
//! is unknown, and whoever knows the request's meaning decides. A member whose calls keep failing is left alone
//! for a while ([`PoolOptions::open_interval`]), then tried with one call at a time.

mod breaker;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
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
    /// A pool has at most 64 members.
    #[error("pool of {found} workers, expected at most {MEMBERS_MAX}")]
    MemberCount {
        /// Workers asked for.
        found: usize,
    },
    /// The same endpoint twice would count as two workers.
    #[error("endpoint {endpoint} is in the pool already")]
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
    /// True once it takes no new calls because it is to leave.
    pub is_draining: bool,
    /// Calls under way.
    pub outstanding: usize,
    /// Calls that it may have under way at once; 0 while it is not connected.
    pub window: usize,
    /// Calls that it answered.
    pub answered: u64,
}

/// A set of channels to equal workers. Clones share it.
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Replaced as a whole, so that a call looks at one set of members.
    members: RwLock<Members>,
    options: PoolOptions,
    /// Where the search for the least busy begins, so that equals take turns.
    turn: AtomicUsize,
    changed: Arc<Notify>,
}

type Members = Arc<[Arc<Member>]>;

#[derive(Debug)]
struct Member {
    channel: Channel,
    breaker: Mutex<Breaker>,
    is_draining: AtomicBool,
    answered: AtomicU64,
}

impl Member {
    /// The breaker is plain data that no panic leaves half changed.
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn takes_calls(&self) -> bool {
        !self.is_draining.load(Ordering::Relaxed) && matches!(self.channel.health(), Health::Ready)
    }

    /// Orders members by the share of their credit that is taken, without dividing.
    fn is_busier_than(&self, other: &Self) -> std::cmp::Ordering {
        let taken =
            |one: &Self, scale: &Self| one.channel.outstanding().saturating_mul(scale.channel.window());
        taken(self, other).cmp(&taken(other, self))
    }

    /// Learns from a call; true if the member is thereby no longer left alone.
    fn record(&self, outcome: &Result<Vec<u8>, channel::Error>) -> bool {
        match outcome {
            Ok(_) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                return self.breaker().succeed();
            }
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
        let shared = Shared {
            members: RwLock::new(Arc::new([])),
            options,
            turn: AtomicUsize::new(0),
            changed: Arc::default(),
        };
        let pool = Self { shared: Arc::new(shared) };
        endpoints.into_iter().try_for_each(|endpoint| pool.add(endpoint))?;
        Ok(pool)
    }

    /// Takes a further member in; it connects in the background.
    pub fn add(&self, endpoint: Endpoint) -> Result<(), Error> {
        let mut members = self.shared.members.write().unwrap_or_else(PoisonError::into_inner);
        if members.iter().any(|member| *member.channel.endpoint() == endpoint) {
            return Err(Error::DuplicateEndpoint { endpoint });
        }
        if members.len() >= MEMBERS_MAX {
            return Err(Error::MemberCount { found: members.len() + 1 });
        }
        let PoolOptions { channel, failures_to_open, open_interval, admission } = &self.shared.options;
        let member = Member {
            channel: Channel::open(endpoint, *channel, Arc::clone(&self.shared.changed), admission.clone()),
            breaker: Mutex::new(Breaker::new(*failures_to_open, *open_interval)),
            is_draining: AtomicBool::new(false),
            answered: AtomicU64::new(0),
        };
        *members = members.iter().cloned().chain([Arc::new(member)]).collect();
        Ok(())
    }

    /// Gives a member no further calls; those under way go on.
    pub fn drain(&self, endpoint: &Endpoint) {
        if let Some(member) = self.member(endpoint) {
            member.is_draining.store(true, Ordering::Relaxed);
        }
    }

    /// Lets a member go. Its channel closes when the last call under way has ended.
    pub fn remove(&self, endpoint: &Endpoint) {
        let mut members = self.shared.members.write().unwrap_or_else(PoisonError::into_inner);
        *members = members.iter().filter(|member| member.channel.endpoint() != endpoint).cloned().collect();
    }

    fn members(&self) -> Members {
        Arc::clone(&self.shared.members.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn member(&self, endpoint: &Endpoint) -> Option<Arc<Member>> {
        self.members().iter().find(|member| member.channel.endpoint() == endpoint).cloned()
    }

    /// How each member does, in the order in which they came.
    pub fn health(&self) -> Vec<MemberHealth> {
        let now = Instant::now();
        let health = |member: &Arc<Member>| MemberHealth {
            endpoint: member.channel.endpoint().clone(),
            connection: member.channel.health(),
            is_left_alone: !member.breaker().admits(now),
            is_draining: member.is_draining.load(Ordering::Relaxed),
            outstanding: member.channel.outstanding(),
            window: member.channel.window(),
            answered: member.answered.load(Ordering::Relaxed),
        };
        self.members().iter().map(health).collect()
    }

    /// Sends `request` to exactly this member, ready or not, left alone or not. A failure counts like that of any call;
    /// an answer does not, or it would hide that all others fail. `None` if there is no such member.
    pub async fn probe(
        &self,
        endpoint: &Endpoint,
        request: impl Into<Bytes>,
        deadline: Instant,
    ) -> Option<Result<Vec<u8>, channel::Error>> {
        let member = self.member(endpoint)?;
        let outcome = member.channel.call_if_ready(request.into(), deadline).await;
        if outcome.is_err() {
            member.record(&outcome);
        }
        Some(outcome)
    }

    /// Sends `request` to one member and waits for its response until `deadline`; see the module for what is
    /// sent to another.
    pub async fn call(&self, request: impl Into<Bytes>, deadline: Instant) -> Result<Vec<u8>, Error> {
        let request = request.into();
        let mut last_error = None;
        while let Some(member) = self.wait_for_member(deadline).await {
            let outcome = member.channel.call_if_ready(request.clone(), deadline).await;
            if member.record(&outcome) {
                self.shared.changed.notify_waiters();
            }
            match outcome {
                Ok(response) => return Ok(response),
                Err(error) if is_worth_another(&error) => last_error = Some(error),
                Err(error) => return Err(Error::Call(error)),
            }
        }
        Err(Error::NoneAvailable { members: self.members().len(), source: last_error })
    }

    /// Waits until a member is connected and not left alone; `None` when the deadline passed.
    async fn wait_for_member(&self, deadline: Instant) -> Option<Arc<Member>> {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed, also one between the look and the wait.
            changed.as_mut().enable();
            let now = Instant::now();
            if now >= deadline {
                return None;
            }
            let members = self.members();
            if let Some(member) = self.choose(&members, now) {
                return Some(member);
            }
            let reopening = members.iter().filter_map(|member| member.breaker().reopens_at());
            let until = reopening.filter(|at| *at > now).fold(deadline, Instant::min);
            let _ = timeout_at(until, changed).await;
        }
    }

    /// The ready member with the least of its credit taken; equals take turns.
    fn choose(&self, members: &Members, now: Instant) -> Option<Arc<Member>> {
        let start = self.shared.turn.fetch_add(1, Ordering::Relaxed).checked_rem(members.len())?;
        let (later, first) = members.split_at(start);
        let usable = |member: &&Arc<Member>| member.takes_calls() && member.breaker().admits(now);
        loop {
            let members = first.iter().chain(later).filter(usable);
            let member = members.min_by(|one, other| one.is_busier_than(other))?;
            // Another call may have taken this member's one trial; it is then no longer usable.
            if member.breaker().begin(now) {
                return Some(Arc::clone(member));
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
