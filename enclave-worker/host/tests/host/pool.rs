//! What happens to jobs while workers die, hang, are replaced and leave: nothing.

use nix::sys::signal::Signal;
use nsl_schemas::query::{HostStatus, Rollout, WorkerState};

use crate::pool_site::{Pool, PoolSite, all_serve, serving, signal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_is_replaced_and_no_job_is_lost() {
    let Some(mut site) = PoolSite::start(Pool::default(), &[]).await else { return };
    let pcr0 = site.pcr0("build-1");
    site.work_until("two workers serve", 20, |status| all_serve(status, 2, pcr0)).await;
    let killed = site.process_of("worker-16.sock");
    signal(killed, Signal::SIGKILL);
    site.work_until("one is missing", 0, |status| !all_serve(status, 2, pcr0)).await;
    site.work_until("it is replaced", 20, |status| all_serve(status, 2, pcr0)).await;
    assert!(site.processes().iter().all(|(process, _)| *process != killed));
    site.finish().await;
    assert_eq!(site.metric("nsl_enclave_worker_failures_total{reason=\"ended\"}"), 1);
    assert_eq!(site.metric("nsl_enclave_worker_starts_total"), 3);

    // A host that is killed leaves no worker behind.
    site.host.signal(Signal::SIGKILL);
    assert!(!site.host.ended().success());
    while !site.processes().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_hangs_is_left_alone_and_one_of_the_pool_is_replaced() {
    let pool = Pool { size: 1, ..Pool::default() };
    let Some(mut site) = PoolSite::start(pool, &["outside"]).await else { return };
    let pcr0 = site.pcr0("build-1");
    site.work_until("both serve", 20, |status| all_serve(status, 2, pcr0)).await;

    // Somebody else's worker: its breaker opens, the other does the jobs, and it is tried again.
    let outside = site.process_of("outside.sock");
    signal(outside, Signal::SIGSTOP);
    let is_outside = |endpoint: &str| endpoint.ends_with("outside.sock");
    let left_alone = site
        .work_until("it is left alone", 20, |status| {
            let mut workers = status.workers.iter().filter(|worker| is_outside(&worker.endpoint));
            workers.all(|worker| worker.state == WorkerState::LeftAlone)
        })
        .await;
    assert_eq!(serving(&left_alone), 1);
    signal(outside, Signal::SIGCONT);
    let keys = |status: &HostStatus| status.workers.iter().map(|worker| worker.key).collect::<Vec<_>>();
    let both = site.work_until("both serve again", 20, |status| all_serve(status, 2, pcr0)).await;

    // One of ours is replaced.
    signal(site.process_of("worker-16.sock"), Signal::SIGSTOP);
    site.work_until("it has a successor", 20, |status| {
        keys(status) != keys(&both) && all_serve(status, 2, pcr0)
    })
    .await;
    site.finish().await;
    assert_eq!(site.metric("nsl_enclave_worker_failures_total{reason=\"unresponsive\"}"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_cannot_start_is_tried_ever_later_and_others_go_on() {
    let pool = Pool { build: "false", size: 1, ..Pool::default() };
    let Some(mut site) = PoolSite::start(pool, &["outside"]).await else { return };
    let status = site.work_until("the pause is the longest", 20, |_| true).await;
    assert_eq!(status.size, 1);
    while site.metric("nsl_enclave_pool_restart_pause_ms") < 1600 {
        site.work_until("jobs are done", 5, |status| serving(status) >= 1).await;
    }
    // Each pause was twice the one before: 50, 100, 200, 400, 800, 1600.
    assert!(site.metric("nsl_enclave_worker_failures_total{reason=\"ended\"}") >= 6);
    let status = site.work_until("the reason is told", 0, |status| status.error.is_some()).await;
    assert!(status.error.unwrap().contains("exit status: 1"));
    assert_eq!(site.put_off(), 0);

    // Told how to start it, the host does so at once.
    let pcr0 = site.pcr0("build-1");
    site.replace_workers(Pool { size: 1, ..Pool::default() });
    site.work_until("both serve", 20, |status| status.rollout == Rollout::Done && all_serve(status, 2, pcr0))
        .await;
    site.finish().await;
    assert_eq!(site.metric("nsl_enclave_pool_restart_pause_ms"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_leave_without_a_job_failing_and_end_with_their_host() {
    let Some(mut site) = PoolSite::start(Pool { size: 3, ..Pool::default() }, &[]).await else { return };
    let pcr0 = site.pcr0("build-1");
    site.work_until("three workers serve", 20, |status| all_serve(status, 3, pcr0)).await;
    site.replace_workers(Pool { size: 1, ..Pool::default() });
    site.work_until("one serves", 20, |status| status.rollout == Rollout::Done && all_serve(status, 1, pcr0))
        .await;
    site.finish().await;
    assert_eq!(site.put_off(), 0);
    site.host.terminate();
    assert!(site.host.ended().success());
    assert_eq!(site.processes(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_workers_are_replaced_by_another_build_without_a_job_failing() {
    let Some(mut site) = PoolSite::start(Pool::default(), &[]).await else { return };
    let (old, new) = (site.pcr0("build-1"), site.pcr0("build-2"));
    site.work_until("two workers serve", 20, |status| all_serve(status, 2, old)).await;

    // A build that the site does not allow: it is not admitted, and what serves goes on.
    site.replace_workers(Pool { build: "build-3", ..Pool::default() });
    site.work_until("the replacement is halted", 20, |status| {
        status.rollout == Rollout::Halted && all_serve(status, 2, old)
    })
    .await;
    assert_eq!(site.metric("nsl_enclave_rollout_halted"), 1);
    assert_eq!(site.metric("nsl_enclave_worker_failures_total{reason=\"not_admitted\"}"), 1);

    // The same build under a manifest of its own: no more.
    let stranger =
        Pool { build: "build-3", genesis: "other.json", start_timeout_ms: 3_000, ..Pool::default() };
    site.replace_workers(stranger);
    site.work_until("the next one begins", 0, |status| status.rollout == Rollout::UnderWay).await;
    let halted = site
        .work_until("it is halted too", 20, |status| {
            status.rollout == Rollout::Halted && all_serve(status, 2, old)
        })
        .await;
    assert!(halted.error.unwrap().contains("obeys the genesis manifest"));
    assert_eq!(site.metric("nsl_enclave_worker_failures_total{reason=\"not_admitted\"}"), 2);

    // One that it allows.
    site.replace_workers(Pool { build: "build-2", ..Pool::default() });
    let replaced = site
        .work_until("all are replaced", 20, |status| {
            status.rollout == Rollout::Done && all_serve(status, 2, new)
        })
        .await;
    assert_eq!(replaced.error, None);
    site.finish().await;
    assert_eq!(site.put_off(), 0);
    assert_eq!(site.metric("nsl_enclave_rollout_halted"), 0);
}
