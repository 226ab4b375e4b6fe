//! `replace-policy`: the key is opened under the policy that ends and sealed under the one that begins.

use nsl_policy::{check_sound, policy_change_from_ms};
use nsl_schemas::authority::Signed;
use nsl_schemas::errors;
use nsl_schemas::outcome::JobResult;
use nsl_schemas::policy::{Policy, PolicyChange};

use crate::judge::{PresentedState, Subject};
use crate::nsm::NsmHandle;
use crate::refusal::{Failure, Refusal};
use crate::sealing::Keyring;
use crate::wallet_key;

/// Replaces the policy of a wallet.
pub(crate) async fn replace_policy(
    nsm: &NsmHandle,
    keyring: &Keyring,
    subject: &Subject,
    change: &Signed<PolicyChange>,
    state: &PresentedState,
) -> Result<JobResult, Failure> {
    let key = wallet_key::open(keyring, subject, state)?;
    check_change(subject, change, &state.policy)?;
    subject.check_time_lock(policy_change_from_ms(&state.policy, subject.issued_at_ms))?;
    let version = wallet_key::next_version(&state.sealed_key)?;
    let policy_sha256 = change.statement.policy.sha256();
    let sealed_key =
        wallet_key::seal(nsm, &*keyring.for_sealing()?, subject, &key, version, policy_sha256).await?;
    Ok(JobResult::PolicyReplaced { sealed_key })
}

/// Whether the owners that `present` names ordered exactly this change of it.
fn check_change(subject: &Subject, change: &Signed<PolicyChange>, present: &Policy) -> Result<(), Refusal> {
    let denied = |message: &str| Err(Refusal::new(errors::WORKER_POLICY_DENIED, message));
    let PolicyChange { tenant, wallet, previous_sha256, policy } = &change.statement;
    if *tenant != subject.tenant || *wallet != subject.wallet {
        return denied("the change is signed for another wallet");
    }
    if *previous_sha256 != present.sha256() {
        return denied("the change is signed over another policy than the key is sealed under");
    }
    if !change.is_signed_by(&present.owners) {
        return denied("the owners of the present policy did not sign the change");
    }
    check_sound(policy).map_err(|error| Refusal::new(errors::WORKER_POLICY_DENIED, error.to_string()))
}
