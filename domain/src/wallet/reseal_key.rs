//! `reseal-key`: the wallet's key moves to another sealing key while both are in use; the wallet goes on signing.

use nsl_schemas::command::wallet::{ResealKey, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{
    KeyResealRefused, KeyResealRequested, KeyResealed, OutcomeProof, WalletEvent,
};
use nsl_schemas::outcome::JobResult;

use super::{KeyReseal, OpenWallet};
use crate::decision::{Order, Rejection};
use crate::outcome::{ProvenOutcome, check_version, wrong_kind};

/// Longest name of a sealing key that is recorded; those of workers have 16 digits.
const KEY_ID_BYTES_MAX: usize = 64;

impl OpenWallet {
    pub(super) fn reseal_key(
        &self,
        order: &Order<WalletCommand>,
        command: &ResealKey,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        if command.sealing_key_id.len() > KEY_ID_BYTES_MAX {
            return Err(Rejection::new(
                errors::LIMIT_EXCEEDED,
                "the name of a sealing key has at most 64 bytes",
            ));
        }
        if self.key_reseal.is_some() {
            return Err(Rejection::new(errors::KEY_RESEAL_PENDING, "the key is being sealed anew"));
        }
        if self.sealed_key.sealing_key_id == command.sealing_key_id {
            return Err(Rejection::new(
                errors::KEY_SEALED_ALREADY,
                "the key is sealed with that sealing key",
            ));
        }
        let event = KeyResealRequested {
            request_id: order.command_id,
            request_sha256: order.request_sha256,
            sealing_key_id: command.sealing_key_id.clone(),
        };
        Ok(vec![event.into()])
    }

    pub(super) fn key_resealed(
        &self,
        outcome: &ProvenOutcome<'_>,
        reseal: &KeyReseal,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        let request_id = reseal.request.id;
        match &outcome.0.result {
            JobResult::PolicyReplaced { sealed_key } => {
                outcome.check_post_state(Some(sealed_key))?;
                check_version(sealed_key, self.sealed_key.version.checked_add(1))?;
                if sealed_key.sealing_key_id != *reseal.sealing_key_id {
                    return Err(Rejection::new(errors::OUTCOME_INVALID, "another sealing key was asked for"));
                }
                let (sealed_key, outcome) = (sealed_key.clone(), OutcomeProof::from(outcome.0));
                Ok(vec![KeyResealed { request_id, sealed_key, outcome }.into()])
            }
            JobResult::Refused { code, message } => {
                outcome.check_post_state(Some(&self.sealed_key))?;
                Ok(vec![KeyResealRefused { request_id, refusal: outcome.refusal(code, message)? }.into()])
            }
            JobResult::KeyCreated { .. }
            | JobResult::TransferReserved { .. }
            | JobResult::TransferSigned { .. }
            | JobResult::SecretSealed { .. }
            | JobResult::SecretRevealed { .. } => Err(wrong_kind()),
        }
    }
}
