//! The event stream: sequence = position, exactly once, for ever.

use nsl_bus::async_nats::HeaderMap;
use nsl_bus::async_nats::jetstream::message::StreamMessage;
use nsl_bus::{Bus, Outcome, SequencedMessage, headers};
use nsl_projections::announce::{self, Announcer, Error};
use nsl_projections::cloud_event;
use nsl_schemas::event::rejection::{AGGREGATE, NAME};
use nsl_schemas::streams::EVENTS;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::events::*;
use crate::world::{PATIENCE, World, until, with_bus};

struct Announcing {
    progress: nsl_projections::progress::Progress,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

fn announce(world: &World, bus: &Bus) -> Announcing {
    let (progress, stop) = (world.progress(announce::NAME), CancellationToken::new());
    let log = world.store.reader().clone();
    let announcer = Announcer { log, bus: bus.clone(), replicas: 1, progress: progress.clone() };
    let task = tokio::spawn(announcer.run(world.store.head_changes(), stop.clone()));
    Announcing { progress, stop, task }
}

impl Announcing {
    async fn reaches(&self, position: u64) {
        assert!(self.progress.reaches(position, PATIENCE).await, "{:?}", self.progress.status());
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    async fn fails(self) -> Error {
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap_err()
    }
}

async fn stored(bus: &Bus, upto: u64) -> Vec<(u64, String, String, Vec<u8>)> {
    let stream = bus.jetstream().get_stream(EVENTS).await.unwrap();
    let mut found = Vec::new();
    for sequence in 1..=upto {
        let StreamMessage { sequence, subject, headers: map, payload, .. } =
            stream.get_raw_message(sequence).await.unwrap();
        let id = headers::required(Some(&map), cloud_event::ID, 64).unwrap().to_owned();
        assert_eq!(headers::required(Some(&map), cloud_event::POSITION, 64).unwrap(), sequence.to_string());
        found.push((sequence, subject.to_string(), id, payload.to_vec()));
    }
    found
}

async fn append_some(world: &World, from: u128, count: u128) -> u64 {
    let mut last = 0;
    for number in from..from + count {
        last = world.append("wallet", "acme.main", &transfer_requested(number)).await;
    }
    last
}

#[tokio::test]
async fn every_position_is_published_at_its_sequence_and_again_after_a_deletion() {
    with_bus(async |world, bus| {
        append_some(world, 1, 300).await;
        let rejected = world
            .append_text(AGGREGATE, &format!("acme.{}", request(1)), NAME, "{\"event\":\"x\"}".into())
            .await;
        let announcing = announce(world, bus);
        announcing.reaches(rejected).await;
        let last = append_some(world, 400, 3).await;
        announcing.reaches(last).await;

        let before = stored(bus, last).await;
        let log = world.store.read(0, 1000, &nsl_event_store::Filter::default()).await.unwrap().events;
        assert_eq!(before.len(), log.len());
        for ((sequence, subject, id, payload), event) in before.iter().zip(&log) {
            assert_eq!((*sequence, id.as_str()), (event.position, event.event_id.to_string().as_str()));
            assert_eq!(payload, event.payload.as_bytes());
            let tail = format!("{}.{}", event.aggregate_id.split_once('.').unwrap().1, event.event_type);
            assert_eq!(subject, &format!("nsl.v1.evt.acme.{}.{tail}", event.aggregate_type));
        }

        // The running announcer notices the loss by itself.
        bus.jetstream().delete_stream(EVENTS).await.unwrap();
        until("the publication after the deletion", async || {
            bus.last_sequence(EVENTS).await.is_ok_and(|found| found == last)
        })
        .await;
        assert_eq!(stored(bus, last).await, before);
        announcing.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_restart_or_a_second_process_repeats_nothing() {
    with_bus(async |world, bus| {
        let last = append_some(world, 1, 20).await;
        let first = announce(world, bus);
        first.reaches(last).await;
        first.stop().await;

        let (one, other) = (announce(world, bus), announce(world, bus));
        let last = append_some(world, 100, 60).await;
        one.reaches(last).await;
        other.reaches(last).await;
        assert_eq!(bus.last_sequence(EVENTS).await.unwrap(), last);
        let ids: std::collections::BTreeSet<_> =
            stored(bus, last).await.into_iter().map(|(_, _, id, _)| id).collect();
        assert_eq!(u64::try_from(ids.len()).unwrap(), last);

        let event =
            world.store.read(0, 1, &nsl_event_store::Filter::default()).await.unwrap().events.remove(0);
        let repeat: SequencedMessage = cloud_event::message(&event).unwrap();
        assert_eq!(bus.publish_at_sequence(EVENTS, repeat, 1).await.unwrap(), Outcome::AlreadyThere);
        assert_eq!(bus.last_sequence(EVENTS).await.unwrap(), last);
        one.stop().await;
        other.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_ahead_of_the_log_or_tells_another_history_is_fatal() {
    with_bus(async |world, bus| {
        let last = append_some(world, 1, 3).await;
        let announcing = announce(world, bus);
        announcing.reaches(last).await;
        announcing.stop().await;
        let subject = "nsl.v1.evt.acme.wallet.main.forged";
        let forged = || SequencedMessage {
            subject: subject.into(),
            headers: HeaderMap::default(),
            payload: "{}".into(),
        };
        bus.publish_at_sequence(EVENTS, forged(), last + 1).await.unwrap();

        let error = announce(world, bus).fails().await;
        assert!(matches!(error, Error::AheadOfLog { last: 4, head: 3 }), "{error}");
        append_some(world, 100, 2).await;
        let error = announce(world, bus).fails().await;
        assert!(matches!(error, Error::Diverged { position: 4, found: None, .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn an_event_that_cannot_be_published_stops_the_stream_before_it() {
    with_bus(async |world, bus| {
        let last = append_some(world, 1, 2).await;
        let announcing = announce(world, bus);
        announcing.reaches(last).await;
        world.append_text("wal let", "acme.main", "created", "{}".into()).await;
        until("the stop", async || announcing.progress.status().error.is_some()).await;
        let reason = announcing.progress.status().error.unwrap();
        assert!(reason.contains("event 3 cannot be published"), "{reason}");
        assert_eq!(bus.last_sequence(EVENTS).await.unwrap(), last);
        announcing.stop().await;
    })
    .await;
}
