//! A wallet: a Neo N3 account whose key is born, sealed and used in the enclave under a policy.

mod approve_transfer;
mod cancel_request;
mod create;
mod expire_request;
mod record_confirmation;
mod record_expiry;
mod record_outcome;
mod request_transfer;
mod reseal_key;
mod reserve_transfer;
mod set_policy;
mod shared;

use std::sync::Arc;

use nsl_neo::PublicKey;
use nsl_schemas::authority::Signed;
use nsl_schemas::command::wallet::{RequestTransfer, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::number::UnixMs;
use nsl_schemas::outcome::SealedKey;
use nsl_schemas::policy::{Policy, TransferApproval};
use nsl_schemas::reservation::SealedReservation;
use rpds::RedBlackTreeMapSync;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::decision::{Order, Rejection, host_aggregate};
use crate::outcome::Request;

/// Most transfers of one wallet that may be under way: bounds the state, and with it every load of it.
pub const OPEN_TRANSFERS_MAX: usize = 256;

/// Most transfers of one wallet that may have a reservation and no signature yet. The state holds those reservations, of up
/// to 15 KiB each; and what is reserved and never signed is taken all the same, so few are reserved ahead.
pub const RESERVED_MAX: usize = 16;

/// The state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Wallet {
    phase: Phase,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
enum Phase {
    /// Never asked for, or refused by the enclave.
    #[default]
    Absent,
    /// Asked for; a worker has the job.
    Creating {
        request: Request,
        #[serde(with = "shared")]
        policy: Arc<Policy>,
    },
    /// The key exists.
    Open(Box<OpenWallet>),
}

/// The state of a wallet with a key. Every decision makes a copy, so what may be large is shared between copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenWallet {
    /// None where the log holds no point of the curve: `record_outcome` takes none.
    public_key: Option<PublicKey>,
    #[serde(with = "shared")]
    policy: Arc<Policy>,
    #[serde(with = "shared")]
    sealed_key: Arc<SealedKey>,
    policy_change: Option<PolicyChange>,
    key_reseal: Option<KeyReseal>,
    #[serde(with = "shared::optional")]
    last_reservation: Option<Arc<SealedReservation>>,
    /// By the ids of their requests.
    transfers: RedBlackTreeMapSync<Uuid, Transfer>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Transfer {
    /// A worker has the job.
    Requested {
        request: Request,
        #[serde(with = "shared")]
        transfer: Arc<RequestTransfer>,
        #[serde(with = "shared")]
        tx_hash: Arc<String>,
        /// Absent where the request is from before there were deadlines.
        #[serde(default)]
        sign_by_ms: Option<UnixMs>,
        hold: Hold,
        /// Its own, under whichever policy.
        #[serde(with = "shared::optional")]
        reservation: Option<Arc<SealedReservation>>,
    },
    /// The relay has the job.
    Signed {
        #[serde(with = "shared")]
        tx_hash: Arc<String>,
        valid_until_block: u32,
    },
}

/// A transfer whose job an outcome answers.
struct AnsweredTransfer<'a> {
    request: &'a Request,
    transfer: &'a RequestTransfer,
    tx_hash: &'a str,
}

/// What a transfer waits for before a worker has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Hold {
    /// Of different approvers, all under one policy.
    approvals: Vec<Signed<TransferApproval>>,
    approvals_missing: u8,
    not_before_ms: Option<UnixMs>,
}

impl Hold {
    fn is_over(&self, now_ms: u64) -> bool {
        self.approvals_missing == 0 && is_past(self.not_before_ms, now_ms)
    }
}

/// Whether a time lock holds nothing back any more.
fn is_past(not_before_ms: Option<UnixMs>, now_ms: u64) -> bool {
    not_before_ms.is_none_or(|not_before_ms| not_before_ms.0 <= now_ms)
}

/// A change whose outcome is awaited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PolicyChange {
    not_before_ms: Option<UnixMs>,
    request: Request,
    #[serde(with = "shared")]
    policy: Arc<Policy>,
}

