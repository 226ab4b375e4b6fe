//! Work that reactions to events ask for: `nsl.v1.job.<kind>.<class>`. Ids follow from the event, so that a repeat is
//! the same job.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::authority::{GrantChain, Signed};
use crate::bytes::Base64;
use crate::envelope::SignedCommand;
use crate::ids;
use crate::outcome::SealedKey;
use crate::policy::{Policy, TransferApproval};
use crate::reservation::SealedReservation;
use crate::secret::SecretPolicy;
use crate::token::{AggregateId, Tenant};

/// The only class so far; later classes separate urgent from bulk work.
pub const CLASS_STANDARD: &str = "standard";

/// A job for the enclave pool. It carries everything by which the worker judges it for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EnclaveJob {
    /// See [`EnclaveTask::job_id`].
    pub job_id: Uuid,
    /// The client's command.
    pub command: SignedCommand,
    /// Why the client may issue it.
    pub authority: GrantChain,
    /// What to do and with which state.
    pub task: EnclaveTask,
}

/// What the enclave is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum EnclaveTask {
    /// The command is `wallet create`.
    CreateKey,
    /// The key is sealed anew: the command is `wallet set-policy` or `wallet reseal-key`.
    ReplacePolicy {
        /// The wallet's key.
        sealed_key: SealedKey,
        /// The policy that it is sealed under.
        policy: Policy,
    },
    /// The command is `wallet request-transfer`, and the policy counts: what the transfer takes is reserved before it is
    /// signed.
    ReserveTransfer {
        /// What approvers signed about the request.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approvals: Vec<Signed<TransferApproval>>,
        /// The wallet's last reservation in the log; absent before the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<SealedReservation>,
        /// The wallet's key.
        sealed_key: SealedKey,
        /// The policy that it is sealed under.
        policy: Policy,
    },
    /// The command is `wallet request-transfer`.
    SignTransfer {
        /// What approvers signed about the request.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approvals: Vec<Signed<TransferApproval>>,
        /// The transfer's reservation; absent where the policy counts nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<SealedReservation>,
        /// The wallet's key.
        sealed_key: SealedKey,
        /// The policy that it is sealed under.
        policy: Policy,
    },
    /// The secret is sealed under a policy: the command is `secret store`, or `secret set-readers` where one is sealed
    /// already.
    SealSecret {
        /// What is sealed already; a stored version rests on none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        present: Option<PresentSecret>,
    },
    /// The command is `secret reveal`.
    RevealSecret {
        /// What is sealed.
        present: PresentSecret,
    },
}

/// A secret as the log holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PresentSecret {
    /// The policy that it is sealed under.
    pub policy: SecretPolicy,
    /// The version in force.
    pub sealed_secret: SealedKey,
}

/// Kinds of [`EnclaveTask`], as in its tag and the job's subject.
pub const ENCLAVE_KINDS: [&str; 6] =
    ["create-key", "replace-policy", "reserve-transfer", "sign-transfer", "seal-secret", "reveal-secret"];

impl EnclaveTask {
    /// The kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CreateKey => ENCLAVE_KINDS[0],
            Self::ReplacePolicy { .. } => ENCLAVE_KINDS[1],
            Self::ReserveTransfer { .. } => ENCLAVE_KINDS[2],
            Self::SignTransfer { .. } => ENCLAVE_KINDS[3],
            Self::SealSecret { .. } => ENCLAVE_KINDS[4],
            Self::RevealSecret { .. } => ENCLAVE_KINDS[5],
        }
    }

    /// The id of the task's job when event `event_id` asks for it. A transfer may need two jobs, so each has its own.
    pub fn job_id(&self, event_id: Uuid) -> Uuid {
        match self {
            Self::ReserveTransfer { .. } => ids::reservation_job_id(event_id),
            Self::CreateKey
            | Self::ReplacePolicy { .. }
            | Self::SignTransfer { .. }
            | Self::SealSecret { .. }
            | Self::RevealSecret { .. } => ids::job_id(event_id),
        }
    }
}

/// Kind of [`SubmitJob`] in the job's subject.
pub const SUBMIT_KIND: &str = "submit-transaction";

/// A job for the chain relay: get these bytes into a block, or see that they can no longer be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SubmitJob {
    /// See [`crate::ids::job_id`].
    pub job_id: Uuid,
    /// Whose wallet.
    pub tenant: Tenant,
    /// Which wallet.
    pub wallet: AggregateId,
    /// The transfer's command id.
    pub request_id: Uuid,
    /// As the chain shows it, `0x…`.
    pub tx_hash: String,
    /// The last block that may hold it.
    pub valid_until_block: u32,
    /// The exact bytes.
    pub transaction: Base64,
}
