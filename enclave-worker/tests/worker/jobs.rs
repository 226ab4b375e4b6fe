//! Jobs from key birth over transfers to another policy, and what is refused.

use nsl_enclave_protocol::{Request, Response};
use nsl_neo::{PublicKey, Signature};
use nsl_policy::transaction;
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::number::{Amount, Datoshi};
use nsl_schemas::outcome::{JobResult, SealedKey, post_state_sha256};
use nsl_schemas::policy::Policy;
use nsl_test_site::{change, key, policy, transfer};
use nsl_verify::attestation::{self, VerifyTime};

use crate::site::{Site, ask, born, perform, refusal};

const STATE_INVALID: &str = "worker_state_invalid";
const POLICY_DENIED: &str = "worker_policy_denied";
const COMMAND_INVALID: &str = "worker_command_invalid";

#[tokio::test]
async fn a_key_is_born_with_a_certificate_that_verifies() {
    let site = Site::new();
    let worker = site.worker().await;
    let job = site.create("main", policy());
    let outcome = perform(&worker, job.clone()).await;
    assert!(outcome.is_signed_by_worker());
    assert_eq!(outcome.statement.job_id, job.job_id);
    assert_eq!(outcome.statement.request_sha256, job.command.envelope.request_sha256());
    let JobResult::KeyCreated { sealed_key, birth_certificate } = outcome.result else { panic!("no key") };
    assert_eq!(outcome.statement.post_state_sha256, post_state_sha256(Some(&sealed_key)));
    let statement = &birth_certificate.statement;
    assert_eq!(statement.policy_sha256, policy().sha256());
    assert_eq!(statement.owners, policy().owners);
    assert!(statement.public_key.parse::<PublicKey>().is_ok());
    let document = attestation::verify(
        &birth_certificate.document.0,
        &site.expectation(),
        &site.trust,
        VerifyTime::Document,
    );
    assert_eq!(document.unwrap().user_data, Some(statement.user_data().0.to_vec()));
}

#[tokio::test]
async fn every_key_is_another() {
    let site = Site::new();
    let worker = site.worker().await;
    let (one, two) = (born(&site, &worker, "main").await, born(&site, &worker, "main").await);
    assert_ne!(one.1.statement.public_key, two.1.statement.public_key);
    assert_ne!(one.0.nonce, two.0.nonce);
}

#[tokio::test]
async fn any_worker_of_the_site_signs_the_one_transaction_of_the_command() {
    let site = Site::new();
    let (sealed_key, certificate) = born(&site, &site.worker().await, "main").await;
    let public_key: PublicKey = certificate.statement.public_key.parse().unwrap();
    let job = site.transfer("main", &transfer(), sealed_key.clone(), policy());
    let command_id = job.command.envelope.command_id;
    let outcome = perform(&site.worker().await, job).await;
    let JobResult::TransferSigned { tx_hash, signature } = &outcome.result else { panic!("{outcome:?}") };
    let unsigned = transaction::transfer(command_id, &public_key, &transfer()).unwrap();
    assert_eq!(*tx_hash, unsigned.hash().to_string());
    let signature = Signature::from_bytes(signature.0.as_slice().try_into().unwrap());
    assert_eq!(public_key.verify(&unsigned.sign_data(transfer().network_magic), &signature), Ok(()));
    assert_eq!(outcome.statement.post_state_sha256, post_state_sha256(Some(&sealed_key)));
}

#[tokio::test]
async fn a_transfer_that_the_policy_forbids_is_refused_with_the_state_unchanged() {
    let site = Site::new();
    let worker = site.worker().await;
    let (sealed_key, _) = born(&site, &worker, "main").await;
    let other_recipient = "NTiAjNgfHwwTi3wHAS8aFAN243C5vGbkYD".to_owned();
    let cases = [
        RequestTransfer { amount: Amount(101), ..transfer() },
        RequestTransfer { amount: Amount(0), ..transfer() },
        RequestTransfer { network_magic: 1, ..transfer() },
        RequestTransfer { to: other_recipient, ..transfer() },
        RequestTransfer { network_fee_datoshi: Datoshi(5), ..transfer() },
        RequestTransfer { asset: nsl_neo::native::NEO.to_string(), ..transfer() },
    ];
    for transfer in cases {
        let outcome = perform(&worker, site.transfer("main", &transfer, sealed_key.clone(), policy())).await;
        assert_eq!(refusal(&outcome), POLICY_DENIED, "{transfer:?}");
        assert!(outcome.is_signed_by_worker());
        assert_eq!(outcome.statement.post_state_sha256, post_state_sha256(Some(&sealed_key)));
    }
}

#[tokio::test]
async fn a_transfer_that_stands_for_no_transaction_is_refused() {
    let site = Site::new();
    let worker = site.worker().await;
    let generous = Policy { fee_max_datoshi: Datoshi(u64::MAX), ..policy() };
    let born = perform(&worker, site.create("main", generous.clone())).await;
    let JobResult::KeyCreated { sealed_key, .. } = born.result else { panic!("no key") };
    let transfer = RequestTransfer { system_fee_datoshi: Datoshi(1 << 63), ..transfer() };
    let outcome = perform(&worker, site.transfer("main", &transfer, sealed_key, generous)).await;
    assert_eq!(refusal(&outcome), COMMAND_INVALID);
}

