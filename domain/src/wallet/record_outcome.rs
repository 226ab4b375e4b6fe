//! `record-outcome`: a registered worker's answer to the job that a request of this wallet asked for.

use nsl_neo::PublicKey;
use nsl_policy::transaction;
use nsl_schemas::command::wallet::{RecordOutcome, RequestTransfer, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{
    CreationRefused, KeyCreated, OutcomeProof, PolicyChangeRefused, PolicyChanged, TransferRefused,
    TransferSigned, WalletEvent,
};
use nsl_schemas::outcome::{BirthCertificate, JobResult};
use nsl_schemas::policy::Policy;

use super::{OpenWallet, Phase, PolicyChange, Transfer, Wallet, is_past};
use crate::decision::{Order, Rejection};
use crate::outcome::{ProvenOutcome, Request, check_version, unexpected, wrong_kind};

/// The version of a wallet's key as it is sealed at its birth.
const FIRST_VERSION: u32 = 1;

impl Wallet {
    pub(super) fn record_outcome(
        &self,
        order: &Order<WalletCommand>,
        command: &RecordOutcome,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        let outcome = ProvenOutcome::prove(&command.outcome, &order.facts)?;
        match &self.phase {
            Phase::Creating { request, policy } if outcome.answers(request) => {
                created(order, &outcome, request, policy)
            }
            Phase::Open(open) => open.record_outcome(order.now_ms, &outcome),
            Phase::Absent | Phase::Creating { .. } => Err(unexpected()),
        }
    }
}

fn created(
    order: &Order<WalletCommand>,
    outcome: &ProvenOutcome<'_>,
    request: &Request,
    policy: &Policy,
) -> Result<Vec<WalletEvent>, Rejection> {
    match &outcome.0.result {
        JobResult::KeyCreated { sealed_key, birth_certificate } => {
            outcome.check_post_state(Some(sealed_key))?;
            check_version(sealed_key, Some(FIRST_VERSION))?;
            let address = check_birth(order, request, policy, birth_certificate)?;
            let event = KeyCreated {
                request_id: request.id,
                public_key: birth_certificate.statement.public_key.clone(),
                address,
                sealed_key: sealed_key.clone(),
                birth_certificate: birth_certificate.clone(),
                outcome: OutcomeProof::from(outcome.0),
            };
            Ok(vec![event.into()])
        }
        JobResult::Refused { code, message } => {
            outcome.check_post_state(None)?;
            let event = CreationRefused { request_id: request.id, refusal: outcome.refusal(code, message)? };
            Ok(vec![event.into()])
        }
        JobResult::PolicyReplaced { .. }
        | JobResult::TransferSigned { .. }
        | JobResult::SecretSealed { .. }
        | JobResult::SecretRevealed { .. } => Err(wrong_kind()),
    }
}

/// Whether the certificate is about this wallet as it was asked for; returns its address.
///
/// The document itself is judged by the client, which trusts neither the host nor this service.
fn check_birth(
    order: &Order<WalletCommand>,
    request: &Request,
    policy: &Policy,
    certificate: &BirthCertificate,
) -> Result<String, Rejection> {
    let statement = &certificate.statement;
    let is_of_this_wallet = statement.genesis_sha256 == order.facts.genesis.sha256
        && statement.tenant == order.tenant
        && statement.wallet == order.id
        && statement.command_id == request.id
        && statement.policy_sha256 == policy.sha256()
        && statement.owners == policy.owners;
    if !is_of_this_wallet {
        return Err(Rejection::new(errors::OUTCOME_INVALID, "the birth certificate is about something else"));
    }
    let public_key = statement.public_key.parse::<PublicKey>();
    public_key
        .map(|key| key.address().to_string())
        .map_err(|error| Rejection::new(errors::OUTCOME_INVALID, error.to_string()))
}

impl OpenWallet {
    fn record_outcome(
        &self,
        now_ms: u64,
        outcome: &ProvenOutcome<'_>,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        // What is held back is no job yet, whatever a host made a worker do.
        let is_answered = |change: &&PolicyChange| {
            outcome.answers(&change.request) && is_past(change.not_before_ms, now_ms)
        };
        if let Some(change) = self.policy_change.as_ref().filter(is_answered) {
            return self.policy_replaced(outcome, &change.request, &change.policy);
        }
        if let Some(reseal) = self.key_reseal.as_ref().filter(|reseal| outcome.answers(&reseal.request)) {
            return self.key_resealed(outcome, reseal);
        }
        // The job's id follows from the request's, so at most one open transfer is answered.
        let answered = self.transfers.values().find_map(|transfer| match transfer {
            Transfer::Requested { request, transfer, tx_hash, sign_by_ms: _, hold }
                if outcome.answers(request) && hold.is_over(now_ms) =>
            {
                Some((request, transfer, tx_hash))
            }
            Transfer::Requested { .. } | Transfer::Signed { .. } => None,
        });
        let (request, transfer, tx_hash) = answered.ok_or_else(unexpected)?;
        outcome.check_post_state(Some(&self.sealed_key))?;
        self.transfer_signed(outcome, request, transfer, tx_hash)
    }

    fn policy_replaced(
        &self,
        outcome: &ProvenOutcome<'_>,
        request: &Request,
        policy: &Policy,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        match &outcome.0.result {
            JobResult::PolicyReplaced { sealed_key } => {
                outcome.check_post_state(Some(sealed_key))?;
                check_version(sealed_key, self.sealed_key.version.checked_add(1))?;
                let event = PolicyChanged {
                    request_id: request.id,
                    policy: policy.clone(),
                    sealed_key: sealed_key.clone(),
                    outcome: OutcomeProof::from(outcome.0),
                };
                Ok(vec![event.into()])
            }
            JobResult::Refused { code, message } => {
                outcome.check_post_state(Some(&self.sealed_key))?;
                let event =
                    PolicyChangeRefused { request_id: request.id, refusal: outcome.refusal(code, message)? };
                Ok(vec![event.into()])
            }
            JobResult::KeyCreated { .. }
            | JobResult::TransferSigned { .. }
            | JobResult::SecretSealed { .. }
            | JobResult::SecretRevealed { .. } => Err(wrong_kind()),
        }
    }

    fn transfer_signed(
        &self,
        outcome: &ProvenOutcome<'_>,
        request: &Request,
        transfer: &RequestTransfer,
        tx_hash: &str,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        let invalid = |message: String| Rejection::new(errors::OUTCOME_INVALID, message);
        match &outcome.0.result {
            JobResult::TransferSigned { tx_hash: signed_hash, signature } => {
                if signed_hash != tx_hash {
                    return Err(invalid(format!("signed {signed_hash}, asked for {tx_hash}")));
                }
                let transaction =
                    transaction::with_witness(request.id, self.public_key()?, transfer, &signature.0)
                        .map_err(|error| invalid(error.to_string()))?;
                let event = TransferSigned {
                    request_id: request.id,
                    tx_hash: tx_hash.to_owned(),
                    valid_until_block: transfer.valid_until_block,
                    transaction,
                    outcome: OutcomeProof::from(outcome.0),
                };
                Ok(vec![event.into()])
            }
            JobResult::Refused { code, message } => {
                let event =
                    TransferRefused { request_id: request.id, refusal: outcome.refusal(code, message)? };
                Ok(vec![event.into()])
            }
            JobResult::KeyCreated { .. }
            | JobResult::PolicyReplaced { .. }
            | JobResult::SecretSealed { .. }
            | JobResult::SecretRevealed { .. } => Err(wrong_kind()),
        }
    }
}
