//! The binary as a process: it starts, follows, answers, and stops in order.

use std::process::Stdio;

use nsl_bus::Bus;
use nsl_bus::async_nats::HeaderMap;
use nsl_projections::read_model;
use nsl_schemas::query::{ProjectionState, ProjectionStatus, Reply};
use nsl_schemas::streams::{EVENTS, PRICES};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::events::*;
use crate::rebuilding::program;
use crate::world::{PATIENCE, World, until, with_bus};

fn serve(world: &World) -> Child {
    program(world, &["run"])
        .args(["--set", &format!("bus.url={}", std::env::var("NSL_TEST_NATS_URL").unwrap())])
        .args(["--set", "telemetry.admin_address=127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Empty while nobody answers.
async fn statuses(bus: &Bus) -> Vec<ProjectionStatus> {
    let subject = "nsl.v1.qry.acme.projections";
    let Ok(answer) = bus.request(subject, HeaderMap::new(), "".into(), PATIENCE).await else {
        return Vec::new();
    };
    let Reply::Ok(page) = serde_json::from_slice::<Reply<Value>>(&answer.payload).unwrap() else {
        return Vec::new();
    };
    serde_json::from_value(page["data"].clone()).unwrap()
}

#[tokio::test]
async fn a_stream_that_stops_leaves_the_process_and_every_other_follower_alone() {
    with_bus(async |world, bus| {
        let mut service = serve(world);
        world.append("price-feed", "system.NEO-USD", &feed_registered(60_000)).await;
        // No subject can name it, so the event stream stands still before it.
        let poison = world.append_text("wal let", "acme.main", "created", "{}".into()).await;
        let last = world.append("price-feed", "system.NEO-USD", &round_recorded(1, 500)).await;
        until("the others' progress", async || {
            let statuses = statuses(bus).await;
            let (stopped, well): (Vec<_>, Vec<_>) =
                statuses.iter().partition(|status| status.name == "event-stream");
            // Every read model, and the price stream.
            well.len() == read_model::ALL.len() + 1
                && well.iter().all(|status| status.position == last && status.error.is_none())
                && stopped[0].state == ProjectionState::Failed
                && stopped[0].position == poison - 1
        })
        .await;
        assert_eq!(bus.last_sequence(EVENTS).await.unwrap(), poison - 1);
        assert_eq!(bus.last_sequence(PRICES).await.unwrap(), 1);
        assert_eq!(service.try_wait().unwrap(), None);
        service.kill().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_service_follows_the_log_answers_and_stops_on_sigterm() {
    with_bus(async |world, bus| {
        let mut service = serve(world);
        let last = world.append("wallet", "acme.main", &creation_requested(1)).await;
        until("the publication", async || bus.last_sequence(EVENTS).await.is_ok_and(|found| found == last))
            .await;
        until("every follower's progress", async || {
            let statuses = statuses(bus).await;
            // Every read model, the event stream and the price stream.
            statuses.len() == read_model::ALL.len() + 2
                && statuses.iter().all(|status| status.position == last && status.error.is_none())
        })
        .await;

        let pid = service.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        let ended = tokio::time::timeout(PATIENCE, service.wait()).await.unwrap().unwrap();
        assert_eq!(ended.code(), Some(0));
    })
    .await;
}
