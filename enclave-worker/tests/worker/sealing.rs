//! Sealing keys of a custodian quorum: founded, brought back by shares, forwarded; and what a hostile host tries.

use nsl_enclave_protocol::{Request, Response};
use nsl_enclave_worker::nsm::{AttestationRequest, Nsm};
use nsl_enclave_worker::sealing::Keyring;
use nsl_enclave_worker::{Genesis, Worker};
use nsl_schemas::authority::{SealingProvider, Signed};
use nsl_schemas::bytes::{Base64, HpkeKey, Sha256};
use nsl_schemas::number::Datoshi;
use nsl_schemas::outcome::{JobResult, post_state_sha256};
use nsl_schemas::policy::Policy;
use nsl_schemas::sealing::{
    Custodian, SHARE_TO_CUSTODIAN, SHARE_TO_WORKER, SealingAnswer, SealingOrder, SealingRecord,
    SealingRequest, SealingStatus, share_commitment,
};
use nsl_test_site::{COMMAND_ID, key, policy, transfer};
use nsl_verify::attestation::{self, VerifyTime};
use nsl_verify::hpke;
use zeroize::Zeroizing;

use crate::site::{MEASUREMENTS, Site, ask, born, perform, refusal};

const KEY_MISSING: &str = "sealing_key_missing";
const RECORD_INVALID: &str = "sealing_record_invalid";
const SHARE_INVALID: &str = "sealing_share_invalid";
const ATTESTATION_INVALID: &str = "attestation_invalid";

fn site() -> Site {
    Site::sealing_by(SealingProvider::CustodianQuorum)
}

fn custodian(number: u8) -> hpke::PrivateKey {
    hpke::PrivateKey::from_secret(Zeroizing::new([100 + number; 32])).unwrap()
}

/// Two of three custodians, 1 to 3.
fn order(site: &Site, epoch: u32) -> SealingOrder {
    let named = |number: u8| Custodian {
        key: HpkeKey(custodian(number).public()),
        name: format!("custodian {number}"),
    };
    SealingOrder {
        custodians: (1..=3).map(named).collect(),
        epoch,
        genesis_sha256: site.sha256(),
        issued_at_ms: 1,
        quorum_epoch: 0,
        threshold: 2,
    }
}

async fn sealing(worker: &Worker, about: SealingRequest) -> Result<SealingAnswer, String> {
    match ask(worker, &Request::Sealing { about: Box::new(about), credentials: None }).await {
        Response::Sealing { answer } => Ok(*answer),
        Response::Error { code, .. } => Err(code),
        other => panic!("{other:?}"),
    }
}

async fn found(site: &Site, epoch: u32) -> SealingRecord {
    let worker = site.worker_with(Keyring::default()).await;
    let order = Signed::sign(order(site, epoch), &[&key(1)]);
    match sealing(&worker, SealingRequest::Found { order }).await.unwrap() {
        SealingAnswer::Founded { record } => {
            assert!(worker.describe().sealing_keys.is_empty(), "what founds a key does not keep it");
            record
        }
        other => panic!("{other:?}"),
    }
}

/// The share as its custodian decrypts it.
fn share_of(record: &SealingRecord, number: u8) -> Zeroizing<Vec<u8>> {
    let place = usize::from(number) - 1;
    let (share, order) = (&record.statement.shares[place], &record.statement.order.statement);
    let opened = custodian(number).open(SHARE_TO_CUSTODIAN, &order.sha256().0, &share.message.0).unwrap();
    assert_eq!(share_commitment(opened.as_slice().try_into().unwrap()), share.commitment);
    opened
}

/// The key that a worker proves to be its own, as a custodian checks it.
async fn proven_key(site: &Site, worker: &Worker) -> [u8; 32] {
    let nonce = Base64(vec![5; 32]);
    let SealingAnswer::Attested { document } =
        sealing(worker, SealingRequest::Attest { nonce: nonce.clone() }).await.unwrap()
    else {
        panic!("no document")
    };
    let expectation = site.expectation().answering(nonce.0);
    let document = attestation::verify(&document.0, &expectation, &site.trust, VerifyTime::Document).unwrap();
    document.public_key.unwrap().try_into().unwrap()
}