#[tokio::test]
async fn a_key_serves_only_its_wallet_policy_and_version() {
    let site = Site::new();
    let worker = site.worker().await;
    let (sealed_key, _) = born(&site, &worker, "main").await;
    let generous = Policy { fee_max_datoshi: Datoshi(u64::MAX), ..policy() };
    let later = SealedKey { version: 2, ..sealed_key.clone() };
    let mut altered = sealed_key.clone();
    altered.ciphertext.0[0] ^= 1;
    let jobs = [
        site.transfer("other", &transfer(), sealed_key.clone(), policy()),
        site.transfer("main", &transfer(), sealed_key.clone(), generous),
        site.transfer("main", &transfer(), later, policy()),
        site.transfer("main", &transfer(), altered, policy()),
    ];
    for job in jobs {
        assert_eq!(refusal(&perform(&worker, job).await), STATE_INVALID);
    }
}

#[tokio::test]
async fn a_job_whose_key_another_sealing_key_sealed_is_left_to_a_worker_that_has_it() {
    let site = Site::new();
    let worker = site.worker().await;
    let (sealed_key, _) = born(&site, &worker, "main").await;
    let foreign = SealedKey { sealing_key_id: "0123456789abcdef".into(), ..sealed_key.clone() };
    let other_site = Site::new();
    for (worker, job) in [
        (&worker, site.transfer("main", &transfer(), foreign, policy())),
        (&other_site.worker().await, other_site.transfer("main", &transfer(), sealed_key, policy())),
    ] {
        let Response::Error { code, .. } =
            ask(worker, &Request::Perform { certificate: None, job: Box::new(job) }).await
        else {
            panic!("answered")
        };
        assert_eq!(code, "sealing_key_missing");
    }
}

#[tokio::test]
async fn a_replaced_policy_rules_and_the_old_one_no_longer_does() {
    let site = Site::new();
    let worker = site.worker().await;
    let (sealed_key, certificate) = born(&site, &worker, "main").await;
    let stricter = Policy { fee_max_datoshi: Datoshi(9), ..policy() };
    let job = site.replace(change(&policy(), stricter.clone(), 9), sealed_key, policy());
    let outcome = perform(&worker, job).await;
    let JobResult::PolicyReplaced { sealed_key: resealed } = &outcome.result else { panic!("{outcome:?}") };
    assert_eq!(resealed.version, 2);
    assert_eq!(outcome.statement.post_state_sha256, post_state_sha256(Some(resealed)));

    let too_dear = site.transfer("main", &transfer(), resealed.clone(), stricter.clone());
    assert_eq!(refusal(&perform(&worker, too_dear).await), POLICY_DENIED);
    let old_policy = site.transfer("main", &transfer(), resealed.clone(), policy());
    assert_eq!(refusal(&perform(&worker, old_policy).await), STATE_INVALID);
    let cheaper = RequestTransfer { network_fee_datoshi: Datoshi(3), ..transfer() };
    let job = site.transfer("main", &cheaper, resealed.clone(), stricter);
    let command_id = job.command.envelope.command_id;
    let signed = perform(&worker, job).await;
    let JobResult::TransferSigned { signature, .. } = &signed.result else { panic!("{signed:?}") };
    let public_key = certificate.statement.public_key.parse().unwrap();
    assert!(transaction::with_witness(command_id, &public_key, &cheaper, &signature.0).is_ok());
}

#[tokio::test]
async fn a_policy_change_needs_its_owners_its_predecessor_and_sense() {
    let site = Site::new();
    let worker = site.worker().await;
    let (sealed_key, _) = born(&site, &worker, "main").await;
    let next = || Policy { fee_max_datoshi: Datoshi(9), ..policy() };
    let mut unsound = next();
    unsound.owners.threshold = 2;
    let mut for_another_wallet = change(&policy(), next(), 9);
    for_another_wallet.statement.wallet = nsl_schemas::token::AggregateId::parse("other").unwrap();
    let for_another_wallet = nsl_schemas::authority::Signed::sign(for_another_wallet.statement, &[&key(9)]);
    let mut altered = change(&policy(), next(), 9);
    altered.statement.policy.fee_max_datoshi = Datoshi(u64::MAX);
    let changes = [
        change(&policy(), next(), 8),
        change(&next(), next(), 9),
        change(&policy(), unsound, 9),
        for_another_wallet,
        altered,
    ];
    for change in changes {
        let outcome = perform(&worker, site.replace(change.clone(), sealed_key.clone(), policy())).await;
        assert_eq!(refusal(&outcome), POLICY_DENIED, "{change:?}");
        assert_eq!(outcome.statement.post_state_sha256, post_state_sha256(Some(&sealed_key)));
    }
}

#[tokio::test]
async fn no_key_is_born_under_a_policy_that_could_never_change() {
    let site = Site::new();
    let mut ownerless = policy();
    ownerless.owners.keys.clear();
    let outcome = perform(&site.worker().await, site.create("main", ownerless)).await;
    assert_eq!(refusal(&outcome), POLICY_DENIED);
    assert_eq!(outcome.statement.post_state_sha256, post_state_sha256(None));
}
