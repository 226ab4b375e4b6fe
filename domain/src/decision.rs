//! What every decision is given and what it may answer.

use std::sync::Arc;

use nsl_schemas::authority::{Build, GenesisManifest, Operators};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::errors::ErrorCode;
use nsl_schemas::event::{DecodeError, Stored, WireEvent};
use nsl_schemas::token::{AggregateId, Tenant};
use nsl_verify::attestation::{Expectation, TrustRoot};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A rule said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Rejection {
    /// Which rule.
    pub code: ErrorCode,
    /// What happened, for people.
    pub message: String,
}

impl Rejection {
    /// A rejection by `code`.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The rejection by a rule of the wallet's policy.
pub(crate) fn denied(denied: nsl_policy::Denied) -> Rejection {
    Rejection::new(denied.code(), denied.to_string())
}

/// What a decision knows apart from the aggregate: established by the shell before it decides.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Event 1 of the log.
    pub genesis: Arc<Genesis>,
    /// What the operators' acts come to, as far as they are known here.
    pub operators: Arc<Operators>,
    /// Whether the worker that signed the outcome at hand is registered, not revoked, and of an allowed build; false
    /// where none is at hand.
    pub worker_is_registered: bool,
    /// How long workers have to sign a transfer that is asked for now, ms.
    pub signing_ms: u64,
}

/// The manifest with what follows from it.
#[derive(Debug)]
pub struct Genesis {
    /// The manifest.
    pub manifest: GenesisManifest,
    /// Its hash.
    pub sha256: Sha256,
    /// Where workers' attestation chains must end.
    pub trust_root: TrustRoot,
}

impl Facts {
    /// What manifest and operators demand of a worker.
    pub(crate) fn expectation(&self) -> Expectation {
        let builds = self.operators.builds().iter().map(Build::measurements);
        Expectation::of_manifest(builds, self.operators.genesis_sha256().0)
    }
}

/// A command as an aggregate receives it.
#[derive(Debug, Clone)]
pub struct Order<C> {
    /// Whose aggregate.
    pub tenant: Tenant,
    /// Its id within the tenant.
    pub id: AggregateId,
    /// The command's id.
    pub command_id: Uuid,
    /// The hash of the signed request.
    pub request_sha256: Sha256,
    /// When its issuer signed it, Unix ms.
    pub issued_at_ms: u64,
    /// When it is decided, Unix ms.
    pub now_ms: u64,
    /// The typed payload.
    pub body: C,
    /// What else is known.
    pub facts: Facts,
}

impl<C> Order<C> {
    /// From when delays run: the issuer's time, or ours where that is later, so that dating back shortens none.
    pub fn asked_at_ms(&self) -> u64 {
        self.issued_at_ms.max(self.now_ms)
    }
}

/// An event of the published language, hosted as a cqrs-es domain event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recorded<E>(pub E);

impl<E: WireEvent> Recorded<E> {
    /// The event that the log holds, in the newest version.
    pub fn decode(stored: Stored<'_>) -> Result<Self, DecodeError> {
        stored.decode().map(Self)
    }
}

impl<E> cqrs_es::DomainEvent for Recorded<E>
where
    E: WireEvent + Clone + PartialEq + std::fmt::Debug + Send + Sync,
{
    fn event_type(&self) -> String {
        self.0.event_name().to_owned()
    }

    fn event_version(&self) -> String {
        self.0.event_version().to_owned()
    }
}

/// Hosts a pure aggregate as a `cqrs_es::Aggregate`: decide, then write each event through the sink.
macro_rules! host_aggregate {
    ($state:ty, $type:literal, $command:ty, $event:ty) => {
        impl cqrs_es::Aggregate for $state {
            const TYPE: &'static str = $type;
            type Command = crate::decision::Order<$command>;
            type Event = crate::decision::Recorded<$event>;
            type Error = crate::decision::Rejection;
            type Services = ();

            async fn handle(
                &mut self,
                order: Self::Command,
                (): &Self::Services,
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in self.decide(&order)? {
                    sink.write(crate::decision::Recorded(event), self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                self.evolve(event.0);
            }
        }
    };
}
pub(crate) use host_aggregate;
