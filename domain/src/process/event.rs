//! Events of the aggregates whose requests have processes: a shell follows all of them in one way.

use nsl_schemas::event::secret::SecretEvent;
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::event::{DecodeError, Stored};
use uuid::Uuid;

use super::{State, secret};

/// The types of these aggregates.
pub const AGGREGATES: [&str; 2] = [SECRET, WALLET];
const SECRET: &str = "secret";
const WALLET: &str = "wallet";

/// An event of one of them.
#[derive(Debug, Clone, PartialEq)]
pub enum ProcessEvent {
    /// Of a secret.
    Secret(SecretEvent),
    /// Of a wallet.
    Wallet(WalletEvent),
}

impl ProcessEvent {
    /// Reads a recorded event.
    pub fn decode(stored: Stored<'_>) -> Result<Self, DecodeError> {
        match stored.aggregate_type {
            SECRET => stored.decode().map(Self::Secret),
            // Of any other aggregate it is no wallet's event, and the error says so.
            _ => stored.decode().map(Self::Wallet),
        }
    }

    /// The request whose process it belongs to.
    pub fn request_id(&self) -> Uuid {
        match self {
            Self::Secret(event) => secret::request_id(event),
            Self::Wallet(event) => super::request_id(event),
        }
    }

    /// Whether a process begins with it: there is no state before it.
    pub fn begins(&self) -> bool {
        self.react(None).is_some()
    }

    /// The state of its process after it, from the one before it; `None` as long as there was no request.
    pub fn react(&self, before: Option<State>) -> Option<State> {
        match self {
            Self::Secret(event) => secret::react(before, event),
            Self::Wallet(event) => super::react(before, event),
        }
    }
}

impl From<SecretEvent> for ProcessEvent {
    fn from(event: SecretEvent) -> Self {
        Self::Secret(event)
    }
}

impl From<WalletEvent> for ProcessEvent {
    fn from(event: WalletEvent) -> Self {
        Self::Wallet(event)
    }
}
