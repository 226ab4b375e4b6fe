//! `sign-transfer`: the one transaction that the command stands for is built anew, judged by the policy, and signed;
//! nothing else is (D9).

use nsl_policy::{Denied, TransferFacts, check_approvals, evaluate, sign_from_ms, transaction};
use nsl_schemas::authority::Signed;
use nsl_schemas::bytes::Base64;
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::errors;
use nsl_schemas::outcome::JobResult;
use nsl_schemas::policy::{Policy, TransferApproval};

use crate::judge::{PresentedState, Subject};
use crate::refusal::{Failure, Refusal, Unavailable};
use crate::sealing::Keyring;
use crate::wallet_key;
use crate::withheld_mode::{self, Proof};

/// Signs a transfer; under a policy that counts, by `proof`.
pub(crate) fn sign_transfer(
    keyring: &Keyring,
    subject: &Subject,
    transfer: &RequestTransfer,
    approvals: &[Signed<TransferApproval>],
    state: &PresentedState,
    proof: Proof<'_>,
) -> Result<JobResult, Failure> {
    let key = wallet_key::open(keyring, subject, state)?;
    check_policy(subject, transfer, approvals, &state.policy)?;
    let unsigned = transaction::transfer(subject.command_id, &key.public_key(), transfer)
        .map_err(|error| Refusal::new(errors::WORKER_COMMAND_INVALID, error.to_string()))?;
    let tx_hash = unsigned.hash().to_string();
    if state.policy.counts() {
        withheld_mode::check(&key, subject, &tx_hash, state.policy.sha256(), proof)?;
    }
    let signature = key.sign(&unsigned.sign_data(transfer.network_magic)).map_err(Unavailable::Sign)?;
    Ok(JobResult::TransferSigned { tx_hash, signature: Base64(signature.as_bytes().to_vec()) })
}

/// Whether the rules of `policy`, by which the key was opened, that do not count allow the transfer, and do so now.
pub(crate) fn check_policy(
    subject: &Subject,
    transfer: &RequestTransfer,
    approvals: &[Signed<TransferApproval>],
    policy: &Policy,
) -> Result<(), Failure> {
    let denied = |denied: Denied| Refusal::new(errors::WORKER_POLICY_DENIED, denied.to_string());
    let facts = TransferFacts::new(transfer, subject.issued_at_ms);
    evaluate(policy, facts).map_err(denied)?;
    check_approvals(policy, &facts, &subject.request(transfer), approvals, subject.now_ms).map_err(denied)?;
    subject.check_time_lock(sign_from_ms(policy, &facts, subject.issued_at_ms))?;
    Ok(())
}