/// A key that is being sealed anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct KeyReseal {
    request: Request,
    #[serde(with = "shared")]
    sealing_key_id: Arc<String>,
}

host_aggregate!(Wallet, "wallet", WalletCommand, WalletEvent);

impl Wallet {
    /// Of the state's serialised form and meaning: raised with every change to either, or to what `evolve` makes of an
    /// event. A snapshot of another version is never taken.
    pub const STATE_VERSION: u32 = 3;

    /// Decides a command.
    pub fn decide(&self, order: &Order<WalletCommand>) -> Result<Vec<WalletEvent>, Rejection> {
        match &order.body {
            WalletCommand::Create(command) => self.create(order, command),
            WalletCommand::SetPolicy(command) => self.open()?.set_policy(order, command),
            WalletCommand::RequestTransfer(command) => self.open()?.request_transfer(order, command),
            WalletCommand::ApproveTransfer(command) => self.open()?.approve_transfer(order, command),
            WalletCommand::CancelRequest(command) => self.open()?.cancel_request(order, command),
            WalletCommand::ResealKey(command) => self.open()?.reseal_key(order, command),
            WalletCommand::RecordOutcome(command) => self.record_outcome(order, command),
            WalletCommand::RecordConfirmation(command) => self.open()?.record_confirmation(command),
            WalletCommand::RecordExpiry(command) => self.open()?.record_expiry(command),
            WalletCommand::ExpireRequest(command) => self.open()?.expire_request(order, command),
        }
    }

    fn open(&self) -> Result<&OpenWallet, Rejection> {
        match &self.phase {
            Phase::Absent => Err(Rejection::new(errors::WALLET_UNKNOWN, "there is no such wallet")),
            Phase::Creating { .. } => {
                Err(Rejection::new(errors::WALLET_NOT_OPEN, "the wallet's key is being made"))
            }
            Phase::Open(open) => Ok(open),
        }
    }

    /// The key and policy by which a worker may sign, once the wallet is open.
    pub fn signing_state(&self) -> Option<(&SealedKey, &Policy)> {
        self.opened().map(|open| (&*open.sealed_key, &*open.policy))
    }

    /// What approvers signed about the transfer that command `request_id` asked for.
    pub fn approvals(&self, request_id: Uuid) -> &[Signed<TransferApproval>] {
        match self.opened().and_then(|open| open.transfers.get(&request_id)) {
            Some(Transfer::Requested { hold, .. }) => &hold.approvals,
            Some(Transfer::Signed { .. }) | None => &[],
        }
    }

    /// The last reservation in the log.
    pub fn last_reservation(&self) -> Option<&SealedReservation> {
        self.opened()?.last_reservation.as_deref()
    }

    /// By what the transfer that command `request_id` asked for is reserved under the policy in force.
    pub fn reservation(&self, request_id: Uuid) -> Option<&SealedReservation> {
        self.opened()?.reservation(request_id)
    }

    /// The transfer that a worker may reserve for at `now_ms`: of those that nothing holds back, the one that must be signed
    /// first. None where the policy counts nothing, or as many are reserved as may be.
    pub fn reserves_next(&self, now_ms: u64) -> Option<Uuid> {
        self.opened()?.reserves_next(now_ms)
    }

    fn opened(&self) -> Option<&OpenWallet> {
        match &self.phase {
            Phase::Open(open) => Some(open),
            Phase::Absent | Phase::Creating { .. } => None,
        }
    }

