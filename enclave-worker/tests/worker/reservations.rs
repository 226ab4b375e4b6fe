//! Reservations by several workers that share nothing but the site: each counts on from what it is shown, and none signs by
//! anything that was not made for the transfer.

use nsl_enclave_protocol::{Request, Response};
use nsl_enclave_worker::Worker;
use nsl_neo::native;
use nsl_policy::transaction;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::ids;
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::number::{Amount, Datoshi};
use nsl_schemas::outcome::{JobResult, SealedKey, post_state_sha256};
use nsl_schemas::policy::{AmountWindow, CountingRules, Policy, SignatureWindow};
use nsl_schemas::reservation::{Head, RESERVATION_USE_MS_MAX, SealedReservation};

use nsl_test_site::{Order, change, policy, transfer};

use crate::site::{NOW_MS, Site, ask, born_under, perform, refusal};

/// At most 150 datoshi of GAS in an hour.
pub(crate) fn counting() -> Policy {
    let asset = native::GAS.to_string();
    let mut policy = policy();
    policy.rules.counting = Some(CountingRules {
        amounts: vec![AmountWindow { amount_max: Amount(150), asset, window_seconds: 3_600 }],
        signatures: Some(SignatureWindow { count_max: 5, window_seconds: 60 }),
        signatures_in_all_max: None,
    });
    policy
}

pub(crate) fn of_amount(amount: u128) -> RequestTransfer {
    RequestTransfer { amount: Amount(amount), ..transfer() }
}

/// A wallet under a policy that counts, and what is asked about it.
pub(crate) struct Wallet<'a> {
    site: &'a Site,
    pub(crate) sealed_key: SealedKey,
    pub(crate) policy: Policy,
    public_key: nsl_neo::PublicKey,
}

impl<'a> Wallet<'a> {
    pub(crate) async fn born(site: &'a Site, policy: Policy) -> Self {
        let (sealed_key, certificate) = born_under(site, &site.worker().await, "main", policy.clone()).await;
        let public_key = certificate.statement.public_key.parse().unwrap();
        Self { site, sealed_key, policy, public_key }
    }

    fn job(&self, transfer: &RequestTransfer, task: EnclaveTask) -> EnclaveJob {
        self.site.job(Order::transfer(transfer, NOW_MS), task)
    }

    fn reserve_job(&self, transfer: &RequestTransfer, last: Option<&SealedReservation>) -> EnclaveJob {
        let task = EnclaveTask::ReserveTransfer {
            approvals: vec![],
            last: last.cloned(),
            sealed_key: self.sealed_key.clone(),
            policy: self.policy.clone(),
        };
        self.job(transfer, task)
    }

    pub(crate) fn sign_job(&self, transfer: &RequestTransfer, by: Option<&SealedReservation>) -> EnclaveJob {
        let task = EnclaveTask::SignTransfer {
            approvals: vec![],
            reservation: by.cloned(),
            sealed_key: self.sealed_key.clone(),
            policy: self.policy.clone(),
        };
        self.job(transfer, task)
    }

