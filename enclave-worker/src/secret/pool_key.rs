//! The key that clients encrypt secrets to, under an attestation document.

use nsl_schemas::bytes::{Base64, HpkeKey, Sha256};
use nsl_schemas::secret::{PoolKey, PoolKeyStatement};

use crate::nsm::{AttestationRequest, NsmHandle};
use crate::refusal::Unavailable;
use crate::sealing::Keyring;

/// Attests the pool key of the newest sealing key, with the asker's challenge.
pub(crate) async fn attest(
    nsm: &NsmHandle,
    keyring: &Keyring,
    genesis_sha256: Sha256,
    nonce: Base64,
) -> Result<PoolKey, Unavailable> {
    let (sealing_key, name) = keyring.newest()?;
    let key = HpkeKey(sealing_key.pool_key()?.public());
    let statement = PoolKeyStatement { genesis_sha256, key, sealing_key: name };
    let request = AttestationRequest {
        user_data: Some(statement.user_data().0.to_vec()),
        nonce: Some(nonce.0),
        ..AttestationRequest::default()
    };
    Ok(PoolKey { document: Base64(nsm.attest(request).await?), statement })
}
