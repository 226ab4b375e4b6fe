//! `sign-transfer`: the one transaction that the command stands for is built anew, judged by the policy, and signed;
//! nothing else is (D9).

use nsl_policy::{TransferFacts, evaluate, transaction};
use nsl_schemas::bytes::Base64;
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::errors;
use nsl_schemas::outcome::JobResult;

use crate::judge::{PresentedState, Subject};
use crate::refusal::{Failure, Refusal, Unavailable};
use crate::seal::SealingKey;
use crate::wallet_key;

/// Signs a transfer.
pub(crate) fn sign_transfer(
    sealing_key: &SealingKey,
    subject: &Subject,
    transfer: &RequestTransfer,
    state: &PresentedState,
) -> Result<JobResult, Failure> {
    let key = wallet_key::open(sealing_key, subject, state)?;
    evaluate(&state.policy, TransferFacts::from(transfer))
        .map_err(|denied| Refusal::new(errors::WORKER_POLICY_DENIED, denied.to_string()))?;
    let unsigned = transaction::transfer(subject.command_id, &key.public_key(), transfer)
        .map_err(|error| Refusal::new(errors::WORKER_COMMAND_INVALID, error.to_string()))?;
    let signature = key.sign(&unsigned.sign_data(transfer.network_magic)).map_err(Unavailable::Sign)?;
    Ok(JobResult::TransferSigned {
        tx_hash: unsigned.hash().to_string(),
        signature: Base64(signature.as_bytes().to_vec()),
    })
}
