//! This worker as a member of the pool: what a host may ask about views, and who may become a member.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nsl_enclave_protocol::pool_view::{LINKS_PER_MESSAGE, PoolAnswer, PoolRequest, PoolStatus};
use nsl_schemas::authority::{Build, Operators, QUORUM_KEYS_MAX, Signed};
use nsl_schemas::bytes::Base64;
use nsl_schemas::nkey::{PublicKey, SigningKey};
use nsl_schemas::pool_view::{Certificate, EndorsementStatement, PoolView};
use nsl_schemas::reservation::{Head, Reservation, WalletName};
use nsl_verify::attestation::{self, AttestationDocument, Expectation, VerifyTime};

use crate::endorser::{Endorser, Error};
use crate::genesis::Genesis;

/// The worker's part in the pool's memory.
#[derive(Debug)]
pub(crate) struct PoolMember {
    genesis: Arc<Genesis>,
    endorser: Mutex<Endorser>,
}

impl PoolMember {
    /// A member of nothing yet, under the key that signs this worker's outcomes.
    pub(crate) fn new(genesis: Arc<Genesis>, key: Arc<SigningKey>) -> Self {
        let endorser = Mutex::new(Endorser::new(key, genesis.sha256()));
        Self { genesis, endorser }
    }

    /// Takes in which pool the operators established.
    pub(crate) fn follow(&self, operators: &Operators) {
        self.endorser().follow(operators);
    }

    /// Endorses a reservation, whose seal was checked.
    pub(crate) fn endorse(
        &self,
        reservation: &Reservation,
        certificate: Option<&Certificate>,
    ) -> Result<Signed<EndorsementStatement>, Error> {
        self.endorser().endorse(reservation, certificate)
    }

    /// Endorses again.
    pub(crate) fn recall(
        &self,
        wallet: &WalletName,
        head: &Head,
    ) -> Result<Signed<EndorsementStatement>, Error> {
        self.endorser().recall(wallet, head)
    }

    /// By which view a certificate is judged: the one that it names, if that is of the present lineage, as what an earlier
    /// majority certified is an ancestor of all that came later; else the last one that this worker knows of.
    pub(crate) fn view_for(&self, certificate: Option<&Certificate>) -> Option<PoolView> {
        let endorser = self.endorser();
        let named = certificate.and_then(|one| endorser.view_named(&one.statement.view_sha256));
        named.or_else(|| endorser.newest_view()).cloned()
    }

    /// Answers a host; `operators` are those that it was shown.
    pub(crate) fn answer(&self, request: PoolRequest, operators: &Operators) -> Result<PoolAnswer, Error> {
        match request {
            PoolRequest::Status => {}
            PoolRequest::Links { from } => {
                let endorser = self.endorser();
                let links = endorser.links().iter().skip(from).take(LINKS_PER_MESSAGE).cloned().collect();
                return Ok(PoolAnswer::Links { links });
            }
            PoolRequest::Learn { links } => self.endorser().learn(links)?,
            PoolRequest::Finalise { members, newcomers, view_sha256 } => {
                if members.iter().any(|key| operators.is_revoked(key)) {
                    return Err(Error::Newcomer);
                }
                let proven = self.proven(&newcomers, operators);
                let is_worker = |key: &PublicKey| proven.contains(key);
                let finalisation = self.endorser().finalise(&view_sha256, &members, is_worker)?;
                tracing::info!(members = members.len(), "left the pool's view");
                return Ok(PoolAnswer::Finalised { finalisation });
            }
            PoolRequest::Witness { finalisation } => self.endorser().witness(finalisation)?,
            PoolRequest::Establish { heads: Some(heads), leavers: _, view } => {
                self.endorser().establish_root(&view, heads)?;
            }
            PoolRequest::Establish { heads: None, leavers, view } => {
                self.endorser().establish_next(&view, &leavers)?;
                tracing::info!(number = view.number, members = view.members.len(), "entered the pool's view");
            }
        }
        Ok(PoolAnswer::Status { status: self.status() })
    }

    fn status(&self) -> PoolStatus {
        let endorser = self.endorser();
        PoolStatus {
            key: endorser.key(),
            links: endorser.links().len(),
            left_for: endorser.left_for().map(<[PublicKey]>::to_vec),
            view: endorser.view().cloned(),
        }
    }

    /// The keys by which workers of allowed builds under this manifest sign outcomes. Without a challenge: a worker that
    /// is gone endorses nothing.
    fn proven(&self, documents: &[Base64], operators: &Operators) -> BTreeSet<PublicKey> {
        let builds = operators.builds().iter().map(Build::measurements);
        let expectation = Expectation::of_manifest(builds, self.genesis.sha256().0);
        let verify = |document: &Base64| {
            attestation::verify(&document.0, &expectation, self.genesis.root(), VerifyTime::Document).ok()
        };
        documents.iter().take(QUORUM_KEYS_MAX).filter_map(verify).filter_map(registered).collect()
    }

    /// No code panics while it changes the endorser, so a poisoned lock would still guard a whole one.
    fn endorser(&self) -> MutexGuard<'_, Endorser> {
        self.endorser.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key that a registration's document carries; documents about other keys carry what they are about.
fn registered(document: AttestationDocument) -> Option<PublicKey> {
    if document.user_data.is_some() {
        return None;
    }
    document.public_key?.try_into().ok().map(PublicKey)
}
