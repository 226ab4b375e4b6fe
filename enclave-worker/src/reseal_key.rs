//! `reseal-key`: the key is opened with the sealing key that sealed it and sealed with the one that the command names,
//! under the same policy.

use nsl_schemas::command::wallet::ResealKey;
use nsl_schemas::outcome::JobResult;

use crate::judge::{PresentedState, Subject};
use crate::nsm::NsmHandle;
use crate::refusal::Failure;
use crate::sealing::Keyring;
use crate::wallet_key;

/// Seals the key of a wallet anew.
pub(crate) async fn reseal_key(
    nsm: &NsmHandle,
    keyring: &Keyring,
    subject: &Subject,
    reseal: &ResealKey,
    state: &PresentedState,
) -> Result<JobResult, Failure> {
    let sealing_key = keyring.named(&reseal.sealing_key_id)?;
    let key = wallet_key::open(keyring, subject, state)?;
    let version = wallet_key::next_version(&state.sealed_key)?;
    let policy_sha256 = state.policy.sha256();
    let sealed_key = wallet_key::seal(nsm, &sealing_key, subject, &key, version, policy_sha256).await?;
    Ok(JobResult::PolicyReplaced { sealed_key })
}
