//! The life of one process: it may be killed at any moment and frozen for a while, as by SIGKILL and SIGSTOP.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use nsl_event_store::Fence;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use crate::world::World;

/// One process from start to death.
pub(crate) struct Life {
    pub(crate) name: String,
    pub(crate) killed: CancellationToken,
    frozen_until: Mutex<Option<Instant>>,
    /// The leases that it took last.
    leases: Mutex<BTreeMap<u16, (Fence, Arc<Tenure>)>>,
}

impl Life {
    pub(crate) fn new(name: String) -> Self {
        let (killed, frozen_until) = (CancellationToken::new(), Mutex::new(None));
        Self { name, killed, frozen_until, leases: Mutex::default() }
    }

    pub(crate) fn freeze(&self, time: Duration) {
        *self.frozen_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
    }

    pub(crate) fn hold(&self, fence: Fence, tenure: Arc<Tenure>) {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner).insert(fence.partition, (fence, tenure));
    }

    /// The epoch at which it took a partition last.
    pub(crate) fn epoch(&self, partition: u16) -> i64 {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.get(&partition).map_or(0, |(fence, _)| fence.epoch)
    }

    /// Whether it certainly holds a partition.
    pub(crate) fn holds(&self, partition: u16) -> bool {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.get(&partition).is_some_and(|(_, tenure)| tenure.is_held())
    }

    fn frozen(&self) -> Option<Instant> {
        let until = *self.frozen_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| *until > Instant::now())
    }

    /// A step of this process: it waits while frozen, and for ever when dead.
    pub(crate) async fn step(&self) {
        while let Some(until) = self.frozen() {
            tokio::time::sleep_until(until).await;
        }
        if self.killed.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    /// A step before or after which something becomes durable: here crashes and freezes hit.
    pub(crate) async fn failpoint(&self, world: &World, place: &'static str) {
        self.step().await;
        if world.fault("crash", world.mix.crash) {
            world.note(format_args!("{} crashes {place}", self.name));
            self.killed.cancel();
        } else if world.fault("freeze", world.mix.freeze) {
            let milliseconds = world.between(100, 12_000);
            world.note(format_args!("{} freezes {place} for {milliseconds} ms", self.name));
            self.freeze(Duration::from_millis(milliseconds));
        } else if world.chance(50) {
            world.delay(1, 20).await;
        }
        self.step().await;
    }
}

/// What a process knows of a lease of its own: it is lost, or runs out at a time that each renewal puts off.
pub(crate) struct Tenure {
    ends: Mutex<Instant>,
}

impl Tenure {
    pub(crate) fn until(ends: Instant) -> Self {
        Self { ends: Mutex::new(ends) }
    }

    pub(crate) fn prolong(&self, ends: Instant) {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = ends;
    }

    pub(crate) fn lose(&self) {
        self.prolong(Instant::now());
    }

    pub(crate) fn is_held(&self) -> bool {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) > Instant::now()
    }
}

/// A future that makes no progress while its process is frozen.
pub(crate) struct Freezable<F> {
    life: Arc<Life>,
    inner: Pin<Box<F>>,
    thaw: Option<Pin<Box<Sleep>>>,
}

impl<F> Freezable<F> {
    pub(crate) fn new(life: Arc<Life>, inner: F) -> Self {
        Self { life, inner: Box::pin(inner), thaw: None }
    }
}

impl<F: Future> Future for Freezable<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        while let Some(until) = self.life.frozen() {
            let mut thaw = Box::pin(tokio::time::sleep_until(until));
            if thaw.as_mut().poll(context).is_pending() {
                self.thaw = Some(thaw);
                return Poll::Pending;
            }
        }
        self.thaw = None;
        self.inner.as_mut().poll(context)
    }
}
