//! Secrets within the enclave: opened as clients encrypted them, sealed for the log, sealed to readers. None leaves in the
//! clear, and none is looked into: what is worked on is padded bytes.

mod pool_key;
mod reveal;
mod set_readers;
mod store;

use nsl_schemas::errors;
use nsl_schemas::job::PresentSecret;
use nsl_schemas::outcome::{JobResult, SealedKey};
use nsl_schemas::secret::SecretPolicy;

pub(crate) use self::pool_key::attest;
pub(crate) use self::reveal::reveal;
pub(crate) use self::set_readers::set_readers;
pub(crate) use self::store::store;
use crate::entropy;
use crate::judge::Subject;
use crate::locked::LockedBytes;
use crate::nsm::NsmHandle;
use crate::refusal::{Failure, Refusal, Unavailable};
use crate::seal::{self, NONCE_BYTES, OpenError};
use crate::sealing::Keyring;

/// Seals a padded secret as `version`, with the newest sealing key.
async fn seal(
    nsm: &NsmHandle,
    keyring: &Keyring,
    subject: &Subject,
    padded: &[u8],
    policy: &SecretPolicy,
    version: u32,
) -> Result<JobResult, Unavailable> {
    let random = entropy::draw(nsm, "nsl-secret-nonce").await?;
    let nonce: [u8; NONCE_BYTES] = *random.first_chunk().ok_or(seal::Error::Seal)?;
    let binding = subject.secret_binding(version, policy.sha256());
    let sealed_secret = keyring.for_sealing()?.seal_secret(padded, nonce, &binding)?;
    Ok(JobResult::SecretSealed { sealed_secret })
}

/// Opens the version that the host presents. It opens only under the policy it was sealed with, so what is presented beside
/// it is proven to be that.
fn open(keyring: &Keyring, subject: &Subject, present: &PresentSecret) -> Result<LockedBytes, Failure> {
    let PresentSecret { policy, sealed_secret } = present;
    let sealing_key = keyring.named(&sealed_secret.sealing_key_id)?;
    let binding = subject.secret_binding(sealed_secret.version, policy.sha256());
    sealing_key.open_secret(sealed_secret, &binding).map_err(|error| match error {
        OpenError::Locked(error) => Unavailable::Seal(error.into()).into(),
        error @ (OpenError::OtherKey { .. } | OpenError::NotAuthentic) => {
            Refusal::new(errors::WORKER_STATE_INVALID, error.to_string()).into()
        }
    })
}

/// The version that follows that of `sealed_secret`.
fn next_version(sealed_secret: &SealedKey) -> Result<u32, Refusal> {
    sealed_secret.version.checked_add(1).ok_or_else(|| {
        Refusal::new(errors::WORKER_STATE_INVALID, "the secret has as many versions as can be counted")
    })
}

fn denied(message: &str) -> Refusal {
    Refusal::new(errors::WORKER_POLICY_DENIED, message)
}