    /// Applies a recorded event.
    pub fn evolve(&mut self, event: WalletEvent) {
        match event {
            WalletEvent::CreationRequested(event) => {
                let request = Request { id: event.request_id, sha256: event.request_sha256 };
                self.phase = Phase::Creating { request, policy: Arc::new(event.policy) };
            }
            WalletEvent::KeyCreated(event) => {
                if let Phase::Creating { policy, .. } = &self.phase {
                    self.phase = Phase::Open(Box::new(OpenWallet {
                        public_key: event.public_key.parse().ok(),
                        policy: Arc::clone(policy),
                        sealed_key: Arc::new(event.sealed_key),
                        policy_change: None,
                        key_reseal: None,
                        last_reservation: None,
                        transfers: RedBlackTreeMapSync::default(),
                    }));
                }
            }
            WalletEvent::CreationRefused(_) => self.phase = Phase::Absent,
            event => {
                if let Phase::Open(open) = &mut self.phase {
                    open.evolve(event);
                }
            }
        }
    }
}

impl OpenWallet {
    fn public_key(&self) -> Result<&PublicKey, Rejection> {
        let missing =
            || Rejection::new(errors::TRANSFER_INVALID, "the wallet's key is no point of the curve");
        self.public_key.as_ref().ok_or_else(missing)
    }

    fn evolve(&mut self, event: WalletEvent) {
        match event {
            WalletEvent::CreationRequested(_)
            | WalletEvent::KeyCreated(_)
            | WalletEvent::CreationRefused(_) => {}
            WalletEvent::PolicyChangeRequested(event) => {
                let request = Request { id: event.request_id, sha256: event.request_sha256 };
                let (not_before_ms, policy) = (event.not_before_ms, Arc::new(event.policy));
                self.policy_change = Some(PolicyChange { not_before_ms, request, policy });
            }
            WalletEvent::PolicyChanged(event) => {
                self.policy_change = None;
                self.policy = Arc::new(event.policy);
                self.sealed_key = Arc::new(event.sealed_key);
            }
            WalletEvent::PolicyChangeRefused(_) | WalletEvent::PolicyChangeCancelled(_) => {
                self.policy_change = None;
            }
            WalletEvent::KeyResealRequested(event) => {
                let request = Request { id: event.request_id, sha256: event.request_sha256 };
                self.key_reseal = Some(KeyReseal { request, sealing_key_id: Arc::new(event.sealing_key_id) });
            }
            WalletEvent::KeyResealed(event) => {
                self.key_reseal = None;
                self.sealed_key = Arc::new(event.sealed_key);
            }
            WalletEvent::KeyResealRefused(_) => self.key_reseal = None,
            WalletEvent::TransferRequested(event) => {
                let request = Request { id: event.request_id, sha256: event.request_sha256 };
                let (transfer, tx_hash) = (Arc::new(event.transfer), Arc::new(event.tx_hash));
                let sign_by_ms = event.sign_by_ms;
                let hold = Hold {
                    approvals: Vec::new(),
                    approvals_missing: event.approvals_missing.unwrap_or(0),
                    not_before_ms: event.not_before_ms,
                };
                let reservation = None;
                let requested =
                    Transfer::Requested { request, transfer, tx_hash, sign_by_ms, hold, reservation };
                self.transfers.insert_mut(event.request_id, requested);
            }
            WalletEvent::TransferApproved(event) => self.approved(event),
            WalletEvent::TransferCancelled(event) => drop(self.transfers.remove_mut(&event.request_id)),
            WalletEvent::TransferReserved(event) => self.evolve_reserved(event),
            WalletEvent::TransferSigned(event) => {
                let (tx_hash, valid_until_block) = (Arc::new(event.tx_hash), event.valid_until_block);
                self.transfers.insert_mut(event.request_id, Transfer::Signed { tx_hash, valid_until_block });
            }
            WalletEvent::TransferRefused(event) => drop(self.transfers.remove_mut(&event.request_id)),
            WalletEvent::TransferConfirmed(event) => drop(self.transfers.remove_mut(&event.request_id)),
            WalletEvent::TransferExpired(event) => drop(self.transfers.remove_mut(&event.request_id)),
            WalletEvent::TransferRequestExpired(event) => drop(self.transfers.remove_mut(&event.request_id)),
        }
    }
}

#[cfg(test)]
mod tests;
