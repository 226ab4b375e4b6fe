//! `record-outcome`: a registered worker's answer to the job that a request of this wallet asked for.

use nsl_neo::PublicKey;
use nsl_policy::transaction;
use nsl_schemas::command::wallet::{RecordOutcome, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::{
    CreationRefused, KeyCreated, OutcomeProof, PolicyChangeRefused, PolicyChanged, TransferRefused,
    TransferSigned, WalletEvent,
};
use nsl_schemas::outcome::{BirthCertificate, JobResult};
use nsl_schemas::policy::Policy;

use super::{AnsweredTransfer, OpenWallet, Phase, PolicyChange, Transfer, Wallet, is_past};
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
            Phase::Open(open) => open.record_outcome(order, &outcome),
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
        | JobResult::TransferReserved { .. }
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
        order: &Order<WalletCommand>,
        outcome: &ProvenOutcome<'_>,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        // What is held back is no job yet, whatever a host made a worker do.
        let is_answered = |change: &&PolicyChange| {
            outcome.answers(&change.request) && is_past(change.not_before_ms, order.now_ms)
        };
        if let Some(change) = self.policy_change.as_ref().filter(is_answered) {
            return self.policy_replaced(outcome, &change.request, &change.policy);
        }
        if let Some(reseal) = self.key_reseal.as_ref().filter(|reseal| outcome.answers(&reseal.request)) {
            return self.key_resealed(outcome, reseal);
        }
        if let Some(reserving) = self.answered(order.now_ms, |request| outcome.answers_reservation(request))
            && self.policy.counts()
            && self.reservation(reserving.request.id).is_none()
        {
            outcome.check_post_state(Some(&self.sealed_key))?;
            return self.transfer_reserved(order, outcome, &reserving);
        }
        let signing =
            self.answered(order.now_ms, |request| outcome.answers(request)).ok_or_else(unexpected)?;
        outcome.check_post_state(Some(&self.sealed_key))?;
        self.transfer_signed(outcome, &signing)
    }

    /// The transfer whose job is answered. The job's id follows from the request's, so it is one at the most.
    fn answered(&self, now_ms: u64, is_answered: impl Fn(&Request) -> bool) -> Option<AnsweredTransfer<'_>> {
        self.transfers.values().find_map(|transfer| match transfer {
            Transfer::Requested { request, transfer, tx_hash, hold, .. }
                if is_answered(request) && hold.is_over(now_ms) =>
            {
                Some(AnsweredTransfer { request, transfer, tx_hash })
            }
            Transfer::Requested { .. } | Transfer::Signed { .. } => None,
        })
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
            | JobResult::TransferReserved { .. }
            | JobResult::TransferSigned { .. }
            | JobResult::SecretSealed { .. }
            | JobResult::SecretRevealed { .. } => Err(wrong_kind()),
        }
    }

    fn transfer_signed(
        &self,
        outcome: &ProvenOutcome<'_>,
        answered: &AnsweredTransfer<'_>,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        let invalid = |message: String| Rejection::new(errors::OUTCOME_INVALID, message);
        let &AnsweredTransfer { request, transfer, tx_hash } = answered;
        match &outcome.0.result {
            JobResult::TransferSigned { tx_hash: signed_hash, signature } => {
                if signed_hash != tx_hash {
                    return Err(invalid(format!("signed {signed_hash}, asked for {tx_hash}")));
                }
                if self.policy.counts() && self.reservation(request.id).is_none() {
                    return Err(invalid("nothing was reserved for it".to_owned()));
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
            | JobResult::TransferReserved { .. }
            | JobResult::SecretSealed { .. }
            | JobResult::SecretRevealed { .. } => Err(wrong_kind()),
        }
    }
}
