//! What the launcher says of itself, for questions and metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nsl_enclave_protocol::Endpoint;
use nsl_schemas::query::Rollout;

use super::plan::Phase;

/// Shared by the launcher, which writes it, and those who tell it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board {
    content: Arc<Mutex<Content>>,
}

/// How the pool gets on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    /// Workers that shall serve.
    pub(crate) size: usize,
    /// The last replacement of all workers.
    pub(crate) rollout: Rollout,
    /// Why the last worker that failed did, as long as the pool is smaller than it shall be or a rollout is halted.
    pub(crate) error: Option<String>,
    pub(super) phases: BTreeMap<Endpoint, Phase>,
}

impl Content {
    /// Whether the worker was told to end.
    pub(crate) fn is_stopping(&self, endpoint: &Endpoint) -> bool {
        self.phases.get(endpoint) == Some(&Phase::Stopping)
    }
}

impl Board {
    /// What it says now.
    pub(crate) fn read(&self) -> Content {
        self.content().clone()
    }

    pub(super) fn write(&self, content: Content) {
        *self.content() = content;
    }

    /// Plain data that no panic leaves half changed.
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
