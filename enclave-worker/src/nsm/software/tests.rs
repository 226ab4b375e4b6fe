//! The software NSM against the production verifier.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nsl_verify::attestation::{
    self, AttestationDocument, Expectation, Pcr, TrustRoot, VerifyTime, manifest_pcr16,
};
use rcgen::KeyPair;

use super::{Attester, DevelopmentRoot, Error, SoftwareNsm, root};
use crate::nsm::{self, AttestationRequest, Description, Nsm, NsmHandle, RANDOM_BYTES_MAX, Refusal};

const NOW_MS: u64 = 1_790_000_000_000;
const HOUR_MS: u64 = 60 * 60 * 1000;
const MANIFEST: [u8; 32] = [0x11; 32];
const MEASUREMENTS: [Pcr; 3] = [[0xa0; 48], [0xa1; 48], [0xa2; 48]];

struct Site {
    trust: TrustRoot,
    nsm: SoftwareNsm,
    now_ms: Arc<AtomicU64>,
}

/// A booted NSM that has committed to the manifest.
fn site() -> Site {
    let root = DevelopmentRoot::generate(NOW_MS).unwrap();
    let trust = TrustRoot::from_sha256(root.sha256()).unwrap();
    let now_ms = Arc::new(AtomicU64::new(NOW_MS));
    let clock = Arc::clone(&now_ms);
    let mut nsm =
        SoftwareNsm::boot(root, MEASUREMENTS, Box::new(move || clock.load(Ordering::Relaxed))).unwrap();
    assert_eq!(nsm.extend_pcr(16, &MANIFEST).unwrap(), manifest_pcr16(MANIFEST));
    nsm.lock_pcr(16).unwrap();
    Site { trust, nsm, now_ms }
}

fn request() -> AttestationRequest {
    AttestationRequest {
        public_key: Some(b"key".to_vec()),
        user_data: Some(Vec::new()),
        nonce: Some(b"challenge".to_vec()),
    }
}

fn expectation() -> Expectation {
    Expectation {
        builds: vec![(0..).zip(MEASUREMENTS).collect::<BTreeMap<u8, Pcr>>()],
        pcrs: BTreeMap::from([(16, manifest_pcr16(MANIFEST))]),
        nonce: Some(b"challenge".to_vec()),
        allow_debug: false,
    }
}

fn verify(document: &[u8], trust: &TrustRoot) -> Result<AttestationDocument, attestation::Error> {
    attestation::verify(document, &expectation(), trust, VerifyTime::Document)
}

#[test]
fn signs_documents_that_verify_under_its_own_root() {
    let Site { trust, mut nsm, .. } = site();
    let document = verify(&nsm.attest(request()).unwrap(), &trust).unwrap();
    assert_eq!(document.module_id, nsm.describe().unwrap().module_id);
    assert_eq!(document.timestamp_ms, NOW_MS);
    assert_eq!(document.pcrs.keys().copied().collect::<Vec<u8>>(), (0..=16).collect::<Vec<u8>>());
    assert_eq!(document.public_key, Some(b"key".to_vec()));
    assert_eq!(document.user_data, Some(Vec::new()));
    assert_eq!(document.nonce, Some(b"challenge".to_vec()));
}

#[test]
fn signs_documents_of_the_largest_and_smallest_fields() {
    let Site { trust, mut nsm, .. } = site();
    let open = Expectation { nonce: None, ..expectation() };
    let largest = AttestationRequest {
        public_key: Some(vec![1; attestation::PUBLIC_KEY_BYTES_MAX]),
        user_data: Some(vec![2; attestation::USER_DATA_BYTES_MAX]),
        nonce: Some(vec![3; attestation::NONCE_BYTES_MAX]),
    };
    for request in [largest, AttestationRequest::default()] {
        let document = nsm.attest(request.clone()).unwrap();
        let document = attestation::verify(&document, &open, &trust, VerifyTime::At(NOW_MS)).unwrap();
        let AttestationRequest { public_key, user_data, nonce } = request;
        assert_eq!((document.public_key, document.user_data, document.nonce), (public_key, user_data, nonce));
    }
}