    pub(crate) async fn reserved(
        &self,
        worker: &Worker,
        amount: u128,
        last: Option<&SealedReservation>,
    ) -> SealedReservation {
        match perform(worker, self.reserve_job(&of_amount(amount), last)).await.result {
            JobResult::TransferReserved { reservation } => reservation,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_reservation_names_all_that_it_is_for() {
    let site = Site::new();
    let wallet = Wallet::born(&site, counting()).await;
    let job = wallet.reserve_job(&of_amount(60), None);
    let envelope = job.command.envelope.clone();
    assert_eq!(job.job_id, ids::reservation_job_id(ids::event_id(envelope.command_id, 0)));
    let outcome = perform(&site.worker().await, job.clone()).await;
    assert!(outcome.is_signed_by_worker());
    assert_eq!(outcome.statement.job_id, job.job_id);
    assert_eq!(outcome.statement.post_state_sha256, post_state_sha256(Some(&wallet.sealed_key)));
    let JobResult::TransferReserved { reservation: sealed } = &outcome.result else { panic!("{outcome:?}") };
    let reservation = &sealed.reservation;
    assert!(reservation.follows(&Head::before_first()));
    assert_eq!((reservation.tenant.as_str(), reservation.wallet.as_str()), ("acme", "main"));
    assert_eq!(reservation.genesis_sha256, site.sha256());
    assert_eq!(reservation.policy_sha256, wallet.policy.sha256());
    assert_eq!(reservation.request_id, envelope.command_id);
    assert_eq!(reservation.request_sha256, envelope.request_sha256());
    assert!(reservation.reserved_at_ms >= NOW_MS);
    let unsigned = transaction::transfer(envelope.command_id, &wallet.public_key, &of_amount(60)).unwrap();
    assert_eq!(reservation.tx_hash, unsigned.hash().to_string());
    assert_eq!(reservation.counters.signatures_in_all, 1);
    // The job that signs is another one, and is not mistaken for it.
    let mut mixed = wallet.reserve_job(&of_amount(60), None);
    mixed.job_id = wallet.sign_job(&of_amount(60), None).job_id;
    assert_eq!(refusal(&perform(&site.worker().await, mixed).await), "worker_command_invalid");
}

#[tokio::test]
async fn workers_of_one_state_make_two_reservations_and_either_is_gone_on_from() {
    let site = Site::new();
    let (first_worker, second_worker) = (site.worker().await, site.worker().await);
    let wallet = Wallet::born(&site, counting()).await;
    let one = wallet.reserved(&first_worker, 60, None).await;
    let two = wallet.reserved(&second_worker, 70, None).await;
    assert_eq!((one.reservation.sequence, two.reservation.sequence), (1, 1));
    assert_ne!(one.reservation.sha256(), two.reservation.sha256());
    // Both are genuine, to workers of another life too. Which one stands, log and endorsers say.
    for (last, room) in [(&one, 90), (&two, 80)] {
        let worker = site.worker().await;
        let next = wallet.reserved(&worker, room, Some(last)).await;
        assert!(next.reservation.follows(&last.reservation.head()));
        let too_much = perform(&worker, wallet.reserve_job(&of_amount(room + 1), Some(last))).await;
        assert_eq!(refusal(&too_much), "amount_window_exceeded");
        let nothing_left = perform(&worker, wallet.reserve_job(&of_amount(1), Some(&next))).await;
        assert_eq!(refusal(&nothing_left), "amount_window_exceeded");
    }
}

#[tokio::test]
async fn nothing_is_counted_on_from_a_reservation_that_no_worker_made() {
    let site = Site::new();
    let worker = site.worker().await;
    let wallet = Wallet::born(&site, counting()).await;
    let last = wallet.reserved(&worker, 100, None).await;
    let alters: [fn(&mut SealedReservation); 4] = [
        |s| s.reservation.counters.amounts.clear(),
        |s| s.reservation.sequence = 0,
        |s| s.reservation.previous_sha256 = Sha256([0; 32]),
        |s| s.seal.0[0] ^= 1,
    ];
    for (index, alter) in alters.into_iter().enumerate() {
        let mut forged = last.clone();
        alter(&mut forged);
        let outcome = perform(&worker, wallet.reserve_job(&of_amount(100), Some(&forged))).await;
        assert_eq!(refusal(&outcome), "reservation_invalid", "case {index}");
    }
    // Nor from another wallet's, as genuine as that is.
    let other = Wallet::born(&site, counting()).await;
    let of_other = other.reserved(&worker, 1, None).await;
    let outcome = perform(&worker, wallet.reserve_job(&of_amount(100), Some(&of_other))).await;
    assert_eq!(refusal(&outcome), "reservation_invalid");
}

#[tokio::test]
async fn what_the_other_rules_forbid_is_not_reserved() {
    let site = Site::new();
    let worker = site.worker().await;
    let wallet = Wallet::born(&site, counting()).await;
    let too_dear = RequestTransfer { network_fee_datoshi: Datoshi(5), ..of_amount(1) };
    for transfer in [of_amount(101), of_amount(0), too_dear] {
        let outcome = perform(&worker, wallet.reserve_job(&transfer, None)).await;
        assert_eq!(refusal(&outcome), "worker_policy_denied", "{transfer:?}");
    }
    let mut of_another_policy = wallet.reserve_job(&of_amount(1), None);
    if let EnclaveTask::ReserveTransfer { policy, .. } = &mut of_another_policy.task {
        policy.rules.counting = None;
    }
    assert_eq!(refusal(&perform(&worker, of_another_policy).await), "worker_state_invalid");
}

/// The code by which the worker leaves a job for later.
async fn put_off(worker: &Worker, job: EnclaveJob) -> String {
    match ask(worker, &Request::Perform { certificate: None, job: Box::new(job) }).await {
        Response::Error { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_transfer_is_signed_by_its_own_reservation_or_not_at_all() {
    let site = Site::new();
    let worker = site.worker().await;
    let wallet = Wallet::born(&site, counting()).await;
    let sound = wallet.reserved(&worker, 60, None).await;
    let of_other_transfer = wallet.reserved(&worker, 61, None).await;
    let mut forged = sound.clone();
    forged.reservation.reserved_at_ms += 1;
    for (by, code) in [
        (None, "withheld_mode_required"),
        (Some(&of_other_transfer), "reservation_mismatch"),
        (Some(&forged), "reservation_invalid"),
    ] {
        let outcome = perform(&worker, wallet.sign_job(&of_amount(60), by)).await;
        assert_eq!(refusal(&outcome), code);
        assert_eq!(outcome.statement.post_state_sha256, post_state_sha256(Some(&wallet.sealed_key)));
    }
    // The very same is not enough for a worker that knows of no view.
    let job = wallet.sign_job(&of_amount(60), Some(&sound));
    assert_eq!(put_off(&worker, job.clone()).await, "withheld_mode_required");
    let late = site.worker_at(NOW_MS + RESERVATION_USE_MS_MAX + 60_000).await;
    assert_eq!(refusal(&perform(&late, job).await), "reservation_expired");
}

#[tokio::test]
async fn a_reservation_under_a_policy_that_was_replaced_signs_nothing() {
    let site = Site::new();
    let worker = site.worker().await;
    let mut wallet = Wallet::born(&site, counting()).await;
    let wallet_before = Wallet {
        site: &site,
        sealed_key: wallet.sealed_key.clone(),
        policy: wallet.policy.clone(),
        public_key: wallet.public_key,
    };
    let before = wallet.reserved(&worker, 60, None).await;
    let mut next = counting();
    next.fee_max_datoshi = Datoshi(11);
    let job = site.replace(change(&counting(), next.clone(), 9), wallet.sealed_key.clone(), counting());
    let JobResult::PolicyReplaced { sealed_key } = perform(&worker, job).await.result else { panic!() };
    (wallet.sealed_key, wallet.policy) = (sealed_key, next);
    let outcome = perform(&worker, wallet.sign_job(&of_amount(60), Some(&before))).await;
    assert_eq!(refusal(&outcome), "reservation_mismatch");
    // It is counted all the same.
    let after = wallet.reserved(&worker, 90, Some(&before)).await;
    let outcome = perform(&worker, wallet.reserve_job(&of_amount(1), Some(&after))).await;
    assert_eq!(refusal(&outcome), "amount_window_exceeded");
    // And the policy from before comes back no more, however genuine its sealed key is.
    let again = wallet_before.reserve_job(&of_amount(1), Some(&after));
    assert_eq!(refusal(&perform(&worker, again).await), "worker_state_invalid");
}
