//! The pool's view as this host drives it: gathers endorsements for jobs that carry a reservation, and moves the view on
//! when a worker dies, comes or is to leave. It is believed in nothing: what it mixes up, workers refuse.
//!
//! All of it concerns the workers of this one host; the members of a view are workers that one host reaches.

mod endorsing;
mod keeper;
mod members;
mod newcomers;
mod step;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use nsl_client::Client;
use nsl_enclave_protocol::{Endpoint, Pool, channel};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::pool_view::{Certificate, PoolView, SuccessionError};
use nsl_schemas::query::PoolViewStatus;
use nsl_schemas::reservation::WalletName;
use nsl_schemas::{canonical, errors};

pub(crate) use endorsing::Opening;

use crate::admission::Gatekeeper;

/// Certificates that are kept of one wallet: those of transfers that are under way at once are few.
const CERTIFICATES_PER_WALLET: usize = 8;

/// Why there is no certificate, or no next view, now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no pool is established that endorses reservations")]
    NotEstablished,
    #[error("member did not answer")]
    Call(#[from] channel::Error),
    #[error("member's answer cannot be read")]
    Malformed(#[source] canonical::Error),
    #[error("member answered with something else")]
    Unexpected,
    #[error("member is not connected")]
    Gone,
    #[error("member does not do it ({code}): {message}")]
    Refused { code: String, message: String },
    #[error("{endorsed} of {members} members endorse the reservation, {needed} must")]
    NoMajority {
        endorsed: usize,
        members: usize,
        needed: u8,
        #[source]
        source: Option<Box<Error>>,
    },
    #[error("the log cannot be read")]
    Log(#[from] nsl_client::PoolError),
    #[error("the view cannot be followed by another")]
    Succession(#[from] SuccessionError),
    #[error("the log does not know the worker {0}")]
    Unregistered(PublicKey),
}

impl Error {
    /// Whether a member said that this reservation is not the next one as far as it knows.
    fn is_of_reservation(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == errors::ENDORSEMENT_REFUSED.code)
    }
}

/// A view in use, with where its members are reached.
#[derive(Debug)]
struct Present {
    view: PoolView,
    view_sha256: Sha256,
    /// Those that endorse in it.
    members: BTreeMap<PublicKey, Endpoint>,
    /// Whether it has exactly the workers that serve.
    is_settled: bool,
}

impl Present {
    fn has_majority(&self) -> bool {
        self.members.len() >= usize::from(self.view.majority().threshold)
    }
}

/// What this host knows of the pool's view.
#[derive(Debug)]
pub(crate) struct Views {
    client: Client,
    pool: Pool,
    gatekeeper: Arc<Gatekeeper>,
    timeout: Duration,
    present: RwLock<Option<Arc<Present>>>,
    certificates: Mutex<BTreeMap<WalletName, VecDeque<Certificate>>>,
    /// One reservation of a wallet at a time is brought to its certificate.
    turns: Mutex<BTreeMap<WalletName, Arc<tokio::sync::Mutex<()>>>>,
}

impl Views {
    /// Knows of no view yet; each call to a member takes at most `timeout`.
    pub(crate) fn new(client: Client, pool: Pool, gatekeeper: Arc<Gatekeeper>, timeout: Duration) -> Self {
        let present = RwLock::new(None);
        let (certificates, turns) = (Mutex::default(), Mutex::default());
        Self { client, pool, gatekeeper, timeout, present, certificates, turns }
    }

    /// For people.
    pub(crate) fn status(&self) -> Option<PoolViewStatus> {
        let present = self.present()?;
        Some(PoolViewStatus {
            number: present.view.number,
            members: present.view.members.clone(),
            endorsing: present.members.keys().copied().collect(),
            has_majority: present.has_majority(),
        })
    }

    /// Whether a worker may be sent away: the view, if there is one that can be saved, has exactly the workers that serve,
    /// so it goes on without any one of them.
    pub(crate) fn may_lose_one(&self) -> bool {
        self.present().is_none_or(|present| present.is_settled || !present.has_majority())
    }

    /// Whether the view still counts on the worker.
    pub(crate) fn needs(&self, endpoint: &Endpoint) -> bool {
        self.present().is_some_and(|present| {
            present.has_majority() && present.members.values().any(|member| member == endpoint)
        })
    }

    fn present(&self) -> Option<Arc<Present>> {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_present(&self, present: Option<Present>) {
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = present.map(Arc::new);
    }

    /// Plain data that no panic leaves half changed.
    fn certificates(&self) -> MutexGuard<'_, BTreeMap<WalletName, VecDeque<Certificate>>> {
        self.certificates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, wallet: &WalletName) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody waits for the others: they are made anew when they are wanted.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(wallet.clone()).or_default())
    }
}

/// Keys as a set, to compare memberships.
fn set<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> BTreeSet<PublicKey> {
    keys.into_iter().copied().collect()
}
