//! What approvers and owners sign about a request that is held back.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::authority::{Signed, Statement};
use crate::bytes::Sha256;
use crate::command::wallet::RequestTransfer;
use crate::nkey::PublicKey;
use crate::token::{AggregateId, Tenant};

/// An approver lets one transfer be signed. With the wallet and the request's id the transfer determines the transaction
/// (D9), so whoever signs this has seen all that will be signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransferApproval {
    /// From then on it counts no more, Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub expires_at_ms: u64,
    /// The log it is for.
    pub genesis_sha256: Sha256,
    /// The policy that asks for it; under another one it counts nothing.
    pub policy_sha256: Sha256,
    /// The command that asked for the transfer.
    pub request_id: Uuid,
    /// Its hash.
    pub request_sha256: Sha256,
    /// Whose wallet.
    pub tenant: Tenant,
    /// What may move.
    pub transfer: RequestTransfer,
    /// Which wallet.
    pub wallet: AggregateId,
}

impl Statement for TransferApproval {
    const TAG: &'static str = "nsl-transfer-approval-v1";
}

impl Signed<TransferApproval> {
    /// Who claims to have signed it: an approval has one signature, and every approver one of its own.
    pub fn approver(&self) -> Option<PublicKey> {
        match &self.signatures[..] {
            [signature] => Some(signature.key),
            _ => None,
        }
    }
}

/// An owner ends a request that is held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RequestCancellation {
    /// The log it is for.
    pub genesis_sha256: Sha256,
    /// The command that asked.
    pub request_id: Uuid,
    /// Whose wallet.
    pub tenant: Tenant,
    /// Which wallet.
    pub wallet: AggregateId,
}

impl Statement for RequestCancellation {
    const TAG: &'static str = "nsl-request-cancellation-v1";
}
