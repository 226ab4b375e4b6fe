//! The event stream: sequence = position, exactly once, for ever.

use futures::StreamExt;
use nsl_bus::async_nats::HeaderMap;
use nsl_bus::async_nats::jetstream::consumer::{DeliverPolicy, pull};
use nsl_bus::async_nats::jetstream::message::StreamMessage;
use nsl_bus::{Bus, Outcome, SequencedMessage, headers};
use nsl_projections::announce::{self, Announcer};
use nsl_projections::cloud_event;
use nsl_schemas::event::rejection::{AGGREGATE, NAME};
use nsl_schemas::query::ProjectionState;
use nsl_schemas::streams::EVENTS;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::events::*;
use crate::world::{PACE, PATIENCE, World, until, with_bus};

struct Announcing {
    progress: nsl_projections::progress::Progress,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn announce(world: &World, bus: &Bus) -> Announcing {
    let (progress, stop) = (world.progress(announce::NAME), CancellationToken::new());
    let log = world.store.reader().clone();
    let announcer = Announcer { log, bus: bus.clone(), progress: progress.clone(), pace: PACE };
    let task = tokio::spawn(announcer.run(world.store.head_changes(), stop.clone()));
    Announcing { progress, stop, task }
}

impl Announcing {
    async fn reaches(&self, position: u64) {
        assert!(self.progress.reaches(position, PATIENCE).await, "{:?}", self.progress.status());
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// Waits until it stands still for this reason.
    async fn fails(&self, reason: &str) {
        until(reason, async || {
            let status = self.progress.status();
            status.state == ProjectionState::Failed
                && status.error.is_some_and(|error| error.contains(reason))
        })
        .await;
    }
}

/// A message as it is stored: sequence, subject, all headers, bytes.
type Stored = (u64, String, Vec<(String, String)>, Vec<u8>);

async fn stored(bus: &Bus, upto: u64) -> Vec<Stored> {
    let stream = bus.jetstream().get_stream(EVENTS).await.unwrap();
    let mut found = Vec::new();
    for sequence in 1..=upto {
        let StreamMessage { sequence, subject, headers: map, payload, .. } =
            stream.get_raw_message(sequence).await.unwrap();
        assert_eq!(headers::required(Some(&map), cloud_event::POSITION, 64).unwrap(), sequence.to_string());
        let all = map.iter().flat_map(|(name, values)| {
            values.iter().map(move |value| (name.to_string(), value.as_str().to_owned()))
        });
        let mut all: Vec<_> = all.collect();
        all.sort();
        found.push((sequence, subject.to_string(), all, payload.to_vec()));
    }
    found
}

fn id(headers: &[(String, String)]) -> &str {
    &headers.iter().find(|(name, _)| name == cloud_event::ID).unwrap().1
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
        for ((sequence, subject, headers, payload), event) in before.iter().zip(&log) {
            assert_eq!((*sequence, id(headers)), (event.position, event.event_id.to_string().as_str()));
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

        // Lost while nobody looks after it, and the log has gone on.
        bus.jetstream().delete_stream(EVENTS).await.unwrap();
        let more = append_some(world, 500, 40).await;
        let announcing = announce(world, bus);
        announcing.reaches(more).await;
        let after = stored(bus, more).await;
        assert_eq!(after[..before.len()], before[..]);
        assert_eq!(u64::try_from(after.len()).unwrap(), more);
        announcing.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_keeps_its_position_goes_on_over_a_deletion() {
    with_bus(async |world, bus| {
        let announcing = announce(world, bus);
        let half = append_some(world, 1, 30).await;
        announcing.reaches(half).await;
        let read = async |after: u64, upto: u64| {
            let stream = bus.jetstream().get_stream(EVENTS).await.unwrap();
            let config = pull::OrderedConfig {
                deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
                ..pull::OrderedConfig::default()
            };
            let messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
            let wanted = usize::try_from(upto - after).unwrap();
            let taken = messages.take(wanted).map(|message| message.unwrap().info().unwrap().stream_sequence);
            tokio::time::timeout(PATIENCE, taken.collect::<Vec<_>>()).await.unwrap()
        };
        let mut positions = read(0, 20).await;
        bus.jetstream().delete_stream(EVENTS).await.unwrap();
        let last = append_some(world, 100, 30).await;
        until("the publication", async || bus.last_sequence(EVENTS).await.is_ok_and(|found| found == last))
            .await;
        positions.extend(read(*positions.last().unwrap(), last).await);
        assert_eq!(positions, (1..=last).collect::<Vec<_>>());
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
            stored(bus, last).await.iter().map(|(_, _, headers, _)| id(headers).to_owned()).collect();
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
async fn a_stream_that_is_ahead_of_the_log_or_tells_another_history_stands_still_until_it_is_deleted() {
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

        let announcing = announce(world, bus);
        announcing.fails("it ends at 4, the log at 3").await;
        let last = append_some(world, 100, 2).await;
        announcing.fails("differs from the log at 4").await;
        assert_eq!(bus.last_sequence(EVENTS).await.unwrap(), 4);
        bus.jetstream().delete_stream(EVENTS).await.unwrap();
        announcing.reaches(last).await;
        assert_eq!(announcing.progress.status().state, ProjectionState::Running);
        assert!(stored(bus, last).await.iter().all(|(_, subject, ..)| !subject.ends_with("forged")));
        announcing.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_event_that_cannot_be_published_stops_the_stream_before_it() {
    with_bus(async |world, bus| {
        let last = append_some(world, 1, 2).await;
        let announcing = announce(world, bus);
        announcing.reaches(last).await;
        let before = world.append("wallet", "acme.main", &transfer_requested(9)).await;
        world.append_text("wal let", "acme.main", "created", "{}".into()).await;
        announcing.fails("event 4 cannot be published").await;
        assert_eq!((before, bus.last_sequence(EVENTS).await.unwrap()), (last + 1, last + 1));
        announcing.stop().await;
    })
    .await;
}
