//! Keys that KMS made: founded, given to fresh workers, rotated; and what a host with credentials cannot do.

use nsl_enclave_protocol::AwsCredentials;
use nsl_kms::KeyPolicy;
use nsl_schemas::authority::Signed;
use nsl_schemas::bytes::Base64;
use nsl_schemas::outcome::JobResult;
use nsl_schemas::sealing::{SealingAnswer, SealingOrder, SealingRequest};
use serde_json::json;

use crate::site::{MEASUREMENTS, Site, credentials, key, open, sealing, sealing_as, still_waits};

#[tokio::test]
async fn a_fresh_worker_is_given_the_key_again_and_what_it_sealed_signs() {
    let site = Site::new().await;
    let first = site.worker().await;
    let record = site.found(&first, 1).await;
    still_waits(&first).await;
    assert_eq!(site.create(&first).await, Err("sealing_key_missing".into()));
    let status = open(&first, &record).await.unwrap();
    assert_eq!(status.keys[0].key_id, record.statement.key_id);
    let sealed_key = site.create(&first).await.unwrap();
    assert_eq!(sealed_key.sealing_key_id, record.statement.key_id);
    drop(first);

    let fresh = site.worker().await;
    open(&fresh, &record).await.unwrap();
    let signed = site.sign(&fresh, &sealed_key).await;
    assert!(matches!(signed, JobResult::TransferSigned { .. }), "{signed:?}");
    // What it has is not asked for again.
    open(&fresh, &record).await.unwrap();
    let asked = ["GenerateDataKey", "Decrypt", "Decrypt"].map(|verb| format!("TrentService.{verb}"));
    assert_eq!(site.server.asked(), asked);
}

#[tokio::test]
async fn a_worker_gives_the_key_of_kms_to_another_without_kms() {
    let site = Site::new().await;
    let (giver, taker) = (site.worker().await, site.worker().await);
    let record = site.found(&giver, 1).await;
    open(&giver, &record).await.unwrap();
    let SealingAnswer::Challenge { nonce } = sealing(&giver, SealingRequest::Challenge).await.unwrap() else {
        panic!("no challenge")
    };
    let SealingAnswer::Attested { document } =
        sealing(&taker, SealingRequest::Attest { nonce }).await.unwrap()
    else {
        panic!("no document")
    };
    let forwarded = sealing(&giver, SealingRequest::Forward { document }).await.unwrap();
    let SealingAnswer::Forwarded { document, message } = forwarded else { panic!("no keys") };
    sealing(&taker, SealingRequest::Accept { document, message }).await.unwrap();
    assert_eq!(taker.describe().sealing_keys, giver.describe().sealing_keys);
    assert_eq!(site.server.asked().len(), 2);
}

#[tokio::test]
async fn epochs_overlap_and_each_key_is_bound_to_its_own() {
    let site = Site::new().await;
    let worker = site.worker().await;
    let (first, second) = (site.found(&worker, 1).await, site.found(&worker, 2).await);
    open(&worker, &second).await.unwrap();
    assert_eq!(open(&worker, &first).await.unwrap().keys.len(), 2);
    let sealed_key = site.create(&worker).await.unwrap();
    assert_eq!(sealed_key.sealing_key_id, second.statement.key_id);
}

#[tokio::test]
async fn a_worker_that_the_keys_policy_does_not_allow_waits_until_it_does() {
    let site = Site::new().await;
    let worker = site.worker().await;
    let record = site.found(&worker, 1).await;
    for policy in [
        KeyPolicy { image_sha384: vec![[0xb0; 48]], pcr16: None },
        KeyPolicy { image_sha384: vec![MEASUREMENTS[0]], pcr16: Some([0xb0; 48]) },
    ] {
        site.server.set_policy(policy);
        let fresh = site.worker().await;
        let (code, message) = open(&fresh, &record).await.unwrap_err();
        assert_eq!(code, "kms_refused");
        assert!(message.contains("AccessDeniedException: kms:RecipientAttestation"), "{message}");
        still_waits(&fresh).await;
        site.server.set_policy(KeyPolicy { image_sha384: vec![MEASUREMENTS[0]], pcr16: None });
        assert_eq!(open(&fresh, &record).await.unwrap().keys.len(), 1);
    }
}

#[tokio::test]
async fn requests_are_signed_by_the_hosts_credentials_alone() {
    let site = Site::new().await;
    let worker = site.worker().await;
    let found = async |credentials| {
        let about = SealingRequest::Found { order: site.order(1) };
        sealing_as(&worker, about, credentials).await.unwrap_err()
    };
    let (code, message) = found(None).await;
    assert_eq!(code, "unavailable");
    assert!(message.contains("no credentials"), "{message}");
    let wrong = AwsCredentials { secret_access_key: "other".into(), ..credentials() };
    let (code, message) = found(Some(wrong)).await;
    assert_eq!(code, "kms_refused");
    assert!(message.contains("InvalidSignatureException"), "{message}");
    let stranger = AwsCredentials { session_token: None, ..credentials() };
    assert!(found(Some(stranger)).await.1.contains("UnrecognizedClientException"));
    let injected = AwsCredentials { session_token: Some("t\r\nx-amz-target: other".into()), ..credentials() };
    let (code, message) = found(Some(injected)).await;
    assert_eq!(code, "unavailable");
    assert!(message.contains("malformed"), "{message}");
}

#[tokio::test]
async fn a_key_is_founded_only_by_order_of_the_quorum_and_without_custodians() {
    let site = Site::new().await;
    let worker = site.worker().await;
    let order = site.order(1).statement;
    let shared = SealingOrder { threshold: 1, ..order.clone() };
    for order in [Signed::sign(order, &[&key(2)]), Signed::sign(shared, &[&key(1)])] {
        let (code, _) = sealing(&worker, SealingRequest::Found { order }).await.unwrap_err();
        assert_eq!(code, "sealing_record_invalid");
    }
    assert!(site.server.asked().is_empty());
}

#[tokio::test]
async fn a_host_that_has_kms_wrap_a_key_of_its_own_plants_nothing() {
    let site = Site::new().await;
    let worker = site.worker().await;
    let (record, next) = (site.found(&worker, 1).await, site.found(&worker, 2).await);
    let context = json!({ "nsl-epoch": "1", "nsl-genesis-sha256": site.genesis_sha256().to_string() });
    let planted = site.server.encrypt(&[7; 32], &context);
    let mut altered = record.clone();
    altered.statement.ciphertext = Some(Base64(planted));
    let (code, _) = open(&worker, &altered).await.unwrap_err();
    assert_eq!(code, "attestation_invalid");
    // Nor does the wrapped key of another epoch open under this one's record.
    altered.statement.ciphertext = next.statement.ciphertext;
    assert_eq!(open(&worker, &altered).await.unwrap_err().0, "attestation_invalid");
    let mut unwrapped = record;
    unwrapped.statement.ciphertext = None;
    assert_eq!(open(&worker, &unwrapped).await.unwrap_err().0, "sealing_record_invalid");
    still_waits(&worker).await;
    assert_eq!(site.server.asked().len(), 2);
}
