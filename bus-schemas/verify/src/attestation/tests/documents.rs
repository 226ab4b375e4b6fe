//! A small CBOR writer and a P-384 authority, to make documents that are right but for one thing.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, SignatureAlgorithm,
};
use time::{Duration, OffsetDateTime};

use super::super::{AttestationDocument, Error, Expectation, Pcr, TrustRoot, VerifyTime, verify};

/// When the documents say they were made.
pub(super) const NOW_MS: u64 = 1_766_678_659_346;
/// How long the leaf certificate is valid: as long as a real one.
pub(super) const LEAF_VALID_MS: u64 = 3 * 60 * 60 * 1000;
/// PCR0 of the documents.
pub(super) const PCR0: Pcr = [0xa0; 48];
/// PCR16 of the documents.
pub(super) const PCR16: Pcr = [0x16; 48];
/// Nonce of the documents.
pub(super) const NONCE: &[u8] = b"challenge";

/// The CBOR writer.
pub(super) mod write {
    pub(in super::super) fn head(major: u8, value: usize) -> Vec<u8> {
        let major = major << 5;
        match (u8::try_from(value), u16::try_from(value), u32::try_from(value)) {
            (Ok(value), ..) if value < 24 => vec![major | value],
            (Ok(value), ..) => vec![major | 0x18, value],
            (_, Ok(value), _) => [vec![major | 0x19], value.to_be_bytes().to_vec()].concat(),
            (.., Ok(value)) => [vec![major | 0x1a], value.to_be_bytes().to_vec()].concat(),
            _ => [vec![major | 0x1b], value.to_be_bytes().to_vec()].concat(),
        }
    }

    pub(in super::super) fn unsigned(value: u64) -> Vec<u8> {
        head(0, usize::try_from(value).unwrap())
    }

    pub(in super::super) fn bytes(value: &[u8]) -> Vec<u8> {
        [head(2, value.len()), value.to_vec()].concat()
    }

    pub(in super::super) fn text(value: &str) -> Vec<u8> {
        [head(3, value.len()), value.as_bytes().to_vec()].concat()
    }

    pub(in super::super) fn array(items: &[Vec<u8>]) -> Vec<u8> {
        [head(4, items.len()), items.concat()].concat()
    }

    pub(in super::super) fn map(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        [head(5, entries.len()), entries_of(entries)].concat()
    }

    pub(in super::super) fn indefinite_array(items: &[Vec<u8>]) -> Vec<u8> {
        [vec![0x9f], items.concat(), vec![0xff]].concat()
    }

    pub(in super::super) fn indefinite_map(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        [vec![0xbf], entries_of(entries), vec![0xff]].concat()
    }

    fn entries_of(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        entries.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).flatten().collect()
    }
}

/// A certificate in DER, and the key that it certifies.
pub(super) struct Certified {
    pub(super) der: Vec<u8>,
    key: Vec<u8>,
}

/// A root, an intermediate and leaves under them.
pub(super) struct Authority {
    pub(super) root: Vec<u8>,
    pub(super) intermediate: Vec<u8>,
    pub(super) leaf: Certified,
    /// A leaf with a P-256 key, which ES384 cannot be verified with.
    pub(super) leaf_p256: Certified,
    /// A leaf that is a certificate authority.
    pub(super) leaf_authority: Certified,
}

/// The authority of all tests of this process.
pub(super) static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::generate);

impl Authority {
    pub(super) fn generate() -> Self {
        let root = CertifiedIssuer::self_signed(parameters("root", true), key(&PKCS_ECDSA_P384_SHA384));
        let root = root.unwrap();
        let intermediate_parameters = parameters("intermediate", true);
        let intermediate_key = key(&PKCS_ECDSA_P384_SHA384);
        let intermediate =
            CertifiedIssuer::signed_by(intermediate_parameters, intermediate_key, &root).unwrap();
        let leaf = |algorithm, is_authority| {
            let key = key(algorithm);
            let der = parameters("leaf", is_authority).signed_by(&key, &intermediate).unwrap().der().to_vec();
            Certified { der, key: key.serialize_der() }
        };
        Self {
            root: root.der().to_vec(),
            leaf: leaf(&PKCS_ECDSA_P384_SHA384, false),
            leaf_p256: leaf(&PKCS_ECDSA_P256_SHA256, false),
            leaf_authority: leaf(&PKCS_ECDSA_P384_SHA384, true),
            intermediate: intermediate.der().to_vec(),
        }
    }

