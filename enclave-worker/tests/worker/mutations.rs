//! A signing job altered anywhere is never signed for, and never brings the worker down.

use nsl_enclave_protocol::{Request, Response};
use nsl_enclave_worker::Worker;
use nsl_neo::{PublicKey, Signature};
use nsl_policy::transaction;
use nsl_schemas::outcome::JobResult;
use nsl_test_site::{COMMAND_ID, NETWORK_MAGIC, policy, transfer};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use crate::site::{Site, born};

/// The answer of a worker that must not have signed anything but the transfer that its client ordered.
fn assert_signs_nothing_else(runtime: &Runtime, worker: &Worker, public_key: &PublicKey, request: &[u8]) {
    let answer = runtime.block_on(worker.answer(request));
    let Response::Outcome { outcome } = Response::from_bytes(&answer).unwrap() else { return };
    let JobResult::TransferSigned { tx_hash, signature } = outcome.result else { return };
    let command_id = COMMAND_ID;
    let unsigned = transaction::transfer(command_id, public_key, &transfer()).unwrap();
    assert_eq!(tx_hash, unsigned.hash().to_string());
    let signature = Signature::from_bytes(signature.0.as_slice().try_into().unwrap());
    assert_eq!(public_key.verify(&unsigned.sign_data(NETWORK_MAGIC), &signature), Ok(()));
}

#[test]
fn a_mutated_job_never_panics_and_never_signs_another_payload() {
    let runtime = Runtime::new().unwrap();
    let site = Site::new();
    let (worker, born) = runtime.block_on(async {
        let worker = site.worker().await;
        let born = born(&site, &worker, "main").await;
        (worker, born)
    });
    let (sealed_key, certificate) = born;
    let public_key = &certificate.statement.public_key.parse().unwrap();
    let job = site.transfer("main", &transfer(), sealed_key, policy());
    let sound = Request::Perform { certificate: None, job: Box::new(job) }.to_bytes();
    assert_signs_nothing_else(&runtime, &worker, public_key, &sound);

    let length = sound.len();
    let digits_and_more = prop_oneof![any::<u8>(), b'0'..=b'9', Just(b'"'), Just(b','), Just(b'}')];
    let edits = prop::collection::vec((0..length, digits_and_more, 0_u8..3), 1..4);
    let mut runner = TestRunner::new(Config { cases: 400, ..Config::default() });
    runner
        .run(&edits, |edits| {
            let mut mutated = sound.clone();
            for (index, byte, operation) in edits {
                let index = index % mutated.len();
                match operation {
                    0 => mutated[index] = byte,
                    1 => mutated.insert(index, byte),
                    _ => drop(mutated.remove(index)),
                }
            }
            assert_signs_nothing_else(&runtime, &worker, public_key, &mutated);
            Ok(())
        })
        .unwrap();
}
