//! `record-outcome`: a registered worker's answer to the job that a request of this secret asked for.

use nsl_schemas::bytes::Base64;
use nsl_schemas::command::secret::{RecordOutcome, SecretCommand};
use nsl_schemas::errors;
use nsl_schemas::event::secret::{RequestRefused, Revealed, Sealed, SecretEvent};
use nsl_schemas::event::wallet::OutcomeProof;
use nsl_schemas::outcome::{JobResult, SealedKey};

use super::{LiveSecret, OpenReading, Phase, Sealing, Secret};
use crate::decision::{Order, Rejection};
use crate::outcome::{ProvenOutcome, check_version, unexpected, wrong_kind};

/// Longest parts of a result that are recorded. Workers' are shorter: a sealed page has 4,112 bytes and a message 4,144,
/// and a document is read up to 16 KiB and its signature.
const CIPHERTEXT_BYTES_MAX: usize = 8 * 1024;
const DOCUMENT_BYTES_MAX: usize = 20 * 1024;

impl Secret {
    pub(super) fn record_outcome(
        &self,
        order: &Order<SecretCommand>,
        command: &RecordOutcome,
    ) -> Result<Vec<SecretEvent>, Rejection> {
        let outcome = ProvenOutcome::prove(&command.outcome, &order.facts)?;
        let Phase::Live(live) = &self.phase else { return Err(unexpected()) };
        if let Some(sealing) = live.sealing.as_ref().filter(|sealing| outcome.answers(&sealing.request)) {
            return live.sealed(&outcome, sealing);
        }
        let answered = live.readings.values().find(|reading| outcome.answers(&reading.request));
        live.revealed(&outcome, answered.ok_or_else(unexpected)?)
    }
}

impl LiveSecret {
    fn sealed_present(&self) -> Option<&SealedKey> {
        self.present.as_ref().map(|present| &present.sealed_secret)
    }

    fn sealed(&self, outcome: &ProvenOutcome<'_>, sealing: &Sealing) -> Result<Vec<SecretEvent>, Rejection> {
        let request_id = sealing.request.id;
        match &outcome.0.result {
            JobResult::SecretSealed { sealed_secret } => {
                outcome.check_post_state(Some(sealed_secret))?;
                check_version(sealed_secret, Some(sealing.version))?;
                check_bytes(&sealed_secret.ciphertext, CIPHERTEXT_BYTES_MAX)?;
                let (policy, sealed_secret) = (sealing.policy.clone(), sealed_secret.clone());
                let outcome = OutcomeProof::from(outcome.0);
                Ok(vec![Sealed { outcome, policy, request_id, sealed_secret }.into()])
            }
            JobResult::Refused { code, message } => {
                // The worker was shown the present version only where the next one rests on it.
                let shown = self.sealed_present().filter(|_| sealing.rests_on_present);
                outcome.check_post_state(shown)?;
                Ok(vec![RequestRefused { refusal: outcome.refusal(code, message)?, request_id }.into()])
            }
            JobResult::KeyCreated { .. }
            | JobResult::PolicyReplaced { .. }
            | JobResult::TransferReserved { .. }
            | JobResult::TransferSigned { .. }
            | JobResult::SecretRevealed { .. } => Err(wrong_kind()),
        }
    }

    /// A message of a version that was followed by another is not taken: its job is done again with the one in force, and
    /// refused.
    fn revealed(
        &self,
        outcome: &ProvenOutcome<'_>,
        reading: &OpenReading,
    ) -> Result<Vec<SecretEvent>, Rejection> {
        let request_id = reading.request.id;
        outcome.check_post_state(self.sealed_present())?;
        match &outcome.0.result {
            JobResult::SecretRevealed { document, message } => {
                if self.sealed_present().map(|sealed| sealed.version) != Some(reading.version) {
                    let message = "another version was asked for";
                    return Err(Rejection::new(errors::OUTCOME_INVALID, message));
                }
                check_bytes(message, CIPHERTEXT_BYTES_MAX)?;
                check_bytes(document, DOCUMENT_BYTES_MAX)?;
                let (document, message) = (document.clone(), message.clone());
                let outcome = OutcomeProof::from(outcome.0);
                Ok(vec![Revealed { document, message, outcome, request_id }.into()])
            }
            JobResult::Refused { code, message } => {
                Ok(vec![RequestRefused { refusal: outcome.refusal(code, message)?, request_id }.into()])
            }
            JobResult::KeyCreated { .. }
            | JobResult::PolicyReplaced { .. }
            | JobResult::TransferReserved { .. }
            | JobResult::TransferSigned { .. }
            | JobResult::SecretSealed { .. } => Err(wrong_kind()),
        }
    }
}

fn check_bytes(bytes: &Base64, bytes_max: usize) -> Result<(), Rejection> {
    if bytes.0.len() <= bytes_max {
        Ok(())
    } else {
        Err(Rejection::new(errors::LIMIT_EXCEEDED, format!("a part of the result is over {bytes_max} bytes")))
    }
}
