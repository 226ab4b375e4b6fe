//! `seal-secret` for `store`: what a client encrypted to the pool, for exactly this name, version and policy, is sealed for
//! the log.

use nsl_schemas::command::secret::Store;
use nsl_schemas::errors;
use nsl_schemas::outcome::JobResult;
use nsl_schemas::secret::{SECRET_TO_POOL, is_padded_length};

use super::{denied, seal};
use crate::judge::Subject;
use crate::locked::LockedBytes;
use crate::nsm::NsmHandle;
use crate::refusal::{Failure, Refusal, Unavailable};
use crate::sealing::Keyring;

/// Seals a stored version. Whether it follows the one before is the log's to decide: nothing is opened for it but what its
/// own command carries.
pub(crate) async fn store(
    nsm: &NsmHandle,
    keyring: &Keyring,
    subject: &Subject,
    store: &Store,
) -> Result<JobResult, Failure> {
    let Store { content, policy, version } = store;
    if !policy.is_sound() {
        return Err(denied("owners and readers are quorums that can be met").into());
    }
    let pool_key = keyring.named(&content.sealing_key_id)?.pool_key().map_err(Unavailable::Seal)?;
    let binding = subject.secret_binding(*version, policy.sha256());
    let mut opened = pool_key
        .open(SECRET_TO_POOL, &binding.to_bytes(), &content.message.0)
        .map_err(|error| Refusal::new(errors::WORKER_COMMAND_INVALID, error.to_string()))?;
    if !is_padded_length(opened.len()) {
        let message = "the message has not the length of a secret's";
        return Err(Refusal::new(errors::WORKER_COMMAND_INVALID, message).into());
    }
    let padded =
        LockedBytes::take(&mut opened).map_err(|error| Unavailable::Seal(seal::Error::Locked(error)))?;
    Ok(seal(nsm, keyring, subject, &padded, policy, *version).await?)
}
