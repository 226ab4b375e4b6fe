//! Followers of a log that many append to: whatever the filter, the place to start and the pace, each matching event once
//! and in order.

use std::time::Duration;

use nsl_event_store::{EventStore, Filter, RecordedEvent, Subscription};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::{command, event, take, with_log};

/// Who appends at the same time, each to a partition of its own.
const WRITERS: u16 = 4;
/// Batches of each.
const BATCHES: usize = 24;
/// Followers at the same time.
const READERS: usize = 24;
const TENANTS: [&str; 3] = ["acme", "beta", "gamma"];
const AGGREGATE_TYPES: [&str; 2] = ["account", "card"];
const EVENT_TYPES: [&str; 3] = ["opened", "deposited", "closed"];

/// How a follower behaves.
#[derive(Debug, Clone)]
struct Behaviour {
    filter: Filter,
    page_size: u32,
    /// Where it starts, in percent of what is there by then.
    start_percent: u64,
    /// How long it takes for a page.
    page_ms: u64,
    /// Whether appends wake it, or only its own clock.
    woken: bool,
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    let any_of = |values: &'static [&'static str]| {
        proptest::option::of(proptest::sample::select(values).prop_map(str::to_owned))
    };
    let some_types = proptest::sample::subsequence(&AGGREGATE_TYPES[..], 0..=AGGREGATE_TYPES.len());
    let filter = (any_of(&TENANTS), some_types, any_of(&EVENT_TYPES)).prop_map(
        |(tenant, aggregate_types, event_type)| Filter {
            tenant,
            aggregate_types: aggregate_types.into_iter().map(str::to_owned).collect(),
            event_type,
        },
    );
    (filter, 1..=50_u32, 0..=100_u64, proptest::sample::select(&[0, 0, 3, 20][..]), proptest::bool::ANY)
        .prop_map(|(filter, page_size, start_percent, page_ms, woken)| Behaviour {
            filter,
            page_size,
            start_percent,
            page_ms,
            woken,
        })
}

fn matches(filter: &Filter, event: &RecordedEvent) -> bool {
    let tenant = event.aggregate_id.split('.').next();
    filter.tenant.as_deref().is_none_or(|wanted| Some(wanted) == tenant)
        && (filter.aggregate_types.is_empty() || filter.aggregate_types.contains(&event.aggregate_type))
        && filter.event_type.as_ref().is_none_or(|wanted| *wanted == event.event_type)
}

/// Appends batches of several streams, with pauses now and then.
async fn write(store: EventStore, writer: u16) {
    let fence = take(&store, writer).await;
    let mut versions = [0; TENANTS.len()];
    for batch in 0..BATCHES {
        let commands: Vec<_> = TENANTS
            .iter()
            .zip(&mut versions)
            .enumerate()
            .map(|(nth, (tenant, version))| {
                let mut command = command(fence, &format!("{tenant}.of-{writer}"), *version, 0);
                let number = usize::from(writer) + batch + nth;
                AGGREGATE_TYPES[usize::from(writer) % 2].clone_into(&mut command.aggregate_type);
                let count = 1 + number % 4;
                command.events = (0..count)
                    .map(|one| event(EVENT_TYPES[(number + one) % 3], r#"{"amount":"5"}"#))
                    .collect();
                *version += u64::try_from(count).unwrap();
                command
            })
            .collect();
        store.append(&commands).await.unwrap();
        if batch % 7 == usize::from(writer) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Follows until it has reached the end that is told at last; answers what it was given.
async fn follow(
    store: EventStore,
    behaviour: Behaviour,
    after: u64,
    mut end: watch::Receiver<Option<u64>>,
) -> Vec<RecordedEvent> {
    let (_kept, never) = watch::channel(0);
    let mut wake = if behaviour.woken { store.head_changes() } else { never };
    let Behaviour { filter, page_size, page_ms, .. } = behaviour;
    let mut subscription = Subscription::new(store.reader().clone(), after, filter, page_size);
    let mut found = Vec::new();
    loop {
        let reached = subscription.position();
        let page = tokio::select! {
            page = subscription.next_page(&mut wake) => page.unwrap(),
            ended = end.wait_for(|end| end.is_some_and(|end| end <= reached)) => {
                ended.unwrap();
                return found;
            }
        };
        assert!(page.events.len() <= page_size as usize, "one page is all that it holds");
        assert_eq!(subscription.position(), page.position);
        assert!(page.events.iter().all(|event| reached < event.position && event.position <= page.position));
        found.extend(page.events);
        tokio::time::sleep(Duration::from_millis(page_ms)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_follower_gets_each_matching_event_once_and_in_order() {
    with_log(async |database| {
        let store = database.store().await;
        // Some are there before anybody follows: catching up, then live.
        write(store.clone(), 0).await;
        let there = store.head().await.unwrap();
        let (told, end) = watch::channel(None);
        let mut runner = TestRunner::deterministic();
        let following: Vec<(Behaviour, u64, JoinHandle<_>)> = (0..READERS)
            .map(|_| {
                let behaviour = behaviour().new_tree(&mut runner).unwrap().current();
                let after = there * behaviour.start_percent / 100;
                let task = tokio::spawn(follow(store.clone(), behaviour.clone(), after, end.clone()));
                (behaviour, after, task)
            })
            .collect();
        let writing: Vec<_> =
            (1..=WRITERS).map(|writer| tokio::spawn(write(store.clone(), writer))).collect();
        for writer in writing {
            writer.await.unwrap();
        }
        let head = store.head().await.unwrap();
        assert!(head > there);
        told.send_replace(Some(head));

        let log = store.read(0, 1_000, &Filter::default()).await.unwrap();
        assert_eq!(log.position, head, "the whole log fits into a page");
        for (behaviour, after, task) in following {
            let found = tokio::time::timeout(Duration::from_mins(1), task).await.unwrap().unwrap();
            let expected: Vec<_> = log
                .events
                .iter()
                .filter(|event| event.position > after && matches(&behaviour.filter, event))
                .cloned()
                .collect();
            assert_eq!(found, expected, "{behaviour:?} after {after}");
        }
    })
    .await;
}
