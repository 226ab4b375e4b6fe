//! What the operators decide, as a worker is shown it.

use nsl_enclave_protocol::{Request, Response};
use nsl_enclave_worker::Worker;
use nsl_schemas::authority::{Build, OperatorAct, OperatorStatement, Signed, TenantRoot};
use nsl_schemas::bytes::Pcr;
use nsl_schemas::job::EnclaveJob;
use nsl_test_site::{key, policy, quorum};

use crate::site::{MEASUREMENTS, Site, ask, perform, refusal};

const NEXT_BUILD: [[u8; 48]; 3] = [[0xb0; 48], [0xb1; 48], [0xb2; 48]];

fn build(measurements: [[u8; 48]; 3]) -> Build {
    let [pcr0, pcr1, pcr2] = measurements.map(Pcr);
    Build { name: "next".into(), pcr0, pcr1, pcr2 }
}

async fn show(worker: &Worker, acts: &[Signed<OperatorStatement>]) -> Result<u32, String> {
    match ask(worker, &Request::Follow { acts: acts.to_vec() }).await {
        Response::Following { sequence, .. } => Ok(sequence),
        Response::Error { code, .. } => Err(code),
        other => panic!("{other:?}"),
    }
}

async fn not_now(worker: &Worker, job: EnclaveJob) -> String {
    match ask(worker, &Request::Perform { certificate: None, job: Box::new(job) }).await {
        Response::Error { code, message } => {
            assert_eq!(code, "unavailable");
            message
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_build_works_while_the_operators_allow_it() {
    let site = Site::new();
    let worker = site.worker_of_build(NEXT_BUILD).await;
    let job = || site.create("main", policy());
    assert!(not_now(&worker, job()).await.contains("do not allow this worker's build"));
    let shown = site.acts(vec![
        (OperatorAct::AllowBuild { build: build(NEXT_BUILD) }, &[1]),
        (OperatorAct::RevokeBuild { build: build(NEXT_BUILD) }, &[1]),
    ]);
    assert_eq!(show(&worker, &shown[..1]).await, Ok(1));
    assert!(perform(&worker, job()).await.is_signed_by_worker());
    assert_eq!(show(&worker, &shown).await, Ok(2), "what was shown before is passed over");
    assert!(not_now(&worker, job()).await.contains("do not allow this worker's build"));
    let of_the_manifest = site.worker().await;
    show(&of_the_manifest, &shown).await.unwrap();
    assert!(perform(&of_the_manifest, job()).await.is_signed_by_worker());
}

#[tokio::test]
async fn a_host_can_make_up_no_act_leave_none_out_and_take_none_back() {
    let site = Site::new();
    let worker = site.worker().await;
    let revoke = OperatorAct::RevokeBuild { build: build(MEASUREMENTS) };
    let allow = OperatorAct::AllowBuild { build: build(NEXT_BUILD) };
    let good = site.acts(vec![(allow, &[1]), (revoke, &[1])]);
    let mut forged = good[..1].to_vec();
    forged[0].statement.issued_at_ms = 2;
    assert_eq!(show(&worker, &forged).await, Err("statement_invalid".into()));
    assert_eq!(show(&worker, &good[1..]).await, Err("statement_invalid".into()));
    assert_eq!(show(&worker, &[]).await, Ok(0));
    assert_eq!(show(&worker, &good).await, Ok(2));
    assert_eq!(show(&worker, &good[..1]).await, Ok(2), "an older head is no way back");
    assert!(not_now(&worker, site.create("main", policy())).await.contains("do not allow"));
}

#[tokio::test]
async fn roots_count_by_their_quorum_as_far_as_it_was_shown() {
    let site = Site::new();
    let worker = site.worker().await;
    let quorum = quorum(1, &[7]);
    let replaced = |voids_roots| {
        let act = OperatorAct::ReplaceQuorum { quorum: quorum.clone(), voids_roots };
        site.acts(vec![(act, &[1, 7])])
    };
    let under = |epoch: u32, signer: u8| {
        let mut job = site.create("main", policy());
        let statement = TenantRoot { epoch, ..job.authority.root.statement.clone() };
        job.authority.root = Signed::sign(statement, &[&key(signer)]);
        job
    };
    assert!(not_now(&worker, under(1, 7)).await.contains("name no quorum 1"));
    show(&worker, &replaced(false)).await.unwrap();
    for (epoch, signer) in [(0, 1), (1, 7)] {
        assert!(matches!(
            perform(&worker, under(epoch, signer)).await.result,
            nsl_schemas::outcome::JobResult::KeyCreated { .. }
        ));
    }
    assert_eq!(refusal(&perform(&worker, under(1, 1)).await), "worker_authority_denied");
    let worker = site.worker().await;
    show(&worker, &replaced(true)).await.unwrap();
    assert_eq!(refusal(&perform(&worker, under(0, 1)).await), "worker_authority_denied");
}
