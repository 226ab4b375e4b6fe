//! Every process dies, as by `kill -9`, before and after each of its durable steps while wallets transfer.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::admin;
use crate::crashes::{check_chain, check_commands, check_stream, confirmed, lost_and_doubled};
use crate::load::Load;
use crate::patience::until;
use crate::processors::{Processor, until_held};
use crate::system::System;

/// The processes that have failpoints.
const SERVICES: [&str; 4] = ["commands", "projections", "enclave-host", "chain-relay"];
/// Not a death but a fault: the control below.
const ACK_BEFORE_COMMIT: &str = "processor::ack_before_commit";
/// Steps of a takeover, which a processor alone comes to only at its start.
const AT_TAKEOVER: [&str; 2] = ["partitions::claimed", "consumer::opened"];
/// The process dies at its next visit.
const DIE: &str = "return";
/// Commands that must be acknowledged, and transfers that must be confirmed, after each death.
const PROGRESS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_whatever_step_a_process_dies_at() {
    let Some(system) = System::start_with_failpoints().await else { return };
    let database = system.database();
    let mut load = Load::start(&system).await;
    let mut recoveries: Vec<(Duration, String)> = Vec::new();
    for service in SERVICES {
        let points = admin::get(&system.admin(service), "/failpoints").await.unwrap();
        assert!(!points.is_empty(), "{service} has failpoints");
        for point in points.lines().filter(|point| *point != ACK_BEFORE_COMMIT) {
            let before = load.acknowledged();
            system.replaced(service, async |_| die(&system, service, point).await).await;
            let died = Instant::now();
            let confirmed_before = confirmed(&database).await.unwrap();
            until(&format!("work goes on after the death at {point}"), async || {
                assert!(!load.has_failed(), "a client gave up after the death at {point}");
                let goes_on = load.acknowledged() >= before + PROGRESS
                    && confirmed(&database).await? >= confirmed_before + PROGRESS;
                goes_on.then_some(())
            })
            .await;
            println!("{point}: work goes on after {:.1} s", died.elapsed().as_secs_f32());
            recoveries.push((died.elapsed(), point.to_owned()));
        }
    }
    let heard = load.stop().await;
    recoveries.sort();
    let slowest = recoveries.last().unwrap();
    let p99 = recoveries[(recoveries.len() * 99).div_ceil(100) - 1].0;
    println!(
        "points {0}, kills {0}, recovery p50 {1:.1} s, p99 {2:.1} s, slowest {3}",
        recoveries.len(),
        recoveries[recoveries.len() / 2].0.as_secs_f32(),
        p99.as_secs_f32(),
        slowest.1,
    );
    check_commands(&database, &heard).await;
    check_chain(&system, &load, &heard).await;
    check_stream(&system, &database).await;
    system.check_read_models();
}

/// Arms a point, and has the process come to it where it would not by itself.
async fn die(system: &System, service: &str, point: &str) {
    let admin = system.admin(service);
    if !AT_TAKEOVER.contains(&point) {
        admin::arm(&admin, point, DIE).await;
        return;
    }
    let other = Processor::start(system, "commands-2");
    until_held(&[&admin, &other.admin], &[32, 32]).await;
    admin::arm(&admin, point, DIE).await;
    other.signal(Signal::SIGTERM);
    assert!(other.ended().await.success());
}

/// The control: a processor that acknowledges before it commits loses commands when it dies in between, and the check
/// sees that.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_before_the_commit_is_caught() {
    let Some(system) = System::start_with_failpoints().await else { return };
    let database = system.database();
    let load = Load::start(&system).await;
    let mut lost = 0;
    while lost == 0 {
        // A batch may hold commands of our services only, which do not tell us what they heard.
        system
            .replaced("commands", async |_| {
                admin::arm(&system.admin("commands"), ACK_BEFORE_COMMIT, DIE).await;
            })
            .await;
        let before = load.acknowledged();
        until("clients go on", async || (load.acknowledged() > before).then_some(())).await;
        lost = lost_and_doubled(&database, &load.heard()).await.0;
    }
    println!("planted: acknowledged before the commit; caught: lost {lost}");
    drop(load);
}
