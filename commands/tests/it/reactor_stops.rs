//! An event that the reactor cannot read stops it, loudly: not ready, a metric, and nothing skipped. Mended, it goes on.

use nsl_schemas::streams;

use crate::log::Writer;
use crate::service::Service;
use crate::world::{World, until, with_world};

const HOUR_MS: u64 = 3_600_000;
const PAST_MS: u64 = 1_000;

/// What `/metrics` says of the stops, future and damaged; `None` while it says nothing.
fn stops(service: &Service) -> Option<[bool; 2]> {
    let page = service.get("/metrics")?;
    let is_set = |label| page.contains(&format!("nsl_reactor_stopped{{reason=\"{label}\"}} 1\n"));
    page.contains("nsl_reactor_stopped{").then(|| ["future", "damaged"].map(is_set))
}

async fn is_stopped(world: &World, service: &Service, expected: [bool; 2], reason: &str) {
    until("the reactor stops", async || (stops(service)? == expected).then_some(())).await;
    let readiness = service.get("/readyz").unwrap();
    let named = readiness.contains("[-] reactor failed: ") && readiness.contains(reason);
    assert!(readiness.contains(" 503 ") && named, "{readiness}");
    assert_eq!(world.number("SELECT count(*) FROM reactor.processes").await, 0, "nothing is skipped");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_from_the_future_stops_the_reactor_and_shows() {
    with_world(async |world| {
        world.begin_log().await;
        let mut writer = Writer::open(&world.database).await;
        writer.open_wallet().await;
        writer.newer_event().await;
        writer.close().await;
        let service = world.start(HOUR_MS);
        is_stopped(world, &service, [true, false], "from the future").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_event_stops_the_reactor_until_it_is_mended() {
    with_world(async |world| {
        world.begin_log().await;
        let mut writer = Writer::open(&world.database).await;
        writer.open_wallet().await;
        writer.request(PAST_MS).await;
        writer.close().await;
        let alter = async |text: &str| {
            let statements = [
                "ALTER TABLE events DISABLE TRIGGER append_only".to_owned(),
                format!("UPDATE events SET metadata = '{text}' WHERE event_type = 'key-created'"),
            ];
            for statement in statements {
                sqlx::query(&statement).execute(&world.pool).await.unwrap();
            }
        };
        alter("{\"altered\":1}").await;
        let jobs = world.given(streams::JOBS).await;
        let service = world.start(HOUR_MS);
        is_stopped(world, &service, [false, true], "not what was appended").await;
        assert_eq!(world.given(streams::JOBS).await, jobs);

        alter("{}").await;
        service.kill();
        let service = world.start(HOUR_MS);
        until("the deadline is kept", async || {
            (world.events("transfer-request-expired").await == 1).then_some(())
        })
        .await;
        until("it is ready", async || service.get("/readyz")?.contains(" 200 ").then_some(())).await;
        assert_eq!(stops(&service), Some([false, false]));
    })
    .await;
}
