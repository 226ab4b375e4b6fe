//! Many appenders and followers at once: one order, no gap, no repeat, nothing skipped.

use std::collections::HashSet;

use nsl_event_store::{AppendError, EventStore, Fence, Filter, Subscription};
use tokio::sync::watch;
use uuid::Uuid;

use crate::support::{command, take, with_log};

const STORES: u16 = 2;
const TASKS: u64 = 8;
const BATCHES: u64 = 12;
const STREAMS: u64 = 5;

/// Appends batches to streams that others append to as well; answers the acknowledged command ids.
async fn append_batches(store: EventStore, fence: Fence, task: u64) -> Vec<Uuid> {
    let mut acknowledged = Vec::new();
    for batch in 0..BATCHES {
        let stream = format!("acme.{}", (task + batch) % STREAMS);
        let mut expected = 0;
        loop {
            let commands = [command(fence, &stream, expected, 2), command(fence, &stream, expected + 2, 1)];
            match store.append(&commands).await {
                Ok(_) => {
                    acknowledged.extend(commands.map(|command| command.command_id));
                    break;
                }
                Err(AppendError::Refused(refusal)) => {
                    expected = refusal.stale.first().map_or(expected, |stream| stream.actual);
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    acknowledged
}

/// Follows the log until the closing event, and answers every position seen.
async fn follow(store: EventStore, page_size: u32, mut wake: watch::Receiver<u64>) -> Vec<u64> {
    let mut subscription = Subscription::new(store.reader().clone(), 0, Filter::default(), page_size);
    let mut seen = Vec::new();
    loop {
        let page = subscription.next_page(&mut wake).await.unwrap();
        assert!(page.events.iter().all(|event| event.position <= page.head));
        seen.extend(page.events.iter().map(|event| event.position));
        if page.events.iter().any(|event| event.event_type == "closed") {
            return seen;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_appends_have_one_order_that_followers_see_whole() {
    with_log(async |database| {
        let mut appending = tokio::task::JoinSet::new();
        let mut following = tokio::task::JoinSet::new();
        for partition in 0..STORES {
            let store = database.store().await;
            let fence = take(&store, partition).await;
            following.spawn(follow(store.clone(), 7 + u32::from(partition), store.head_changes()));
            for task in 0..TASKS {
                appending.spawn(append_batches(store.clone(), fence, task));
            }
        }
        let acknowledged = appending.join_all().await.concat();
        let store = database.store().await;
        let mut closing = command(take(&store, 9).await, "acme.end", 0, 1);
        closing.events[0].event_type = "closed".into();
        store.append(&[closing]).await.unwrap();

        let events = u64::from(STORES) * TASKS * BATCHES * 3 + 1;
        assert_eq!(store.head().await.unwrap(), events);
        for seen in following.join_all().await {
            assert_eq!(seen, (1..=events).collect::<Vec<_>>());
        }
        for stream in 0..STREAMS {
            let stream = store.load_stream("account", &format!("acme.{stream}"), 0).await.unwrap();
            let sequences: Vec<_> = stream.iter().map(|event| event.sequence).collect();
            assert_eq!(sequences, (1..=stream.len() as u64).collect::<Vec<_>>());
            assert!(stream.windows(2).all(|pair| pair[0].position < pair[1].position));
        }
        let distinct: HashSet<_> = acknowledged.iter().collect();
        assert_eq!(distinct.len(), acknowledged.len());
        let mut receipts = 0;
        for ids in acknowledged.chunks(500) {
            receipts += store.receipts(ids).await.unwrap().len();
        }
        assert_eq!(receipts, acknowledged.len());
        let recorded = database.number("SELECT count(*) FROM receipts").await;
        assert_eq!(usize::try_from(recorded).unwrap(), acknowledged.len() + 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_command_from_many_appenders_is_recorded_once() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let same = command(fence, "acme.one", 0, 1);
        let mut appending = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (store, same) = (store.clone(), same.clone());
            appending.spawn(async move { store.append(&[same]).await.is_ok() });
        }
        let accepted = appending.join_all().await.into_iter().filter(|accepted| *accepted).count();
        assert_eq!(accepted, 1);
        assert_eq!(store.head().await.unwrap(), 1);
    })
    .await;
}
