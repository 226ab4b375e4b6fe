//! What the worker itself demands of policies that hold requests back: every approval, every delay, and withheld mode.

use nsl_enclave_protocol::{Request, Response};
use nsl_enclave_worker::Worker;
use nsl_schemas::authority::Signed;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::number::Amount;
use nsl_schemas::outcome::{JobResult, SealedKey};
use nsl_schemas::policy::{
    ApprovalRule, CountingRules, Policy, SignatureWindow, TimeLocks, TransferApproval, TransferLock,
};
use nsl_schemas::token::{AggregateId, Tenant};
use nsl_test_site::{Order, acme, change, key, policy, quorum, transfer};
use uuid::Uuid;

use crate::site::{NOW_MS, Site, ask, born_under, perform, refusal};

const POLICY_DENIED: &str = "worker_policy_denied";

type Approvals = Vec<Signed<TransferApproval>>;
type Alter = fn(&mut TransferApproval);

/// Two of the keys 11, 12 and 13 approve.
fn approved() -> Policy {
    let mut policy = policy();
    let approvers = quorum(2, &[11, 12, 13]);
    policy.rules.approvals = Some(ApprovalRule { approvers, free: vec![], within_seconds: 3_600 });
    policy
}

/// Transfers wait an hour, changes of policy a day.
fn locked() -> Policy {
    let mut policy = policy();
    policy.rules.time_locks = Some(TimeLocks {
        policy_change_seconds: Some(86_400),
        transfer: Some(TransferLock { delay_seconds: 3_600, free: vec![] }),
    });
    policy
}

fn transfer_issued_at(
    site: &Site,
    issued_at_ms: u64,
    approvals: Approvals,
    sealed_key: &SealedKey,
    policy: &Policy,
) -> EnclaveJob {
    let (sealed_key, policy) = (sealed_key.clone(), policy.clone());
    let task = EnclaveTask::SignTransfer { approvals, reservation: None, sealed_key, policy };
    site.job(Order::transfer(&transfer(), issued_at_ms), task)
}

fn statement(job: &EnclaveJob, site: &Site, policy: &Policy) -> TransferApproval {
    TransferApproval {
        expires_at_ms: NOW_MS + 60_000,
        genesis_sha256: site.sha256(),
        policy_sha256: policy.sha256(),
        request_id: job.command.envelope.command_id,
        request_sha256: job.command.envelope.request_sha256(),
        tenant: acme(),
        transfer: transfer(),
        wallet: AggregateId::parse("main").unwrap(),
    }
}

fn with_approvals(mut job: EnclaveJob, by: Approvals) -> EnclaveJob {
    if let EnclaveTask::SignTransfer { approvals, .. } = &mut job.task {
        *approvals = by;
    }
    job
}