/// A request that carries `share` as `number`'s, sealed to `recipient`.
fn carry(record: &SealingRecord, number: u8, share: &[u8], recipient: &[u8; 32]) -> SealingRequest {
    let aad = record.statement.user_data().0;
    let message = hpke::seal(recipient, SHARE_TO_WORKER, &aad, share, Zeroizing::new([number; 32])).unwrap();
    let custodian = HpkeKey(custodian(number).public());
    SealingRequest::TakeShare { custodian, message: Base64(message), record: record.clone() }
}

async fn provide(
    site: &Site,
    worker: &Worker,
    record: &SealingRecord,
    number: u8,
) -> Result<SealingStatus, String> {
    let recipient = proven_key(site, worker).await;
    let request = carry(record, number, &share_of(record, number), &recipient);
    sealing(worker, request).await.map(|answer| match answer {
        SealingAnswer::Status { status } => status,
        other => panic!("{other:?}"),
    })
}

async fn provisioned(site: &Site, record: &SealingRecord, quorum: [u8; 2]) -> Worker {
    let worker = site.worker_with(Keyring::default()).await;
    for number in quorum {
        provide(site, &worker, record, number).await.unwrap();
    }
    worker
}

async fn create_code(site: &Site, worker: &Worker) -> String {
    let request = Request::Perform { certificate: None, job: Box::new(site.create("main", policy())) };
    match ask(worker, &request).await {
        Response::Error { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn any_quorum_of_custodians_brings_the_key_back_and_what_it_sealed_signs_again() {
    let site = site();
    let record = found(&site, 1).await;
    let first = site.worker_with(Keyring::default()).await;
    assert_eq!(create_code(&site, &first).await, KEY_MISSING);
    let status = provide(&site, &first, &record, 1).await.unwrap();
    assert!(status.keys.is_empty());
    assert_eq!(status.waiting[0].shares, ["custodian 1"]);
    assert_eq!(status.waiting[0].threshold, 2);
    assert_eq!(create_code(&site, &first).await, KEY_MISSING);
    let status = provide(&site, &first, &record, 2).await.unwrap();
    assert_eq!(status.keys[0].key_id, record.statement.key_id);
    assert!(status.waiting.is_empty());
    let (sealed_key, certificate) = born(&site, &first, "main").await;
    assert_eq!(sealed_key.sealing_key_id, record.statement.key_id);
    drop(first);
    for quorum in [[1, 3], [3, 2]] {
        let worker = provisioned(&site, &record, quorum).await;
        let job = site.transfer("main", &transfer(), sealed_key.clone(), policy());
        let JobResult::TransferSigned { tx_hash, .. } = perform(&worker, job).await.result else {
            panic!("not signed")
        };
        let public_key = &certificate.statement.public_key;
        let unsigned =
            nsl_policy::transaction::transfer(COMMAND_ID, &public_key.parse().unwrap(), &transfer()).unwrap();
        assert_eq!(tx_hash, unsigned.hash().to_string());
    }
}

#[tokio::test]
async fn a_share_counts_once_however_often_it_comes() {
    let site = site();
    let record = found(&site, 1).await;
    let worker = site.worker_with(Keyring::default()).await;
    for _ in 0..3 {
        let status = provide(&site, &worker, &record, 2).await.unwrap();
        assert_eq!((status.keys.len(), status.waiting[0].shares.len()), (0, 1));
    }
    provide(&site, &worker, &record, 3).await.unwrap();
    let status = provide(&site, &worker, &record, 1).await.unwrap();
    assert_eq!((status.keys.len(), status.waiting.len()), (1, 0));
}

#[tokio::test]
async fn a_wrong_share_is_refused_by_name_and_changes_nothing() {
    let site = site();
    let (record, other) = (found(&site, 1).await, found(&site, 1).await);
    let worker = site.worker_with(Keyring::default()).await;
    provide(&site, &worker, &record, 1).await.unwrap();
    let recipient = proven_key(&site, &worker).await;
    let stranger = proven_key(&site, &site.worker_with(Keyring::default()).await).await;
    let share = share_of(&record, 2);
    let mut altered = share.clone();
    altered[7] ^= 1;
    let mut renumbered = share.clone();
    renumbered[0] = 3;
    let mut rebound = carry(&other, 2, &share, &recipient);
    let SealingRequest::TakeShare { record: bound, .. } = &mut rebound else { unreachable!() };
    *bound = record.clone();
    for wrong in [
        carry(&record, 2, &altered, &recipient),
        carry(&record, 2, &renumbered, &recipient),
        carry(&record, 2, &share[..32], &recipient),
        carry(&record, 3, &share, &recipient),
        carry(&record, 2, &share_of(&other, 2), &recipient),
        carry(&record, 2, &share, &stranger),
        carry(&record, 9, &share, &recipient),
        rebound,
    ] {
        assert_eq!(sealing(&worker, wrong).await.unwrap_err(), SHARE_INVALID);
    }
    let SealingAnswer::Status { status } = sealing(&worker, SealingRequest::Status).await.unwrap() else {
        panic!("no status")
    };
    assert_eq!(status.waiting[0].shares, ["custodian 1"]);
    assert_eq!(provide(&site, &worker, &record, 2).await.unwrap().keys.len(), 1);
}

#[tokio::test]
async fn a_record_that_no_worker_of_the_manifest_made_is_refused() {
    let site = site();
    let record = found(&site, 1).await;
    let worker = site.worker_with(Keyring::default()).await;
    let recipient = proven_key(&site, &worker).await;
    let foreign = found(&self::site(), 1).await;
    let mut altered = record.clone();
    altered.statement.key_id = "0123456789abcdef".into();
    let mut unsigned = record.clone();
    unsigned.statement.order.statement.threshold = 1;
    let mut swapped = record.clone();
    swapped.document = found(&site, 1).await.document;
    for (wrong, code) in [
        (foreign, RECORD_INVALID),
        (unsigned, RECORD_INVALID),
        (altered, ATTESTATION_INVALID),
        (swapped, ATTESTATION_INVALID),
    ] {
        let request = carry(&wrong, 1, &[1; 33], &recipient);
        assert_eq!(sealing(&worker, request).await.unwrap_err(), code);
    }
}

#[tokio::test]
async fn a_key_is_founded_only_by_order_of_the_genesis_quorum() {
    let site = site();
    let worker = site.worker_with(Keyring::default()).await;
    let unsound = SealingOrder { threshold: 4, ..order(&site, 1) };
    let other_log = SealingOrder { genesis_sha256: Sha256([9; 32]), ..order(&site, 1) };
    for order in [
        Signed::sign(order(&site, 1), &[&key(2)]),
        Signed::sign(unsound, &[&key(1)]),
        Signed::sign(other_log, &[&key(1)]),
    ] {
        assert_eq!(sealing(&worker, SealingRequest::Found { order }).await.unwrap_err(), RECORD_INVALID);
    }
    let development = Site::new();
    let order = Signed::sign(order(&development, 1), &[&key(1)]);
    let refused = sealing(&development.worker().await, SealingRequest::Found { order }).await;
    assert_eq!(refused.unwrap_err(), RECORD_INVALID);
}

async fn challenge(giver: &Worker) -> Base64 {
    match sealing(giver, SealingRequest::Challenge).await.unwrap() {
        SealingAnswer::Challenge { nonce } => nonce,
        other => panic!("{other:?}"),
    }
}

async fn attested(worker: &Worker, nonce: Base64) -> Base64 {
    match sealing(worker, SealingRequest::Attest { nonce }).await.unwrap() {
        SealingAnswer::Attested { document } => document,
        other => panic!("{other:?}"),
    }
}

/// What `giver` forwards to `taker`, as the host carries it.
async fn forwarded(giver: &Worker, taker: &Worker) -> SealingRequest {
    let document = attested(taker, challenge(giver).await).await;
    match sealing(giver, SealingRequest::Forward { document }).await.unwrap() {
        SealingAnswer::Forwarded { document, message } => SealingRequest::Accept { document, message },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_worker_with_the_keys_gives_them_to_another_without_people() {
    let site = site();
    let (first, second) = (found(&site, 1).await, found(&site, 2).await);
    let giver = provisioned(&site, &first, [1, 2]).await;
    let (sealed_key, _) = born(&site, &giver, "main").await;
    for number in [1, 3] {
        provide(&site, &giver, &second, number).await.unwrap();
    }
    let taker = site.worker_with(Keyring::default()).await;
    let accept = forwarded(&giver, &taker).await;
    sealing(&taker, accept).await.unwrap();
    assert_eq!(taker.describe().sealing_keys, giver.describe().sealing_keys);
    // Both epochs open, and the newest seals.
    let signed = perform(&taker, site.transfer("main", &transfer(), sealed_key, policy())).await;
    assert!(matches!(signed.result, JobResult::TransferSigned { .. }));
    assert_eq!(born(&site, &taker, "other").await.0.sealing_key_id, second.statement.key_id);
}

#[tokio::test]
async fn a_key_is_sealed_anew_by_the_sealing_key_that_the_command_names_and_signs_on() {
    let site = site();
    let (first, second) = (found(&site, 1).await, found(&site, 2).await);
    let worker = provisioned(&site, &first, [1, 2]).await;
    let (sealed_key, certificate) = born(&site, &worker, "main").await;
    let reseal = || site.reseal(&second.statement.key_id, sealed_key.clone(), policy());
    let early = ask(&worker, &Request::Perform { certificate: None, job: Box::new(reseal()) }).await;
    assert!(matches!(early, Response::Error { code, .. } if code == KEY_MISSING));
    for number in [2, 3] {
        provide(&site, &worker, &second, number).await.unwrap();
    }
    let outcome = perform(&worker, reseal()).await;
    let JobResult::PolicyReplaced { sealed_key: resealed } = &outcome.result else { panic!("{outcome:?}") };
    assert_eq!((resealed.version, &resealed.sealing_key_id), (2, &second.statement.key_id));
    assert_eq!(outcome.statement.post_state_sha256, post_state_sha256(Some(resealed)));
    // A worker that never had the first key signs with the one sealed anew, for the same address, under the same policy.
    let later = provisioned(&site, &second, [1, 3]).await;
    let public_key = &certificate.statement.public_key;
    let unsigned =
        nsl_policy::transaction::transfer(COMMAND_ID, &public_key.parse().unwrap(), &transfer()).unwrap();
    let signed = perform(&later, site.transfer("main", &transfer(), resealed.clone(), policy())).await;
    let JobResult::TransferSigned { tx_hash, .. } = &signed.result else { panic!("{signed:?}") };
    assert_eq!(*tx_hash, unsigned.hash().to_string());
    let generous = Policy { fee_max_datoshi: Datoshi(u64::MAX), ..policy() };
    let refused = perform(&later, site.transfer("main", &transfer(), resealed.clone(), generous)).await;
    assert_eq!(refusal(&refused), "worker_state_invalid");
}

#[tokio::test]
async fn keys_are_given_to_no_one_but_an_attested_worker_that_answers_now() {
    let site = site();
    let record = found(&site, 1).await;
    let giver = provisioned(&site, &record, [1, 2]).await;
    let taker = site.worker_with(Keyring::default()).await;
    let refused = async |document| sealing(&giver, SealingRequest::Forward { document }).await.unwrap_err();
    // A document that answers no challenge of the giver's, or one that was answered before.
    assert_eq!(refused(attested(&taker, Base64(vec![1; 32])).await).await, ATTESTATION_INVALID);
    let document = attested(&taker, challenge(&giver).await).await;
    sealing(&giver, SealingRequest::Forward { document: document.clone() }).await.unwrap();
    assert_eq!(refused(document).await, ATTESTATION_INVALID);
    // A document that the worker made for another purpose.
    let nonce = challenge(&giver).await;
    let Response::Registration { attestation, .. } = ask(&taker, &Request::Register { nonce }).await else {
        panic!("no registration")
    };
    assert_eq!(refused(attestation).await, ATTESTATION_INVALID);
    // The host's own program, on real hardware of the same root; and one under the host's own manifest.
    let stranger = |nonce: Base64| AttestationRequest {
        public_key: Some(custodian(9).public().to_vec()),
        user_data: Some(nsl_schemas::sealing::PROVISIONING_KEY.to_vec()),
        nonce: Some(nonce.0),
    };
    let mut other_build = site.nsm([[0xee; 48]; 3]);
    other_build.extend_pcr(16, &site.sha256().0).unwrap();
    let mut other_manifest = site.nsm(MEASUREMENTS);
    other_manifest.extend_pcr(16, &[9; 32]).unwrap();
    for nsm in [&mut other_build, &mut other_manifest] {
        let document = nsm.attest(stranger(challenge(&giver).await)).unwrap();
        assert_eq!(refused(Base64(document)).await, ATTESTATION_INVALID);
    }
    // Who has none gives none.
    let document = attested(&giver, challenge(&taker).await).await;
    let none = sealing(&taker, SealingRequest::Forward { document }).await;
    assert_eq!(none.unwrap_err(), KEY_MISSING);
}

#[tokio::test]
async fn keys_are_taken_from_no_one_but_an_attested_worker_that_sealed_them_to_this_one() {
    let site = site();
    let record = found(&site, 1).await;
    let giver = provisioned(&site, &record, [1, 2]).await;
    let (taker, other) =
        (site.worker_with(Keyring::default()).await, site.worker_with(Keyring::default()).await);
    let SealingRequest::Accept { document, message } = forwarded(&giver, &taker).await else {
        unreachable!()
    };
    let for_other = forwarded(&giver, &other).await;
    let SealingRequest::Accept { document: other_document, message: other_message } = for_other else {
        unreachable!()
    };
    // A key of the host's, sealed to the taker's proven key, with every document that the host can get.
    let recipient = proven_key(&site, &taker).await;
    let plaintext = [&1_u32.to_be_bytes()[..], &[7; 32]].concat();
    let aad = site.sha256().0;
    let purpose = b"nsl-sealing-keys-to-worker-v1";
    let own = hpke::seal(&recipient, purpose, &aad, &plaintext, Zeroizing::new([3; 32])).unwrap();
    let own = Base64(own);
    let attested_for_us = attested(&giver, Base64(recipient.to_vec())).await;
    for (document, message) in [
        (document.clone(), own.clone()),
        (attested_for_us, own),
        (document.clone(), other_message.clone()),
        (other_document.clone(), message.clone()),
        (other_document, other_message),
    ] {
        let refused = sealing(&taker, SealingRequest::Accept { document, message }).await;
        assert_eq!(refused.unwrap_err(), ATTESTATION_INVALID);
        assert!(taker.describe().sealing_keys.is_empty());
    }
    sealing(&taker, SealingRequest::Accept { document, message }).await.unwrap();
    assert_eq!(taker.describe().sealing_keys.len(), 1);
}

#[tokio::test]
async fn a_worker_of_a_custodian_quorum_starts_without_keys() {
    let genesis = Genesis::obey(site().genesis.clone()).unwrap();
    let sources = nsl_enclave_worker::sealing_provider::Sources::default();
    let provided = nsl_enclave_worker::sealing_provider::obtain(&genesis, &sources).unwrap();
    assert!(provided.keyring.names().is_empty());
}
