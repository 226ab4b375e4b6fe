//! `create-key`: a key is born, sealed under its first policy, and gets its birth certificate (D8).

use nsl_policy::check_sound;
use nsl_schemas::bytes::Base64;
use nsl_schemas::errors;
use nsl_schemas::outcome::{BirthCertificate, BirthStatement, JobResult};
use nsl_schemas::policy::Policy;

use crate::judge::Subject;
use crate::nsm::{AttestationRequest, NsmHandle};
use crate::refusal::{Failure, Refusal, Unavailable};
use crate::sealing::Keyring;
use crate::wallet_key;

/// The version of a newborn key.
const FIRST_VERSION: u32 = 1;

/// Bears a key under `policy`.
pub(crate) async fn create_key(
    nsm: &NsmHandle,
    keyring: &Keyring,
    subject: &Subject,
    policy: &Policy,
) -> Result<JobResult, Failure> {
    check_sound(policy).map_err(|error| Refusal::new(errors::WORKER_POLICY_DENIED, error.to_string()))?;
    let policy_sha256 = policy.sha256();
    let key = wallet_key::draw(nsm).await?;
    let sealed_key =
        wallet_key::seal(nsm, &*keyring.for_sealing()?, subject, &key, FIRST_VERSION, policy_sha256).await?;
    let statement = BirthStatement {
        genesis_sha256: subject.genesis_sha256,
        tenant: subject.tenant.clone(),
        wallet: subject.wallet.clone(),
        command_id: subject.command_id,
        public_key: key.public_key().to_string(),
        policy_sha256,
        owners: policy.owners.clone(),
    };
    let request = AttestationRequest {
        user_data: Some(statement.user_data().0.to_vec()),
        ..AttestationRequest::default()
    };
    let document = nsm.attest(request).await.map_err(Unavailable::Nsm)?;
    let birth_certificate = BirthCertificate { statement, document: Base64(document) };
    Ok(JobResult::KeyCreated { sealed_key, birth_certificate })
}
