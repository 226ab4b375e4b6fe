//! One story over one bus: streams are shared by name, so its chapters run in turn.

use nsl_schemas::canonical;
use nsl_schemas::command::wallet::RecordOutcome;
use nsl_schemas::command::worker::Register;
use nsl_schemas::ids;
use nsl_schemas::job::EnclaveJob;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::outcome::{JobResult, SignedOutcome};
use nsl_schemas::streams;

use crate::commands::{Arrived, Bus, TURN};
use crate::site::Site;

fn registered(command: &Arrived) -> PublicKey {
    let register: Register = canonical::from_slice(&command.payload).unwrap();
    let subject = format!("nsl.v1.cmd.system.worker.{}.register", ids::worker_id(&register.key));
    assert_eq!(command.subject.to_string(), subject);
    register.key
}

fn recorded(command: &Arrived, job: &EnclaveJob) -> SignedOutcome {
    assert_eq!(command.subject.to_string(), "nsl.v1.cmd.acme.wallet.main.record-outcome");
    let RecordOutcome { outcome } = canonical::from_slice(&command.payload).unwrap();
    assert_eq!(command.command_id, ids::outcome_command_id(job.job_id, &outcome));
    assert!(outcome.is_signed_by_worker());
    assert_eq!(outcome.statement.job_id, job.job_id);
    outcome
}

fn bytes(job: &EnclaveJob) -> Vec<u8> {
    canonical::to_string(job).into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_go_to_attested_workers_and_their_outcomes_to_the_log() {
    let Ok(url) = std::env::var("NSL_TEST_NATS_URL") else {
        println!("SKIPPED: set NSL_TEST_NATS_URL to a nats-server with JetStream to run this test");
        return;
    };
    let _turn = TURN.lock().await;
    let mut bus = Bus::start(&url).await;
    let site = Site::new();
    let worker = site.worker_at(&site.endpoint("worker")).await;
    let _stranger = Site::new().worker_at(&site.endpoint("stranger")).await;
    let mut host = site.host(&url, &["worker", "stranger"]);

    // Only the worker that obeys this site's manifest is registered, and does the job.
    let key = registered(&bus.command().await);
    let job = site.create_key_job();
    bus.publish_job("create-key", bytes(&job)).await;
    let outcome = recorded(&bus.command().await, &job);
    assert_eq!(outcome.worker, key);
    assert!(matches!(outcome.result, JobResult::KeyCreated { .. }), "{outcome:?}");
    bus.holds(streams::JOBS, 0).await;

    // The same job again is reported under the same id, heard to be known, and settled.
    bus.publish_job("create-key", bytes(&job)).await;
    recorded(&bus.command().await, &job);
    bus.holds(streams::JOBS, 0).await;

    // A refusal is an outcome too.
    let mut forged = site.create_key_job();
    forged.authority.grant.signatures.clear();
    bus.publish_job("create-key", bytes(&forged)).await;
    let refused = recorded(&bus.command().await, &forged).result;
    assert!(matches!(&refused, JobResult::Refused { code, .. } if code == "worker_authority_denied"));

    // What nobody can read is put aside and holds up nothing.
    bus.publish_job("create-key", b"not a job".to_vec()).await;
    bus.publish_job("sign-transfer", b"{}".to_vec()).await;
    bus.holds(streams::PARKED, 2).await;
    bus.holds(streams::JOBS, 0).await;

    // A worker that comes back as another process is registered anew and does what waited.
    worker.end().await;
    let waiting = site.create_key_job();
    bus.publish_job("create-key", bytes(&waiting)).await;
    let _successor = site.worker_at(&site.endpoint("worker")).await;
    let successor_key = registered(&bus.command().await);
    assert_ne!(successor_key, key);
    assert_eq!(recorded(&bus.command().await, &waiting).worker, successor_key);
    bus.holds(streams::JOBS, 0).await;

    // Told to stop, the host ends well.
    host.terminate();
    assert!(host.ended().success());
}