#[test]
fn is_refused_under_every_other_root() {
    let mut nsm = site().nsm;
    let document = nsm.attest(request()).unwrap();
    for trust in [TrustRoot::aws_nitro(), site().trust] {
        assert!(matches!(verify(&document, &trust), Err(attestation::Error::UntrustedRoot { .. })));
    }
}

#[test]
fn document_with_another_pcr16_is_refused() {
    let Site { trust, mut nsm, .. } = site();
    let mut document = nsm.attest(request()).unwrap();
    let committed = manifest_pcr16(MANIFEST);
    let at = document.windows(committed.len()).position(|window| window == committed).unwrap();
    document[at..at + committed.len()].copy_from_slice(&manifest_pcr16([0x12; 32]));
    assert!(matches!(verify(&document, &trust), Err(attestation::Error::Signature { .. })));
}

#[test]
fn worker_that_committed_to_another_manifest_is_refused() {
    let root = DevelopmentRoot::generate(NOW_MS).unwrap();
    let trust = TrustRoot::from_sha256(root.sha256()).unwrap();
    let mut nsm = SoftwareNsm::boot(root, MEASUREMENTS, Box::new(|| NOW_MS)).unwrap();
    let uncommitted = nsm.attest(request()).unwrap();
    assert!(matches!(verify(&uncommitted, &trust), Err(attestation::Error::MissingPcr { index: 16 })));
    nsm.extend_pcr(16, &[0x12; 32]).unwrap();
    let committed = nsm.attest(request()).unwrap();
    assert!(matches!(verify(&committed, &trust), Err(attestation::Error::PcrMismatch { index: 16, .. })));
}

#[test]
fn locked_registers_can_be_neither_extended_nor_locked_again() {
    let mut nsm = site().nsm;
    for index in (0..16).chain([16]) {
        let extended = nsm.extend_pcr(index, b"more").map(drop);
        for refused in [extended, nsm.lock_pcr(index)] {
            assert!(
                matches!(refused, Err(nsm::Error::Refused { refusal: Refusal::ReadOnlyIndex, .. })),
                "PCR{index}"
            );
        }
    }
    assert_eq!(nsm.describe().unwrap().locked_pcrs, (0..=16).collect());
}

#[test]
fn refuses_registers_beyond_the_bank_and_data_beyond_the_limit() {
    let mut nsm = site().nsm;
    for refused in [nsm.extend_pcr(32, b"data").map(drop), nsm.lock_pcr(u16::MAX)] {
        assert!(matches!(refused, Err(nsm::Error::Refused { refusal: Refusal::InvalidIndex, .. })));
    }
    let refused = nsm.extend_pcr(17, &[0; 513]);
    assert!(matches!(refused, Err(nsm::Error::Refused { refusal: Refusal::InputTooLarge, .. })));
    assert_eq!(nsm.extend_pcr(17, &[]).unwrap(), attestation::pcr_after_extend([0; 48], &[]));
}

#[test]
fn extension_chains_every_earlier_value() {
    let mut nsm = site().nsm;
    let first = nsm.extend_pcr(20, b"one").unwrap();
    let second = nsm.extend_pcr(20, b"two").unwrap();
    assert_eq!(second, attestation::pcr_after_extend(first, b"two"));
    assert!(!nsm.describe().unwrap().locked_pcrs.contains(&20));
}

#[test]
fn replaces_its_leaf_before_it_ends_and_when_the_clock_is_put_back() {
    let Site { trust, mut nsm, now_ms } = site();
    let mut attest_at = |at_ms| {
        now_ms.store(at_ms, Ordering::Relaxed);
        nsm.attest(request()).unwrap()
    };
    let first = attest_at(NOW_MS);
    for at_ms in [NOW_MS + HOUR_MS, NOW_MS + 3 * HOUR_MS, NOW_MS + 50 * HOUR_MS, NOW_MS - 5 * HOUR_MS] {
        assert!(verify(&attest_at(at_ms), &trust).is_ok(), "{at_ms}");
    }
    let late = VerifyTime::At(NOW_MS + 4 * HOUR_MS);
    let late = attestation::verify(&first, &expectation(), &trust, late);
    assert!(matches!(late, Err(attestation::Error::CertificatePath { .. })));
}

