//! A replay is the log: in order, whole, unaltered, or a named error.

use nsl_event_store::{
    EventPage, EventStore, Filter, MAX_REPLAY_SESSIONS, REPLAY_PAGE_BYTES, REPLAY_PAGE_EVENTS, ReadError,
    RecordedEvent, ReplayOptions,
};

use crate::support::{Database, alter, command, event, take, with_log};

/// Commands of 1, 2 and 3 events on three tenants' streams, so that the log is longer than one range of a session.
async fn fill(store: &EventStore) -> u64 {
    let fence = take(store, 1).await;
    let mut versions = [0, 0, 0];
    for _ in 0..6 {
        let mut batch = Vec::new();
        for round in 0..450 {
            let stream = round % 3;
            let tenant = ["acme", "beta", "o'hara"][stream];
            batch.push(command(fence, &format!("{tenant}.one"), versions[stream], 1 + stream));
            versions[stream] += 1 + stream as u64;
        }
        store.append(&batch).await.unwrap();
    }
    store.head().await.unwrap()
}

async fn replayed(store: &EventStore, options: ReplayOptions) -> Result<Vec<EventPage>, ReadError> {
    let mut replay = store.replay(options).await?;
    let mut pages = Vec::new();
    while let Some(page) = replay.next_page().await? {
        pages.push(page);
    }
    assert_eq!(pages.last().map_or(replay.upto(), EventPage::position), replay.upto());
    Ok(pages)
}

fn positions(pages: &[EventPage]) -> Vec<u64> {
    pages.iter().flat_map(|page| page.iter().map(|event| event.position).collect::<Vec<_>>()).collect()
}

/// The same by the ordinary pages.
async fn read(store: &EventStore, filter: &Filter) -> Vec<RecordedEvent> {
    let (mut events, mut after) = (Vec::new(), 0);
    loop {
        let page = store.read(after, 500, filter).await.unwrap();
        events.extend(page.events);
        after = page.position;
        if after == page.head {
            return events;
        }
    }
}

#[tokio::test]
async fn a_replay_has_every_event_and_command_as_the_pages_have_them() {
    with_log(async |database| {
        let store = database.store().await;
        let head = fill(&store).await;
        assert!(head > 4_096 + 500, "one session reads more than one range: {head}");
        let expected = read(&store, &Filter::default()).await;
        for sessions in [1, 2, 3] {
            let pages =
                replayed(&store, ReplayOptions { sessions, ..ReplayOptions::default() }).await.unwrap();
            let events: Vec<_> =
                pages.iter().flat_map(|page| page.iter().map(|event| event.to_recorded())).collect();
            assert!(events == expected, "{sessions} sessions");
            for page in &pages {
                assert!(page.len() <= REPLAY_PAGE_EVENTS);
                for event in page.iter() {
                    let first_of_command = store_has_command(&expected, event.position);
                    assert_eq!(event.command.is_some(), first_of_command, "position {}", event.position);
                }
            }
        }
        let unchecked =
            replayed(&store, ReplayOptions { verify: false, ..ReplayOptions::default() }).await.unwrap();
        assert_eq!(positions(&unchecked), (1..=head).collect::<Vec<_>>());
        assert!(unchecked.iter().all(|page| page.iter().all(|event| event.command.is_none())));
    })
    .await;
}

/// Whether the event is its command's first: the one before it has another.
fn store_has_command(events: &[RecordedEvent], position: u64) -> bool {
    let index = usize::try_from(position).unwrap() - 1;
    index == 0 || events[index - 1].command_id != events[index].command_id
}

#[tokio::test]
async fn a_stretch_and_a_filter_give_just_that_and_the_place_it_reaches() {
    with_log(async |database| {
        let store = database.store().await;
        let head = fill(&store).await;
        let stretch = ReplayOptions { after: 100, upto: Some(4_500), ..ReplayOptions::default() };
        assert_eq!(positions(&replayed(&store, stretch).await.unwrap()), (101..=4_500).collect::<Vec<_>>());
        for (after, upto) in [(0, Some(0)), (head, None), (head + 9, Some(head + 20)), (5, Some(3))] {
            let nothing = ReplayOptions { after, upto, ..ReplayOptions::default() };
            assert_eq!(replayed(&store, nothing).await.unwrap().len(), 0, "after {after} up to {upto:?}");
        }
        for tenant in ["beta", "o'hara", "nobody\0' OR true --"] {
            let filter = Filter { tenant: Some(tenant.into()), ..Filter::default() };
            let pages =
                replayed(&store, ReplayOptions { filter: filter.clone(), ..ReplayOptions::default() }).await;
            let pages = pages.unwrap();
            assert_eq!(pages.last().unwrap().position(), head);
            let filter = if tenant.starts_with("nobody") {
                Filter { tenant: Some("nobody".into()), ..filter }
            } else {
                filter
            };
            let expected: Vec<_> = read(&store, &filter).await.iter().map(|event| event.position).collect();
            assert_eq!(positions(&pages), expected, "{tenant}");
        }
        for sessions in [0, MAX_REPLAY_SESSIONS + 1] {
            let options = ReplayOptions { sessions, ..ReplayOptions::default() };
            assert!(matches!(store.replay(options).await, Err(ReadError::Limit { .. })));
        }
    })
    .await;
}

