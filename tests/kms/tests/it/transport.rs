//! Who answers: the manifest's endpoint, by its name and authority, over whatever the host relays; or nobody.

use nsl_enclave_protocol::Endpoint;
use nsl_schemas::sealing::SealingRequest;

use crate::site::{No, Site, Variation, sealing};

async fn found(site: &Site) -> No {
    let about = SealingRequest::Found { order: site.order(1) };
    sealing(&site.worker().await, about).await.unwrap_err()
}

#[tokio::test]
async fn an_endpoint_of_another_authority_hears_nothing() {
    let site = Site::varied(Variation { is_trusted: false, ..Variation::default() }).await;
    let (code, message) = found(&site).await;
    assert_eq!(code, "kms_answer_invalid", "{message}");
    assert!(message.contains("not proven to be kms.eu-central-1.amazonaws.com"), "{message}");
    assert!(message.contains("invalid peer certificate"), "{message}");
    assert!(site.server.asked().is_empty());
}

#[tokio::test]
async fn a_host_that_leads_elsewhere_leads_nowhere() {
    let site = Site::varied(Variation { host: "kms.eu-west-1.amazonaws.com", ..Variation::default() }).await;
    let (code, message) = found(&site).await;
    assert_eq!(code, "kms_answer_invalid", "{message}");
    assert!(message.contains("not valid for name"), "{message}");
    assert!(site.server.asked().is_empty());
}

#[tokio::test]
async fn without_a_relay_the_worker_waits() {
    let site = Site::new().await;
    let worker = site.worker_behind(Endpoint::Unix { path: "/nonexistent/kms.sock".into() }).await;
    let about = SealingRequest::Found { order: site.order(1) };
    let (code, message) = sealing(&worker, about).await.unwrap_err();
    assert_eq!(code, "unavailable");
    assert!(message.contains("cannot reach the host's relay to KMS"), "{message}");
}