/// Whether the worker says that it is too early; anything but that or an outcome fails.
async fn is_too_early(worker: &Worker, job: EnclaveJob) -> bool {
    match ask(worker, &Request::Perform { certificate: None, job: Box::new(job) }).await {
        Response::Error { code, message } => {
            assert!(code == "unavailable" && message.contains("holds this back"), "{code}: {message}");
            true
        }
        Response::Outcome { outcome } => {
            assert!(!matches!(outcome.result, JobResult::Refused { .. }), "{outcome:?}");
            false
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_quorum_of_different_approvers_must_have_approved_exactly_this() {
    let (site, policy) = (Site::new(), approved());
    let worker = site.worker().await;
    let (sealed_key, _) = born_under(&site, &worker, "main", policy.clone()).await;
    let job = transfer_issued_at(&site, NOW_MS, vec![], &sealed_key, &policy);
    let sound = statement(&job, &site, &policy);
    let by = |approver: u8| Signed::sign(sound.clone(), &[&key(approver)]);
    for (approvers, is_signed) in [
        (&[][..], false),
        (&[11], false),
        (&[11, 11], false),
        (&[11, 14], false),
        (&[9, 3], false),
        (&[13, 11], true),
        (&[14, 12, 13], true),
    ] {
        let approvals = approvers.iter().map(|approver| by(*approver)).collect();
        let outcome = perform(&worker, with_approvals(job.clone(), approvals)).await;
        if is_signed {
            assert!(matches!(outcome.result, JobResult::TransferSigned { .. }), "{approvers:?}: {outcome:?}");
        } else {
            assert_eq!(refusal(&outcome), POLICY_DENIED, "{approvers:?}");
        }
    }

    let alters: [Alter; 8] = [
        |s| s.expires_at_ms = NOW_MS,
        |s| s.genesis_sha256 = Sha256([0; 32]),
        |s| s.policy_sha256 = Sha256([0; 32]),
        |s| s.request_id = Uuid::nil(),
        |s| s.request_sha256 = Sha256([0; 32]),
        |s| s.tenant = Tenant::parse("other").unwrap(),
        |s| s.wallet = AggregateId::parse("other").unwrap(),
        |s| s.transfer.amount = Amount(1),
    ];
    for (index, alter) in alters.iter().enumerate() {
        let mut altered = sound.clone();
        alter(&mut altered);
        // As an approver really signed it, and as a host alters what was signed.
        let of_another = Signed::sign(altered.clone(), &[&key(12)]);
        let forged = Signed { statement: altered, ..by(12) };
        for approval in [of_another, forged] {
            let outcome = perform(&worker, with_approvals(job.clone(), vec![by(11), approval])).await;
            assert_eq!(refusal(&outcome), POLICY_DENIED, "case {index}");
        }
    }
    let mut torn = by(12);
    torn.signatures[0].signature.0[7] ^= 1;
    let outcome = perform(&worker, with_approvals(job, vec![by(11), torn])).await;
    assert_eq!(refusal(&outcome), POLICY_DENIED);
}

#[tokio::test]
async fn a_locked_transfer_is_signed_once_its_delay_has_passed_by_the_nsm() {
    let (site, policy) = (Site::new(), locked());
    let worker = site.worker().await;
    let (sealed_key, _) = born_under(&site, &worker, "main", policy.clone()).await;
    let job = |issued_at_ms| transfer_issued_at(&site, issued_at_ms, vec![], &sealed_key, &policy);
    assert!(is_too_early(&worker, job(NOW_MS)).await);
    // The worker's clock runs on while the test does: well before, and at the very end.
    assert!(is_too_early(&worker, job(NOW_MS - 3_000_000)).await);
    assert!(!is_too_early(&worker, job(NOW_MS - 3_600_000)).await);
}

#[tokio::test]
async fn a_locked_policy_is_replaced_once_its_delay_has_passed_by_the_nsm() {
    let (site, policy) = (Site::new(), locked());
    let worker = site.worker().await;
    let (sealed_key, _) = born_under(&site, &worker, "main", policy.clone()).await;
    let job = |issued_at_ms| {
        let change = change(&policy, nsl_test_site::policy(), 9);
        let task = EnclaveTask::ReplacePolicy { sealed_key: sealed_key.clone(), policy: policy.clone() };
        site.job(Order::set_policy(change, issued_at_ms), task)
    };
    assert!(is_too_early(&worker, job(NOW_MS)).await);
    assert!(!is_too_early(&worker, job(NOW_MS - 86_400_000)).await);
}

#[tokio::test]
async fn a_policy_that_counts_signs_nothing_outside_withheld_mode() {
    let (site, mut policy) = (Site::new(), policy());
    policy.rules.counting = Some(CountingRules {
        signatures: Some(SignatureWindow { count_max: 10, window_seconds: 60 }),
        ..CountingRules::default()
    });
    let worker = site.worker().await;
    let (sealed_key, _) = born_under(&site, &worker, "main", policy.clone()).await;
    let outcome = perform(&worker, transfer_issued_at(&site, NOW_MS, vec![], &sealed_key, &policy)).await;
    assert_eq!(refusal(&outcome), "withheld_mode_required");
}
