//! A wallet's key within the enclave: drawn, sealed, opened. It never leaves in the clear.

use nsl_neo::PrivateKey;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::errors;
use nsl_schemas::outcome::{SealedKey, SealedKeyBinding};

use crate::entropy;
use crate::judge::{PresentedState, Subject};
use crate::nsm::NsmHandle;
use crate::refusal::{Failure, Refusal, Unavailable};
use crate::seal::{self, NONCE_BYTES, SealingKey};
use crate::sealing::Keyring;

/// Draws for one key: a draw misses the range of P-256 once in 2^32, so a second miss is a broken generator.
const DRAWS_MAX: usize = 2;

/// Draws a new key.
pub(crate) async fn draw(nsm: &NsmHandle) -> Result<PrivateKey, Unavailable> {
    let mut drawn = PrivateKey::from_bytes(entropy::draw(nsm, "nsl-wallet-key").await?);
    for _ in 1..DRAWS_MAX {
        if drawn.is_err() {
            drawn = PrivateKey::from_bytes(entropy::draw(nsm, "nsl-wallet-key").await?);
        }
    }
    drawn.map_err(Unavailable::Key)
}

/// Seals `key` as `version` of the wallet's key, for use under the policy of this hash.
pub(crate) async fn seal(
    nsm: &NsmHandle,
    sealing_key: &SealingKey,
    subject: &Subject,
    key: &PrivateKey,
    version: u32,
    policy_sha256: Sha256,
) -> Result<SealedKey, Unavailable> {
    let random = entropy::draw(nsm, "nsl-sealing-nonce").await?;
    let nonce: [u8; NONCE_BYTES] = *random.first_chunk().ok_or(seal::Error::Seal)?;
    Ok(sealing_key.seal(key.secret_bytes(), nonce, &subject.binding(version, policy_sha256))?)
}

/// The version that follows that of `sealed_key`.
pub(crate) fn next_version(sealed_key: &SealedKey) -> Result<u32, Refusal> {
    sealed_key.version.checked_add(1).ok_or_else(|| {
        Refusal::new(errors::WORKER_STATE_INVALID, "the key was sealed as often as versions can count")
    })
}

/// Opens the key that the host presents. It opens only under the policy it was sealed with, so what is presented beside
/// it is proven to be the policy in force when it was sealed.
pub(crate) fn open(
    keyring: &Keyring,
    subject: &Subject,
    state: &PresentedState,
) -> Result<PrivateKey, Failure> {
    open_as(keyring, &state.sealed_key, &subject.binding(state.sealed_key.version, state.policy.sha256()))
}

/// Opens a key that is bound so.
pub(crate) fn open_as(
    keyring: &Keyring,
    sealed_key: &SealedKey,
    binding: &SealedKeyBinding<'_>,
) -> Result<PrivateKey, Failure> {
    let sealing_key = keyring.named(&sealed_key.sealing_key_id)?;
    let invalid = |message: String| Refusal::new(errors::WORKER_STATE_INVALID, message);
    let secret = sealing_key.open(sealed_key, binding).map_err(|error| invalid(error.to_string()))?;
    Ok(PrivateKey::from_bytes(secret).map_err(|error| invalid(error.to_string()))?)
}
