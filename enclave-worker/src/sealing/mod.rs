//! Sealing keys of a custodian quorum or of KMS: founded, brought back, given from worker to worker.
//!
//! The host carries every message and is believed in none: orders are the operators' quorum's, records and peers are
//! attested, shares have commitments, KMS is spoken to through TLS, and keys travel sealed to a key that this process drew.

mod by_kms;
mod forwarding;
mod founding;
mod keyring;
mod provisioning;
mod shamir;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nsl_enclave_protocol::AwsCredentials;
use nsl_schemas::authority::{Build, Operators};
use nsl_schemas::bytes::Base64;
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::sealing::{
    PROVISIONING_KEY, RecordError, SealingAnswer, SealingKeyName, SealingRecord, SealingRequest,
    SealingStatement, SealingStatus,
};
use nsl_verify::attestation::{self, Expectation, VerifyTime};
use nsl_verify::hpke;

pub use self::keyring::Keyring;
use self::provisioning::Provisioning;
use crate::entropy;
use crate::genesis::Genesis;
use crate::kms;
use crate::nsm::{AttestationRequest, NsmHandle};
use crate::refusal::Unavailable;
use crate::seal::SealingKey;
use crate::sealing_provider::Provided;

/// Why a request about sealing keys was not met; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("sealing order or record does not hold")]
    Record(#[from] RecordError),
    #[error("attestation document is not accepted")]
    Attestation(#[from] attestation::Error),
    #[error("the document is about something else")]
    OtherStatement,
    #[error("the document carries no key to seal to")]
    NoPeerKey,
    #[error("nobody with this key is a custodian of the record")]
    NoCustodian,
    #[error("the share was not sealed to this worker for this record")]
    ShareMessage(#[source] hpke::Error),
    #[error("the share is not the one that the record commits to")]
    WrongShare,
    #[error("what was brought back is another key than the record names")]
    OtherKey,
    #[error("this worker has no way to KMS")]
    NoKms,
    #[error("KMS gives no key")]
    Kms(#[from] kms::Error),
    #[error("message could not be sealed or opened")]
    Hpke(#[from] hpke::Error),
    #[error("message holds no keys")]
    Keys,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Error {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Record(_) | Self::OtherKey => errors::SEALING_RECORD_INVALID,
            Self::NoCustodian | Self::ShareMessage(_) | Self::WrongShare => errors::SEALING_SHARE_INVALID,
            Self::Attestation(_) | Self::OtherStatement | Self::NoPeerKey | Self::Hpke(_) | Self::Keys => {
                errors::ATTESTATION_INVALID
            }
            Self::NoKms => errors::UNAVAILABLE,
            Self::Kms(error) => error.code(),
            Self::Unavailable(error) => error.code(),
        }
    }
}

/// What a request is judged by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judging<'a> {
    /// They allow this worker's own build.
    pub(crate) operators: &'a Operators,
    /// The NSM's time.
    pub(crate) now_ms: u64,
    /// What the host sent along for KMS.
    pub(crate) credentials: Option<&'a AwsCredentials>,
}

/// A worker's sealing keys and what it does with them.
#[derive(Debug)]
pub(crate) struct Sealing {
    genesis: Arc<Genesis>,
    nsm: NsmHandle,
    pub(crate) keyring: Keyring,
    /// Of this process alone: what is sealed to it is for nobody after.
    key: hpke::PrivateKey,
    provisioning: Mutex<Provisioning>,
    challenges: Mutex<VecDeque<Vec<u8>>>,
    /// Where the manifest's provider is KMS.
    kms: Option<kms::Kms>,
}

impl Sealing {
    /// Begins with what the provider had.
    pub(crate) async fn start(
        genesis: Arc<Genesis>,
        nsm: NsmHandle,
        provided: Provided,
    ) -> Result<Self, entropy::Error> {
        let Provided { keyring, kms } = provided;
        let secret = entropy::draw(&nsm, "nsl-provisioning-key").await?;
        let key = hpke::PrivateKey::from_secret(secret).map_err(|_| entropy::Error::Mix)?;
        let (provisioning, challenges) = (Mutex::default(), Mutex::default());
        Ok(Self { genesis, nsm, keyring, key, provisioning, challenges, kms })
    }

    /// Meets a request.
    pub(crate) async fn answer(
        &self,
        request: SealingRequest,
        judging: Judging<'_>,
    ) -> Result<SealingAnswer, Error> {
        let Judging { operators, now_ms, credentials: _ } = judging;
        match request {
            SealingRequest::Status => {}
            SealingRequest::Found { order } => {
                return Ok(SealingAnswer::Founded { record: self.found(order, judging).await? });
            }
            SealingRequest::Attest { nonce } => {
                return Ok(SealingAnswer::Attested { document: self.attest(nonce).await? });
            }
            SealingRequest::Challenge => {
                return Ok(SealingAnswer::Challenge { nonce: self.challenge().await? });
            }
            SealingRequest::Forward { document } => {
                let (document, message) = self.forward(&document, operators, now_ms).await?;
                return Ok(SealingAnswer::Forwarded { document, message });
            }
            SealingRequest::TakeShare { custodian, message, record } => {
                self.take_share(&custodian, &message, record, operators)?;
            }
            SealingRequest::Open { record } => self.open_by_kms(record, judging).await?,
            SealingRequest::Accept { document, message } => {
                self.accept(&document, &message, operators, now_ms)?;
            }
        }
        Ok(SealingAnswer::Status { status: self.status() })
    }

    fn status(&self) -> SealingStatus {
        SealingStatus { keys: self.keyring.names(), waiting: self.provisioning().awaited() }
    }

    async fn attest(&self, nonce: Base64) -> Result<Base64, Error> {
        let (public_key, user_data) = (Some(self.key.public().to_vec()), Some(PROVISIONING_KEY.to_vec()));
        let request = AttestationRequest { public_key, user_data, nonce: Some(nonce.0) };
        Ok(Base64(self.nsm.attest(request).await.map_err(Unavailable::Nsm)?))
    }

    /// Whether a worker of an allowed build founded the key, by an order of the operators. The founder's build must be
    /// allowed still: one that was revoked may have told the key, or its shares, to anybody.
    fn judge(&self, record: SealingRecord, operators: &Operators) -> Result<SealingStatement, Error> {
        let SealingRecord { document, statement } = record;
        statement.check(operators)?;
        let (expectation, root) = (self.expectation(operators), self.genesis.root());
        let document = attestation::verify(&document.0, &expectation, root, VerifyTime::Document)?;
        if document.user_data.as_deref() == Some(statement.user_data().0.as_slice()) {
            Ok(statement)
        } else {
            Err(Error::OtherStatement)
        }
    }

    /// Takes the key of this name, if it is the one that `secret` makes.
    fn restore(&self, name: &SealingKeyName, secret: &[u8], from: &'static str) -> Result<(), Error> {
        let key = SealingKey::derive(secret, self.genesis.sha256()).map_err(Unavailable::Seal)?;
        if key.id() != name.key_id {
            return Err(Error::OtherKey);
        }
        self.keyring.insert(name.epoch, Arc::new(key));
        tracing::info!(epoch = name.epoch, key_id = name.key_id, from, "sealing key brought back");
        Ok(())
    }

    /// What a document of another worker must show.
    fn expectation(&self, operators: &Operators) -> Expectation {
        Expectation::of_manifest(operators.builds().iter().map(Build::measurements), self.genesis.sha256().0)
    }

    fn provisioning(&self) -> MutexGuard<'_, Provisioning> {
        self.provisioning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn challenges(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of the key that a record is about.
fn name(statement: &SealingStatement) -> SealingKeyName {
    SealingKeyName { epoch: statement.order.statement.epoch, key_id: statement.key_id.clone() }
}
