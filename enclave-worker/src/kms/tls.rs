//! TLS 1.3 to the manifest's endpoint: by its name, its trust anchors and the NSM's time, and nothing of the host's.

use std::sync::Arc;
use std::time::Duration;

use nsl_schemas::kms::AwsKms;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};

/// The authorities behind AWS' own endpoints, by what their subjects contain: any other public one could be misled about
/// the endpoint's name.
const AMAZON: [&[u8]; 2] = [b"\x06Amazon1", b"Starfield Services Root Certificate Authority - G2"];

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A trust anchor of the manifest is no certificate.
    #[error("a trust anchor of the genesis manifest is no certificate")]
    TrustAnchor(#[source] rustls::Error),
    /// The library does not do what it must.
    #[error("TLS 1.3 is not to be had")]
    Version(#[source] rustls::Error),
}

/// Who may vouch for the endpoint.
#[derive(Debug)]
pub(super) struct Anchors(Arc<RootCertStore>);

impl Anchors {
    pub(super) fn of(manifest: &AwsKms) -> Result<Self, Error> {
        let mut store = RootCertStore::empty();
        for anchor in &manifest.trust_anchors {
            store.add(CertificateDer::from(anchor.0.as_slice())).map_err(Error::TrustAnchor)?;
        }
        if manifest.trust_anchors.is_empty() {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().filter(|anchor| is_amazon(anchor)).cloned());
        }
        Ok(Self(Arc::new(store)))
    }

    /// For one connection at `now_ms`.
    pub(super) fn config(&self, now_ms: u64) -> Result<Arc<ClientConfig>, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(At(now_ms)))
            .with_protocol_versions(&[&TLS13])
            .map_err(Error::Version)?
            .with_root_certificates(Arc::clone(&self.0))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

fn is_amazon(anchor: &TrustAnchor<'_>) -> bool {
    let contains = |name: &&[u8]| anchor.subject.windows(name.len()).any(|window| window == *name);
    AMAZON.iter().any(contains)
}

/// The NSM's time as it was when the connection began.
#[derive(Debug)]
struct At(u64);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0)))
    }
}

#[cfg(test)]
mod tests {
    use nsl_schemas::bytes::Base64;
    use nsl_schemas::kms::{HostName, KeyArn};

    use super::*;

    fn manifest(trust_anchors: Vec<Base64>) -> AwsKms {
        let endpoint = HostName::parse("kms.eu-central-1.amazonaws.com").unwrap();
        let key_arn = KeyArn::parse("arn:aws:kms:eu-central-1:111122223333:key/1").unwrap();
        AwsKms { endpoint, key_arn, trust_anchors }
    }

    #[test]
    fn only_amazons_authorities_vouch_where_the_manifest_names_none() {
        let anchors = Anchors::of(&manifest(vec![])).unwrap();
        // Amazon Root CA 1 to 4, and Starfield's.
        assert_eq!(anchors.0.len(), 5);
        assert!(anchors.config(0).is_ok());
    }

    #[test]
    fn what_is_no_certificate_vouches_for_nothing() {
        let error = Anchors::of(&manifest(vec![Base64(vec![1, 2, 3])])).unwrap_err();
        assert!(matches!(error, Error::TrustAnchor(_)), "{error:?}");
    }
}