#[test]
fn root_survives_its_text_form() {
    let root = DevelopmentRoot::generate(NOW_MS).unwrap();
    let trust = TrustRoot::from_sha256(root.sha256()).unwrap();
    let read = DevelopmentRoot::from_pem(root.to_pem().as_bytes()).unwrap();
    assert_eq!(read.sha256(), root.sha256());
    assert_eq!(*read.to_pem(), *root.to_pem());
    let mut nsm = SoftwareNsm::boot(read, MEASUREMENTS, Box::new(|| NOW_MS)).unwrap();
    nsm.extend_pcr(16, &MANIFEST).unwrap();
    assert!(verify(&nsm.attest(request()).unwrap(), &trust).is_ok());
}

#[test]
fn refuses_texts_that_are_no_root() {
    let pem = DevelopmentRoot::generate(NOW_MS).unwrap().to_pem();
    let other = DevelopmentRoot::generate(NOW_MS).unwrap().to_pem();
    let certificate_at = pem.find("-----BEGIN CERTIFICATE").unwrap();
    let (key, certificate) = pem.split_at(certificate_at);
    let other_key = &other[..other.find("-----BEGIN CERTIFICATE").unwrap()];
    let p256 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut p256_pem = String::new();
    root::write_section(&mut p256_pem, "PRIVATE KEY", p256.serialized_der());

    let read = |text: String| DevelopmentRoot::from_pem(text.as_bytes()).map(drop).unwrap_err();
    assert!(matches!(read(String::new()), Error::RootSection { section: "private key", .. }));
    assert!(matches!(read(key.to_owned()), Error::RootSection { section: "certificate", .. }));
    assert!(matches!(read(certificate.to_owned()), Error::RootSection { section: "private key", .. }));
    assert!(matches!(read([other_key, certificate].concat()), Error::RootKeyMismatch));
    assert!(matches!(read([&p256_pem, certificate].concat()), Error::RootKey(_)));
    assert!(matches!(read("x".repeat(20_000)), Error::RootTooLarge { bytes: 20_000, .. }));
}

#[test]
fn refuses_fields_that_no_verifier_accepts() {
    let mut nsm = site().nsm;
    let over = |limit: usize| Some(vec![0; limit + 1]);
    let requests = [
        AttestationRequest { public_key: over(attestation::PUBLIC_KEY_BYTES_MAX), ..request() },
        AttestationRequest { user_data: over(attestation::USER_DATA_BYTES_MAX), ..request() },
        AttestationRequest { nonce: over(attestation::NONCE_BYTES_MAX), ..request() },
    ];
    for request in requests {
        assert!(matches!(nsm.attest(request), Err(nsm::Error::FieldTooLong { .. })));
    }
}

#[tokio::test]
async fn handle_serves_many_tasks_over_one_thread() {
    let Site { trust, nsm, .. } = site();
    let handle = NsmHandle::start(Box::new(nsm)).unwrap();
    let asking: Vec<_> = (0..100u8)
        .map(|number| {
            let handle = handle.clone();
            tokio::spawn(async move {
                let nonce = Some(vec![number]);
                handle.attest(AttestationRequest { nonce, ..AttestationRequest::default() }).await
            })
        })
        .collect();
    for (number, asking) in (0..100u8).zip(asking) {
        let document = asking.await.unwrap().unwrap();
        let expectation = Expectation { nonce: Some(vec![number]), ..expectation() };
        assert!(attestation::verify(&document, &expectation, &trust, VerifyTime::Document).is_ok());
    }
}

#[tokio::test]
async fn handle_passes_refusals_on_and_goes_on() {
    let handle = NsmHandle::start(Box::new(site().nsm)).unwrap();
    let refused = handle.extend_pcr(16, vec![1]).await;
    assert!(matches!(refused, Err(nsm::Error::Refused { refusal: Refusal::ReadOnlyIndex, .. })));
    assert!(handle.lock_pcr(17).await.is_ok());
    assert!(handle.describe().await.unwrap().locked_pcrs.contains(&17));
    assert_ne!(*handle.random(32).await.unwrap(), *handle.random(32).await.unwrap());
    let refused = handle.random(RANDOM_BYTES_MAX + 1).await;
    assert!(matches!(refused, Err(nsm::Error::TooMuchRandomness { .. })));
}

struct Panicking;