#[tokio::test]
async fn pages_of_large_events_end_at_their_bytes() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let large = format!("\"{}\"", "x".repeat(200 * 1024));
        let mut big = command(fence, "acme.one", 0, 0);
        big.events = (0..48).map(|_| event("large", &large)).collect();
        store.append(&[big]).await.unwrap();
        let pages = replayed(&store, ReplayOptions::default()).await.unwrap();
        assert_eq!(positions(&pages), (1..=48).collect::<Vec<_>>());
        assert!(pages.iter().all(|page| page.text_bytes() < REPLAY_PAGE_BYTES + large.len() + 1_000));
    })
    .await;
}

/// What somebody with the owner's rights can do to a log, and what each reader says to it.
#[tokio::test]
async fn whatever_is_changed_in_the_database_is_named_by_every_reader() {
    let changes = [
        "UPDATE events SET payload = '{\"amount\":\"6\"}' WHERE position = 5",
        "UPDATE events SET metadata = '{\"trace\":\"2\"}' WHERE position = 5",
        "UPDATE events SET sequence = 99 WHERE position = 5",
        "UPDATE events SET event_type = 'withdrawn' WHERE position = 5",
        "UPDATE events SET event_version = '2' WHERE position = 5",
        "UPDATE events SET event_id = gen_random_uuid() WHERE position = 5",
        "UPDATE events SET command_id = gen_random_uuid() WHERE position = 5",
        "UPDATE events SET content_hash = sha256('x') WHERE position = 5",
        "UPDATE envelopes SET payload = '{}' WHERE position = 5",
        "UPDATE envelopes SET envelope = '{}' WHERE position = 5",
        "UPDATE envelopes SET subject = 'elsewhere' WHERE position = 5",
        "UPDATE envelopes SET command_id = gen_random_uuid() WHERE position = 5",
        "DELETE FROM envelopes WHERE position = 5",
        "UPDATE envelopes SET position = 6 WHERE position = 5",
    ];
    for change in changes {
        with_log(async |database| {
            let store = database.store().await;
            append_seven(&store).await;
            alter(database, change).await;
            let at_5 = |error: ReadError| matches!(error, ReadError::Altered { position: 5 });
            assert!(at_5(store.read(0, 100, &Filter::default()).await.unwrap_err()), "{change}");
            assert!(at_5(store.events_at(&[5]).await.unwrap_err()), "{change}");
            assert!(at_5(store.load_stream("account", "acme.one", 0).await.unwrap_err()), "{change}");
            assert!(at_5(replayed(&store, ReplayOptions::default()).await.unwrap_err()), "{change}");
            assert_eq!(store.read(0, 4, &Filter::default()).await.unwrap().events.len(), 4, "{change}");
        })
        .await;
    }
}

#[tokio::test]
async fn an_event_that_was_removed_is_named_by_those_who_read_all() {
    for (change, missing) in [
        ("DELETE FROM events WHERE position = 5", 5),
        ("DELETE FROM events WHERE position = 1", 1),
        ("DELETE FROM events WHERE position >= 6", 6),
        ("UPDATE events SET position = 9 WHERE position = 7", 7),
    ] {
        with_log(async |database| {
            let store = database.store().await;
            append_seven(&store).await;
            alter(database, change).await;
            let named =
                |error: ReadError| matches!(error, ReadError::Missing { position } if position == missing);
            assert!(named(store.read(0, 100, &Filter::default()).await.unwrap_err()), "{change}");
            for verify in [true, false] {
                let options = ReplayOptions { verify, ..ReplayOptions::default() };
                assert!(named(replayed(&store, options).await.unwrap_err()), "{change}");
            }
        })
        .await;
    }
}

/// Commands of 2, 2 and 3 events: position 5 is the third one's first.
async fn append_seven(store: &EventStore) {
    let fence = take(store, 1).await;
    let batch = [
        command(fence, "acme.one", 0, 2),
        command(fence, "acme.one", 2, 2),
        command(fence, "acme.one", 4, 3),
    ];
    store.append(&batch).await.unwrap();
}

/// A server that ends in the middle of a replay makes an error and never a short log.
#[tokio::test]
async fn a_replay_whose_session_is_ended_is_an_error() {
    with_log(async |database: &Database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        // Far more than pages and sockets hold between the server and a reader that pauses.
        let large = format!("\"{}\"", "x".repeat(250 * 1024));
        for batch in 0..4 {
            let mut big = command(fence, "acme.one", batch * 64, 0);
            big.events = (0..64).map(|_| event("large", &large)).collect();
            store.append(&[big]).await.unwrap();
        }
        let options = ReplayOptions { sessions: 1, ..ReplayOptions::default() };
        let mut replay = store.replay(options).await.unwrap();
        replay.next_page().await.unwrap().unwrap();
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = current_database() AND query LIKE 'COPY%'";
        assert_eq!(database.number(end).await, 1);
        let error = loop {
            match replay.next_page().await {
                Ok(page) => assert!(page.is_some(), "ended before the head"),
                Err(error) => break error,
            }
        };
        assert!(error.may_pass(), "{error:?}");
    })
    .await;
}
