//! Transfers under a policy that counts: one of a wallet reserves at a time, the next as soon as the log has that, and
//! nobody waits for a job to be published again.

use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::command::wallet::RecordOutcome;
use nsl_schemas::ids;
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::outcome::{JobResult, SignedOutcome};
use nsl_schemas::policy::{Counters, CountingRules, Policy};
use nsl_schemas::reservation::{Head, Reservation, SEAL_BYTES, SealedReservation};
use nsl_schemas::streams;
use uuid::Uuid;

use crate::log::{Writer, policy, sealed_key, signed_outcome, transfer, tx_hash};
use crate::world::{World, acme, app_key, host_key, until, with_world, worker_key};

const REQUEST: &str = "nsl.v1.cmd.acme.wallet.main.request-transfer";
const REPORT: &str = "nsl.v1.cmd.acme.wallet.main.record-outcome";
/// Beyond any test, for deadlines and for repeats of jobs.
const HOUR_MS: u64 = 3_600_000;
const TRANSFERS: u32 = 4;

fn counting() -> Policy {
    let mut policy = policy();
    policy.rules.counting =
        Some(CountingRules { signatures_in_all_max: Some(100), ..CountingRules::default() });
    policy
}

async fn report(world: &World, outcome: SignedOutcome) {
    let command_id = ids::outcome_command_id(outcome.statement.job_id, &outcome);
    world.send(&world.client(host_key()), command_id, REPORT, &RecordOutcome { outcome }).await.unwrap();
}

/// What a worker answers to a job that reserves.
fn reserved(world: &World, job: &EnclaveJob) -> SignedOutcome {
    let EnclaveTask::ReserveTransfer { last, policy, .. } = &job.task else { panic!("{job:?}") };
    let last = last.as_ref().map(|last| &last.reservation);
    let head = last.map_or_else(Head::before_first, Reservation::head);
    let counters = last.map_or_else(Counters::default, |last| last.counters.clone());
    let spend = nsl_policy::Spend { asset: &transfer().asset, amount: transfer().amount.0 };
    let envelope = &job.command.envelope;
    let reservation = Reservation {
        counters: nsl_policy::reserve(policy, &counters, &spend, 1).unwrap(),
        genesis_sha256: world.manifest().sha256(),
        key_version: 1,
        policy_sha256: policy.sha256(),
        previous_sha256: head.sha256,
        request_id: envelope.command_id,
        request_sha256: envelope.request_sha256(),
        reserved_at_ms: 1,
        sequence: head.sequence + 1,
        tenant: acme(),
        tx_hash: tx_hash(envelope.command_id),
        wallet: "main".parse().unwrap(),
    };
    let reservation = SealedReservation { reservation, seal: Base64(vec![7; SEAL_BYTES]) };
    let result = JobResult::TransferReserved { reservation };
    SignedOutcome::sign(&worker_key(), job.job_id, request_sha256(job), result, Some(&sealed_key()))
}

fn request_sha256(job: &EnclaveJob) -> Sha256 {
    job.command.envelope.request_sha256()
}

/// Waits for the job that reserves after this many reservations.
async fn turn(world: &World, sequence: u32) -> EnclaveJob {
    until("the next transfer has its turn", async || {
        let job = world.last_job("reserve-transfer").await?;
        let EnclaveTask::ReserveTransfer { last, .. } = &job.task else { panic!("{job:?}") };
        (last.as_ref().map_or(0, |last| last.reservation.sequence) == sequence).then_some(job)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_of_a_wallet_reserve_in_turn_and_none_waits_for_a_repeat() {
    with_world(async |world| {
        world.begin_log().await;
        let mut writer = Writer::open(&world.database).await;
        writer.open_wallet_under(counting()).await;
        writer.close().await;
        let service = world.start_with(HOUR_MS, &[format!("reactor.republish_after_ms={HOUR_MS}")]);
        let mut signings = Vec::new();
        for _ in 0..TRANSFERS {
            world.send(&world.client(app_key()), Uuid::now_v7(), REQUEST, &transfer()).await.unwrap();
        }
        for sequence in 0..TRANSFERS {
            let job = turn(world, sequence).await;
            let request_id = job.command.envelope.command_id;
            let given = world.given(streams::JOBS).await;
            assert_eq!(given, u64::from(2 * sequence + 1), "one at a time");
            report(world, reserved(world, &job)).await;
            let signing = until("the reserved transfer is to be signed", async || {
                let job = world.last_job("sign-transfer").await?;
                (job.command.envelope.command_id == request_id).then_some(job)
            })
            .await;
            let EnclaveTask::SignTransfer { reservation: Some(by), .. } = &signing.task else { panic!() };
            assert_eq!(by.reservation.request_id, request_id);
            signings.push(signing);
        }
        // Nobody waited for these.
        for signing in &signings {
            let request_id = signing.command.envelope.command_id;
            report(world, signed_outcome(request_id, request_sha256(signing))).await;
        }
        assert_eq!(world.events("transfer-signed").await, i64::from(TRANSFERS));
        assert_eq!(world.events("command-rejected").await, 0);
        drop(service);
    })
    .await;
}
