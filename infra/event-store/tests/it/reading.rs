//! Pages are bounded, filtered without losing their place, and followed without gap or repeat.

use nsl_event_store::{
    Filter, MAX_PAGE_BYTES, MAX_PAGE_EVENTS, MAX_POSITIONS, ReadError, SCAN_POSITIONS, Subscription,
};
use tokio::sync::watch;

use crate::support::{command, event, take, with_log};

#[tokio::test]
async fn pages_end_at_their_count_and_at_their_bytes() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let large = format!("\"{}\"", "x".repeat(200 * 1024));
        let mut big = command(fence, "acme.one", 0, 0);
        big.events = (0..48).map(|_| event("large", &large)).collect();
        store.append(&[big]).await.unwrap();

        let everything = Filter::default();
        let page = store.read(0, 5, &everything).await.unwrap();
        assert_eq!((page.events.len(), page.position, page.head), (5, 5, 48));

        let mut seen = Vec::new();
        while seen.len() < 48 {
            let after = seen.last().copied().unwrap_or(0);
            let page = store.read(after, MAX_PAGE_EVENTS, &everything).await.unwrap();
            let bytes: usize =
                page.events.iter().map(|event| event.payload.len() + event.metadata.len()).sum();
            assert!(bytes <= MAX_PAGE_BYTES as usize + large.len() + 100, "{bytes}");
            assert_eq!(page.position, page.events.last().unwrap().position);
            seen.extend(page.events.iter().map(|event| event.position));
        }
        assert_eq!(seen, (1..=48).collect::<Vec<_>>());

        for limit in [0, MAX_PAGE_EVENTS + 1] {
            assert!(matches!(store.read(0, limit, &everything).await, Err(ReadError::Limit { .. })));
        }
    })
    .await;
}

#[tokio::test]
async fn a_filter_passes_over_others_events_and_scans_a_bounded_stretch() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let mut closing = command(fence, "beta.one", 0, 1);
        closing.events[0].event_type = "closed".into();
        let batch = [command(fence, "acme.one", 0, 3), closing, command(fence, "acme.one", 3, 3)];
        store.append(&batch).await.unwrap();

        let positions = async |filter: Filter, limit| {
            let page = store.read(0, limit, &filter).await.unwrap();
            (page.events.iter().map(|event| event.position).collect::<Vec<_>>(), page.position)
        };
        let acme = Filter { tenant: Some("acme".into()), ..Filter::default() };
        assert_eq!(positions(acme.clone(), 10).await, (vec![1, 2, 3, 5, 6, 7], 7));
        assert_eq!(positions(acme, 4).await, (vec![1, 2, 3, 5], 5));
        let closed = Filter { event_type: Some("closed".into()), ..Filter::default() };
        assert_eq!(positions(closed, 10).await, (vec![4], 7));
        let foreign = Filter { aggregate_types: vec!["wallet".into()], ..Filter::default() };
        assert_eq!(positions(foreign.clone(), 10).await, (vec![], 7));

        database.execute("UPDATE log_head SET position = 25000").await;
        assert_eq!(positions(foreign, 10).await, (vec![], SCAN_POSITIONS));
    })
    .await;
}

#[tokio::test]
async fn a_subscription_is_woken_by_appends_and_gets_on_without_anyone_waking_it() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let (nobody, never_woken) = watch::channel(0);
        drop(nobody);
        for (round, mut wake) in [(0, store.head_changes()), (1, never_woken)] {
            let after = store.head().await.unwrap();
            let mut subscription = Subscription::new(store.reader().clone(), after, Filter::default(), 10);
            let following = tokio::spawn(async move { subscription.next_page(&mut wake).await });
            store.append(&[command(fence, "acme.one", round * 2, 2)]).await.unwrap();
            let page = following.await.unwrap().unwrap();
            assert_eq!(page.position, after + 2);
            assert_eq!(page.events.len(), 2);
        }
    })
    .await;
}

#[tokio::test]
async fn commands_and_events_are_found_by_their_positions() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let batch = [command(fence, "acme.one", 0, 2), command(fence, "acme.two", 0, 1)];
        store.append(&batch).await.unwrap();

        let mut events: Vec<u64> =
            store.events_at(&[3, 1, 9]).await.unwrap().iter().map(|event| event.position).collect();
        events.sort_unstable();
        assert_eq!(events, [1, 3], "nothing is at 9");
        let mut commands: Vec<_> = store.envelopes(&[1, 2, 3]).await.unwrap();
        commands.sort_by_key(|one| one.position);
        let found: Vec<_> = commands.iter().map(|one| (one.position, one.command_id)).collect();
        assert_eq!(found, [(1, batch[0].command_id), (3, batch[1].command_id)], "2 is no first event");

        for positions in [vec![], vec![1; MAX_POSITIONS + 1]] {
            assert!(matches!(store.events_at(&positions).await, Err(ReadError::Limit { .. })));
            assert!(matches!(store.envelopes(&positions).await, Err(ReadError::Limit { .. })));
        }
    })
    .await;
}
