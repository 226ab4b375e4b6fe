//! What a worker commits to and proves at its start, and when it does not start.

use nsl_enclave_protocol::{Request, Response};
use nsl_enclave_worker::genesis;
use nsl_enclave_worker::nsm::Nsm;
use nsl_enclave_worker::sealing_provider::{self, Sources, obtain};
use nsl_enclave_worker::{Genesis, Worker};
use nsl_schemas::bytes::Base64;
use nsl_schemas::canonical;
use nsl_verify::attestation::{self, VerifyTime};

use crate::site::{MEASUREMENTS, Site, ask};

async fn start_error(site: &Site, nsm: Box<dyn Nsm>) -> String {
    let genesis = Genesis::obey(site.genesis.clone()).unwrap();
    Worker::start(genesis, nsm, site.sealing_key()).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_worker_proves_its_build_its_manifest_and_its_key() {
    let site = Site::new();
    let worker = site.worker().await;
    let nonce = vec![1; 32];
    let Response::Registration { key, attestation } =
        ask(&worker, &Request::Register { nonce: Base64(nonce.clone()) }).await
    else {
        panic!("no registration");
    };
    let expectation = site.expectation().answering(nonce);
    let document =
        attestation::verify(&attestation.0, &expectation, &site.trust, VerifyTime::Document).unwrap();
    assert_eq!(document.public_key, Some(key.0.to_vec()));
    let Response::Description { description } = ask(&worker, &Request::Describe).await else {
        panic!("no description");
    };
    assert_eq!(description.genesis_sha256, site.sha256());
    assert_eq!(description.module_id, document.module_id);
}

#[tokio::test]
async fn two_workers_of_a_site_have_keys_of_their_own_and_one_sealing_key() {
    let site = Site::new();
    let (one, two) = (site.worker().await, site.worker().await);
    let nonce = || Request::Register { nonce: Base64(vec![1]) };
    assert_ne!(ask(&one, &nonce()).await, ask(&two, &nonce()).await);
    assert_eq!(one.describe().sealing_keys, two.describe().sealing_keys);
    assert_eq!(one.describe().sealing_keys.len(), 1);
}

#[tokio::test]
async fn requests_that_cannot_be_met_are_answered_with_a_code() {
    let worker = Site::new().worker().await;
    let code = |bytes: Vec<u8>| match Response::from_bytes(&bytes).unwrap() {
        Response::Error { code, .. } => code,
        other => panic!("{other:?}"),
    };
    let long = Request::Register { nonce: Base64(vec![0; 513]) }.to_bytes();
    for request in [b"".to_vec(), b"{}".to_vec(), vec![0xff; 100], vec![b'['; 100_000], long] {
        assert_eq!(code(worker.answer(&request).await), "payload_invalid");
    }
}

#[tokio::test]
async fn a_register_that_is_locked_to_the_same_manifest_is_accepted() {
    let site = Site::new();
    let mut nsm = site.nsm(MEASUREMENTS);
    nsm.extend_pcr(16, &site.sha256().0).unwrap();
    nsm.lock_pcr(16).unwrap();
    let genesis = Genesis::obey(site.genesis.clone()).unwrap();
    assert!(Worker::start(genesis, Box::new(nsm), site.sealing_key()).await.is_ok());
}

#[tokio::test]
async fn no_worker_starts_under_another_commitment_or_root() {
    let site = Site::new();
    let mut locked = site.nsm(MEASUREMENTS);
    locked.extend_pcr(16, &[9; 32]).unwrap();
    locked.lock_pcr(16).unwrap();
    let mut extended = site.nsm(MEASUREMENTS);
    extended.extend_pcr(16, &[9; 32]).unwrap();
    let not_met = "does not meet the genesis manifest";
    assert!(start_error(&site, Box::new(locked)).await.contains(not_met));
    assert!(start_error(&site, Box::new(extended)).await.contains("PCR16 was extended before"));
    let foreign = Site::new().nsm(MEASUREMENTS);
    assert!(start_error(&site, Box::new(foreign)).await.contains(not_met));
}

#[test]
fn only_a_manifest_signed_by_its_quorum_is_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("genesis.json");
    let mut genesis = Site::new().genesis.clone();
    std::fs::write(&path, canonical::to_string(&genesis)).unwrap();
    assert_eq!(Genesis::read(&path).unwrap().sha256(), genesis.statement.sha256());
    genesis.statement.log_origin = "other".into();
    std::fs::write(&path, canonical::to_string(&genesis)).unwrap();
    assert!(matches!(Genesis::read(&path), Err(genesis::Error::Content { .. })));
}

#[test]
fn the_development_sealing_key_is_a_file_of_32_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealing-key");
    let genesis = Genesis::obey(Site::new().genesis.clone()).unwrap();
    let sources = Sources { development_key_file: Some(path.clone()), ..Sources::default() };
    assert!(matches!(obtain(&genesis, &Sources::default()), Err(sealing_provider::Error::NoFile)));
    assert!(matches!(obtain(&genesis, &sources), Err(sealing_provider::Error::Read { .. })));
    for (bytes, is_key) in [(31, false), (32, true), (33, false)] {
        std::fs::write(&path, vec![7; bytes]).unwrap();
        assert_eq!(obtain(&genesis, &sources).is_ok(), is_key, "{bytes}");
    }
}
