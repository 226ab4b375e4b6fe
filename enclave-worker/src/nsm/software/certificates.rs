//! The short-lived certificates between the development root and a document.

use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P384_SHA384,
};
use time::{Duration, OffsetDateTime};

use super::{DevelopmentRoot, Error};

/// A leaf begins this long before its first document, as the NSM's own do.
const LEAF_EARLY_MS: u64 = 3_000;
/// A leaf is valid this long, as the NSM's own are.
const LEAF_VALID_MS: u64 = 3 * 60 * 60 * 1000;
/// A leaf this near to its end is replaced, so that whoever gets a document has time to verify it.
const LEAF_MARGIN_MS: u64 = 30 * 60 * 1000;
/// The intermediate is valid for a day, as that of an instance is.
const INTERMEDIATE_VALID_MS: u64 = 24 * 60 * 60 * 1000;

/// A leaf key with the certificates that lead to the root.
pub(super) struct LeafChain {
    pub(super) key: EcdsaKeyPair,
    pub(super) leaf: Vec<u8>,
    pub(super) intermediate: Vec<u8>,
    issued_ms: u64,
}

impl LeafChain {
    /// New keys and certificates for a module.
    pub(super) fn issue(root: &DevelopmentRoot, module_id: &str, now_ms: u64) -> Result<Self, Error> {
        let from_ms = now_ms.saturating_sub(LEAF_EARLY_MS);
        let mut parameters = named(&format!("{module_id} instance"));
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        validity(&mut parameters, from_ms, now_ms.saturating_add(INTERMEDIATE_VALID_MS))?;
        let issue = |source| Error::Issue { subject: "intermediate", source };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).map_err(issue)?;
        let intermediate = CertifiedIssuer::signed_by(parameters, key, &root.issuer()).map_err(issue)?;

        let mut parameters = named(module_id);
        validity(&mut parameters, from_ms, now_ms.saturating_add(LEAF_VALID_MS))?;
        let issue = |source| Error::Issue { subject: "leaf", source };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).map_err(issue)?;
        let leaf = parameters.signed_by(&key, &intermediate).map_err(issue)?;
        Ok(Self {
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, key.serialized_der())
                .map_err(Error::LeafKey)?,
            leaf: leaf.der().to_vec(),
            intermediate: intermediate.der().to_vec(),
            issued_ms: now_ms,
        })
    }

    /// Whether a document made now can be verified for a while; not if the clock was put back either.
    pub(super) fn is_usable_at(&self, now_ms: u64) -> bool {
        (self.issued_ms..self.issued_ms.saturating_add(LEAF_VALID_MS - LEAF_MARGIN_MS)).contains(&now_ms)
    }
}

/// Sets the period of validity, to the second.
pub(super) fn validity(
    parameters: &mut CertificateParams,
    not_before_ms: u64,
    not_after_ms: u64,
) -> Result<(), Error> {
    parameters.not_before = date_time(not_before_ms)?;
    parameters.not_after = date_time(not_after_ms)?;
    Ok(())
}

fn named(common_name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    parameters
}

fn date_time(unix_ms: u64) -> Result<OffsetDateTime, Error> {
    let since_epoch = i64::try_from(unix_ms).map(Duration::milliseconds);
    since_epoch
        .ok()
        .and_then(|since_epoch| OffsetDateTime::UNIX_EPOCH.checked_add(since_epoch))
        .ok_or(Error::Time { unix_ms })
}
