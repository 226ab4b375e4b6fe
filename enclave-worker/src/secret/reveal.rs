//! `reveal-secret`: a version is opened and sealed to the key that its readers signed for, under an attestation document
//! that says so: whoever knows a reader's key can seal to it, and only a worker can attest.

use nsl_schemas::authority::Signed;
use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::errors;
use nsl_schemas::job::PresentSecret;
use nsl_schemas::outcome::JobResult;
use nsl_schemas::secret::{RevealStatement, SECRET_TO_READER, SecretReading};
use nsl_verify::hpke;

use super::{denied, open};
use crate::entropy;
use crate::judge::Subject;
use crate::nsm::{AttestationRequest, NsmHandle};
use crate::refusal::{Failure, Refusal, Unavailable};
use crate::sealing::Keyring;

/// Seals a version to its readers.
pub(crate) async fn reveal(
    nsm: &NsmHandle,
    keyring: &Keyring,
    subject: &Subject,
    reading: &Signed<SecretReading>,
    present: &PresentSecret,
) -> Result<JobResult, Failure> {
    let padded = open(keyring, subject, present)?;
    check_reading(subject, reading, present)?;
    let (recipient, reading_sha256) = (reading.statement.recipient.0, reading.statement.sha256());
    let ephemeral = entropy::draw(nsm, "nsl-secret-ephemeral").await.map_err(Unavailable::Entropy)?;
    let message = hpke::seal(&recipient, SECRET_TO_READER, &reading_sha256.0, &padded, ephemeral)
        .map_err(|error| Refusal::new(errors::WORKER_COMMAND_INVALID, error.to_string()))?;
    drop(padded);
    let statement = RevealStatement { message_sha256: Sha256::of(&message), reading_sha256 };
    let request = AttestationRequest {
        user_data: Some(statement.user_data().0.to_vec()),
        ..AttestationRequest::default()
    };
    let document = nsm.attest(request).await.map_err(Unavailable::Nsm)?;
    Ok(JobResult::SecretRevealed { document: Base64(document), message: Base64(message) })
}

/// Whether the readers that the present policy names let exactly this version be read by this command, until now.
fn check_reading(
    subject: &Subject,
    reading: &Signed<SecretReading>,
    present: &PresentSecret,
) -> Result<(), Refusal> {
    let SecretReading {
        expires_at_ms,
        genesis_sha256,
        policy_sha256,
        recipient: _,
        request_id,
        secret,
        tenant,
        version,
    } = &reading.statement;
    if *genesis_sha256 != subject.genesis_sha256 || *tenant != subject.tenant || *secret != subject.wallet {
        return Err(denied("the reading is signed for another secret"));
    }
    if *request_id != subject.command_id {
        return Err(denied("the reading is signed for another command"));
    }
    if *version != present.sealed_secret.version || *policy_sha256 != present.policy.sha256() {
        return Err(denied("the reading is signed for another version or policy"));
    }
    if *expires_at_ms <= subject.now_ms {
        return Err(denied("the reading's time is over"));
    }
    if reading.is_signed_by(&present.policy.readers) {
        Ok(())
    } else {
        Err(denied("the readers of the present policy did not sign the reading"))
    }
}
