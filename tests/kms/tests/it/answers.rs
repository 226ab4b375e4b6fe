//! Answers that are not to be believed: each is refused by name, and nothing is sealed with what was in it.

use nsl_kms::Conduct;
use nsl_schemas::sealing::SealingRequest;

use crate::site::{Site, open, sealing, still_waits};

#[tokio::test]
async fn what_is_not_kms_answer_for_this_worker_is_refused_by_name() {
    let site = Site::new().await;
    let worker = site.worker().await;
    let record = site.found(&worker, 1).await;
    for (conduct, expected) in [
        (Conduct::OtherArn, "which is not the manifest's"),
        (Conduct::TellsPlaintext, "not encrypted to the recipient"),
        (Conduct::NoEnvelope, "not encrypted to the recipient"),
        (Conduct::OtherRecipient, "does not open with this worker's key"),
        (Conduct::ForgedKey, "does not open with this worker's key"),
        (Conduct::ShortKey, "has 16 bytes, not 32"),
        (Conduct::CutEnvelope, "envelope is malformed"),
        (Conduct::HugeBody, "100000000 bytes, more than 65536"),
        (Conduct::EndlessHead, "more than 16384 bytes"),
        (Conduct::Chunked, "transfer encoding"),
        (Conduct::Garbage, "cannot be read"),
    ] {
        site.server.behave(conduct);
        let founding = sealing(&worker, SealingRequest::Found { order: site.order(2) }).await;
        for (code, message) in [founding.unwrap_err(), open(&worker, &record).await.unwrap_err()] {
            assert_eq!(code, "kms_answer_invalid", "{conduct:?}: {message}");
            assert!(message.contains(expected), "{conduct:?}: {message}");
        }
        still_waits(&worker).await;
    }
    site.server.behave(Conduct::Honest);
    assert_eq!(open(&worker, &record).await.unwrap().keys.len(), 1);
}

#[tokio::test]
async fn another_key_in_the_envelope_is_not_the_records() {
    let site = Site::new().await;
    let worker = site.worker().await;
    let record = site.found(&worker, 1).await;
    site.server.behave(Conduct::ForgedContent);
    let (code, message) = open(&worker, &record).await.unwrap_err();
    assert_eq!(code, "sealing_record_invalid", "{message}");
    assert!(message.contains("another key than the record names"), "{message}");
    still_waits(&worker).await;
}

#[tokio::test]
async fn an_answer_that_ends_early_or_never_is_given_up() {
    let site = Site::new().await;
    let worker = site.worker().await;
    let record = site.found(&worker, 1).await;
    for (conduct, expected) in
        [(Conduct::CutBody, "ended before"), (Conduct::Slow, "did not answer within 8000 ms")]
    {
        site.server.behave(conduct);
        let (code, message) = open(&worker, &record).await.unwrap_err();
        assert_eq!(code, "unavailable", "{conduct:?}: {message}");
        assert!(message.contains(expected), "{conduct:?}: {message}");
        still_waits(&worker).await;
    }
}