    pub(super) fn trust(&self) -> TrustRoot {
        TrustRoot::for_tests(&self.root)
    }
}

fn key(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).unwrap()
}

fn parameters(name: &str, is_authority: bool) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    let seconds = i64::try_from(NOW_MS / 1000).unwrap();
    parameters.not_before = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    let valid = Duration::milliseconds(i64::try_from(LEAF_VALID_MS).unwrap());
    parameters.not_after = parameters.not_before + valid;
    if is_authority {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    parameters
}

/// The fields of a payload, each as written; a test replaces what it is about.
#[derive(Clone)]
pub(super) struct Payload(pub(super) Vec<(&'static str, Vec<u8>)>);

impl Payload {
    pub(super) fn valid() -> Self {
        let bundle = [write::bytes(&AUTHORITY.root), write::bytes(&AUTHORITY.intermediate)];
        Self(vec![
            ("module_id", write::text("i-0123456789abcdef0-enc0123456789abcdef")),
            ("digest", write::text("SHA384")),
            ("timestamp", write::unsigned(NOW_MS)),
            ("pcrs", write::map(&Self::pcrs())),
            ("certificate", write::bytes(&AUTHORITY.leaf.der)),
            ("cabundle", write::array(&bundle)),
            ("public_key", write::bytes(b"key")),
            ("user_data", vec![0xf6]),
            ("nonce", write::bytes(NONCE)),
        ])
    }

    pub(super) fn pcrs() -> Vec<(Vec<u8>, Vec<u8>)> {
        let values = [(0, PCR0), (1, [0xa1; 48]), (2, [0xa2; 48]), (16, PCR16)];
        values.iter().map(|(index, value)| (write::unsigned(*index), write::bytes(value))).collect()
    }

    pub(super) fn with(mut self, name: &'static str, value: Vec<u8>) -> Self {
        self.0.retain(|(field, _)| *field != name);
        self.0.push((name, value));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(field, _)| *field != name);
        self
    }

    pub(super) fn and(mut self, name: &'static str, value: Vec<u8>) -> Self {
        self.0.push((name, value));
        self
    }

    pub(super) fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.0.iter().map(|(name, value)| (write::text(name), value.clone())).collect()
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        write::map(&self.entries())
    }

    pub(super) fn signed(&self) -> Vec<u8> {
        Envelope::around(&self.to_bytes()).to_bytes()
    }
}

/// The parts of a COSE_Sign1, each as written.
#[derive(Clone)]
pub(super) struct Envelope {
    pub(super) prefix: Vec<u8>,
    pub(super) protected: Vec<u8>,
    pub(super) unprotected: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl Envelope {
    pub(super) fn around(payload: &[u8]) -> Self {
        Self::signed_by(payload, &AUTHORITY.leaf)
    }

    pub(super) fn signed_by(payload: &[u8], leaf: &Certified) -> Self {
        let protected = write::bytes(&[0xa1, 0x01, 0x38, 0x22]);
        let payload = write::bytes(payload);
        let context = write::text("Signature1");
        let message = write::array(&[context, protected.clone(), write::bytes(&[]), payload.clone()]);
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &leaf.key).unwrap();
        let signature = key.sign(&SystemRandom::new(), &message).unwrap();
        Self {
            prefix: vec![0x84],
            protected,
            unprotected: vec![0xa0],
            payload,
            signature: write::bytes(signature.as_ref()),
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Self { prefix, protected, unprotected, payload, signature } = self;
        [prefix, protected, unprotected, payload, signature].into_iter().flatten().copied().collect()
    }
}

/// What the valid document meets.
pub(super) fn expectation() -> Expectation {
    Expectation {
        builds: vec![BTreeMap::from([(0, PCR0), (1, [0xa1; 48])])],
        pcrs: BTreeMap::from([(16, PCR16)]),
        nonce: Some(NONCE.to_vec()),
        allow_debug: false,
    }
}

/// Verifies with the tests' authority, at the document's own time.
pub(super) fn judge(document: &[u8]) -> Result<AttestationDocument, Error> {
    verify(document, &expectation(), &AUTHORITY.trust(), VerifyTime::Document)
}
