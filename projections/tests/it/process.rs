//! The binary as a process: it starts, follows, answers, and stops in order.

use std::process::Stdio;

use nsl_bus::async_nats::HeaderMap;
use nsl_schemas::query::{ProjectionStatus, Reply};
use nsl_schemas::streams::EVENTS;
use serde_json::Value;
use tokio::process::Command;

use crate::events::*;
use crate::world::{PATIENCE, until, with_bus};

#[tokio::test]
async fn the_service_follows_the_log_answers_and_stops_on_sigterm() {
    with_bus(async |world, bus| {
        let mut service = Command::new(env!("CARGO_BIN_EXE_nsl-projections"))
            .arg("run")
            .args(["--set", &format!("log.url={}", world.url), "--set", &format!("read.url={}", world.url)])
            .args(["--set", &format!("bus.url={}", std::env::var("NSL_TEST_NATS_URL").unwrap())])
            .args(["--set", "telemetry.admin_address=127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let last = world.append("wallet", "acme.main", &creation_requested(1)).await;
        until("the publication", async || bus.last_sequence(EVENTS).await.is_ok_and(|found| found == last))
            .await;
        until("every follower's progress", async || {
            let subject = "nsl.v1.qry.acme.projections";
            let Ok(answer) = bus.request(subject, HeaderMap::new(), "".into(), PATIENCE).await else {
                return false;
            };
            let Reply::Ok(page) = serde_json::from_slice::<Reply<Value>>(&answer.payload).unwrap() else {
                return false;
            };
            let statuses: Vec<ProjectionStatus> = serde_json::from_value(page["data"].clone()).unwrap();
            statuses.len() == 6
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
