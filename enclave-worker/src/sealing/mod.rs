//! Sealing keys of a custodian quorum: founded, brought back by shares, given from worker to worker.
//!
//! The host carries every message and is believed in none: orders are the operators' quorum's, records and peers are
//! attested, shares have commitments, and keys travel sealed to a key that this process drew.

mod forwarding;
mod founding;
mod keyring;
mod provisioning;
mod shamir;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nsl_schemas::authority::{Build, Operators};
use nsl_schemas::bytes::Base64;
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::sealing::{PROVISIONING_KEY, RecordError, SealingAnswer, SealingRequest, SealingStatus};
use nsl_verify::attestation::{self, Expectation};
use nsl_verify::hpke;

pub use self::keyring::Keyring;
use self::provisioning::Provisioning;
use crate::entropy;
use crate::genesis::Genesis;
use crate::nsm::{AttestationRequest, NsmHandle};
use crate::refusal::Unavailable;

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
    #[error("the shares make another key than the record names")]
    OtherKey,
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
            Self::Unavailable(error) => error.code(),
        }
    }
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
}

impl Sealing {
    /// Begins with the keys that the provider had.
    pub(crate) async fn start(
        genesis: Arc<Genesis>,
        nsm: NsmHandle,
        keyring: Keyring,
    ) -> Result<Self, entropy::Error> {
        let secret = entropy::draw(&nsm, "nsl-provisioning-key").await?;
        let key = hpke::PrivateKey::from_secret(secret).map_err(|_| entropy::Error::Mix)?;
        let (provisioning, challenges) = (Mutex::default(), Mutex::default());
        Ok(Self { genesis, nsm, keyring, key, provisioning, challenges })
    }

    /// Meets a request at `now_ms`, the NSM's time.
    ///
    /// `operators` allow this worker's own build.
    pub(crate) async fn answer(
        &self,
        request: SealingRequest,
        operators: &Operators,
        now_ms: u64,
    ) -> Result<SealingAnswer, Error> {
        match request {
            SealingRequest::Status => {}
            SealingRequest::Found { order } => {
                return Ok(SealingAnswer::Founded { record: self.found(order, operators).await? });
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