impl Nsm for Panicking {
    fn describe(&mut self) -> Result<Description, nsm::Error> {
        panic!("an nsm that breaks");
    }
    fn pcr(&mut self, _: u16) -> Result<Pcr, nsm::Error> {
        unreachable!("the thread has ended")
    }
    fn extend_pcr(&mut self, _: u16, _: &[u8]) -> Result<Pcr, nsm::Error> {
        unreachable!("the thread has ended")
    }
    fn lock_pcr(&mut self, _: u16) -> Result<(), nsm::Error> {
        unreachable!("the thread has ended")
    }
    fn attest(&mut self, _: AttestationRequest) -> Result<Vec<u8>, nsm::Error> {
        unreachable!("the thread has ended")
    }
    fn random(&mut self, _: &mut [u8]) -> Result<(), nsm::Error> {
        unreachable!("the thread has ended")
    }
}

#[tokio::test]
async fn handle_reports_an_nsm_that_broke_instead_of_waiting() {
    let handle = NsmHandle::start(Box::new(Panicking)).unwrap();
    assert!(matches!(handle.describe().await, Err(nsm::Error::Stopped)));
    assert!(matches!(handle.lock_pcr(16).await, Err(nsm::Error::Stopped)));
}

/// A device as QEMU has it: it measures and signs nothing.
struct Emulated {
    nsm: SoftwareNsm,
    document: fn(Vec<u8>) -> Vec<u8>,
}

impl Nsm for Emulated {
    fn describe(&mut self) -> Result<Description, nsm::Error> {
        self.nsm.describe()
    }

    fn pcr(&mut self, index: u16) -> Result<Pcr, nsm::Error> {
        self.nsm.pcr(index)
    }

    fn extend_pcr(&mut self, index: u16, data: &[u8]) -> Result<Pcr, nsm::Error> {
        self.nsm.extend_pcr(index, data)
    }

    fn lock_pcr(&mut self, index: u16) -> Result<(), nsm::Error> {
        self.nsm.lock_pcr(index)
    }

    fn attest(&mut self, request: AttestationRequest) -> Result<Vec<u8>, nsm::Error> {
        self.nsm.attest(request).map(self.document)
    }

    fn random(&mut self, buffer: &mut [u8]) -> Result<(), nsm::Error> {
        self.nsm.random(buffer)
    }
}

fn unsigned(mut document: Vec<u8>) -> Vec<u8> {
    let signature = document.len() - 96;
    document[signature..].fill(0);
    document
}

#[test]
fn an_emulated_devices_measurements_verify_under_the_root_that_the_attester_has() {
    let Site { nsm, now_ms, .. } = site();
    let root = DevelopmentRoot::generate(NOW_MS).unwrap();
    let trust = TrustRoot::from_sha256(root.sha256()).unwrap();
    let mut device = Emulated { nsm, document: unsigned };
    assert!(verify(&device.attest(request()).unwrap(), &trust).is_err());
    let mut attester = Attester::start(root, Box::new(device)).unwrap();
    now_ms.fetch_add(5 * HOUR_MS, Ordering::Relaxed);
    let document = verify(&attester.attest(request()).unwrap(), &trust).unwrap();
    assert_eq!(document.timestamp_ms, NOW_MS + 5 * HOUR_MS);
    assert_eq!(document.public_key, Some(b"key".to_vec()));
    assert_eq!(document.user_data, Some(Vec::new()));
    assert_eq!(document.pcrs.len(), 17);
    assert!(matches!(
        attester.extend_pcr(16, b"more"),
        Err(nsm::Error::Refused { refusal: Refusal::ReadOnlyIndex, .. })
    ));
}

#[test]
fn an_emulated_device_whose_documents_cannot_be_read_is_not_signed_for() {
    let documents: [fn(Vec<u8>) -> Vec<u8>; 4] = [
        |_| Vec::new(),
        |_| vec![0x80],
        |_| b"\x84\x40\xa0\x41\x00\x40".to_vec(),
        |document| document[..document.len() / 2].to_vec(),
    ];
    for document in documents {
        let device = Emulated { nsm: site().nsm, document };
        let root = DevelopmentRoot::generate(NOW_MS).unwrap();
        let started = Attester::start(root, Box::new(device)).map(drop);
        assert!(matches!(started, Err(nsm::Error::Software(Error::DeviceDocument))));
    }
}
