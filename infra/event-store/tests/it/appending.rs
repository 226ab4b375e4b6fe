//! What an append records, and that a refused one records nothing.

use nsl_event_store::{AppendError, CommandAppend, EventStore, Fence, Filter, Refusal};

use crate::support::{Database, command, event, take, with_log};

#[tokio::test]
async fn a_batch_is_recorded_byte_for_byte_with_receipts_and_envelopes() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let odd = r#"{"b": 1e2,  "a":"\u00e9", "b":2}"#;
        let mut first = command(fence, "acme.one", 0, 2);
        first.events[1].payload = odd.into();
        first.envelope = odd.into();
        first.answer = odd.into();
        let batch = [first, command(fence, "acme.two", 0, 1), command(fence, "acme.one", 2, 3)];

        let appended = store.append(&batch).await.unwrap();
        assert_eq!((appended.first_position, store.head().await.unwrap()), (1, 6));

        let page = store.read(0, 100, &Filter::default()).await.unwrap();
        let found: Vec<_> = page
            .events
            .iter()
            .map(|event| (event.position, event.aggregate_id.as_str(), event.sequence))
            .collect();
        let expected = [
            (1, "acme.one", 1),
            (2, "acme.one", 2),
            (3, "acme.two", 1),
            (4, "acme.one", 3),
            (5, "acme.one", 4),
            (6, "acme.one", 5),
        ];
        assert_eq!(found, expected);
        assert_eq!(page.events[1].payload, odd);
        assert!(page.events.iter().all(|event| event.recorded_at_ms == appended.recorded_at_ms));
        for event in &page.events {
            let envelope = store.envelope(event.position).await.unwrap();
            assert_eq!(envelope.is_some(), [1, 3, 4].contains(&event.position));
            assert!(event.is_intact(envelope.as_ref()));
            let mut changed = event.clone();
            changed.metadata.push(' ');
            assert!(!changed.is_intact(envelope.as_ref()));
        }
        assert_eq!(store.envelope(1).await.unwrap().unwrap().envelope, odd);

        let ids: Vec<_> = batch.iter().map(|command| command.command_id).collect();
        let receipts = store.receipts(&ids).await.unwrap();
        let places: Vec<_> =
            ids.iter().map(|id| (receipts[id].first_position, receipts[id].event_count)).collect();
        assert_eq!(places, [(1, 2), (3, 1), (4, 3)]);
        assert_eq!(receipts[&ids[0]].answer, odd);
        assert_eq!((receipts[&ids[0]].issuer.as_str(), receipts[&ids[0]].request_hash), ("UISSUER", [7; 32]));
    })
    .await;
}

/// Appends a batch that must be refused, checks that nothing was written, and answers why.
async fn refusal(database: &Database, store: &EventStore, batch: &[CommandAppend]) -> Refusal {
    const EVERYTHING: &str = "SELECT (SELECT position FROM log_head) + (SELECT count(*) FROM events)
        + (SELECT count(*) FROM receipts) + (SELECT count(*) FROM envelopes) + (SELECT sum(version) FROM streams)::bigint";
    let before = database.number(EVERYTHING).await;
    let error = store.append(batch).await.unwrap_err();
    assert_eq!(database.number(EVERYTHING).await, before);
    match error {
        AppendError::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_refusal_names_its_reasons_and_writes_nothing() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let old = command(fence, "acme.one", 0, 2);
        store.append(std::slice::from_ref(&old)).await.unwrap();
        let good = command(fence, "acme.two", 0, 1);

        let known =
            refusal(database, &store, &[good.clone(), CommandAppend { expected_version: 2, ..old.clone() }])
                .await;
        assert_eq!(known, Refusal { known: vec![old.command_id], ..Refusal::default() });

        for expected in [0, 1, 3] {
            let stale =
                refusal(database, &store, &[good.clone(), command(fence, "acme.one", expected, 1)]).await;
            assert!(stale.known.is_empty() && stale.lost.is_empty());
            assert_eq!((stale.stale[0].expected, stale.stale[0].actual), (expected, 2));
            assert_eq!(stale.stale[0].aggregate_id, "acme.one");
        }

        let never_taken = Fence { partition: 2, epoch: 0 };
        let moved = Fence { partition: 1, epoch: fence.epoch + 1 };
        for lost in [never_taken, moved] {
            let refused = refusal(database, &store, &[good.clone(), command(lost, "acme.three", 0, 1)]).await;
            assert_eq!(refused, Refusal { lost: vec![lost], ..Refusal::default() });
        }

        let all = refusal(database, &store, &[old.clone(), command(moved, "acme.two", 9, 1)]).await;
        assert_eq!((all.known.len(), all.stale.len(), all.lost.len()), (1, 2, 1));

        assert_eq!(store.append(&[good]).await.unwrap().first_position, 3);
    })
    .await;
}

#[tokio::test]
async fn an_invalid_batch_is_named_and_changes_nothing() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let mut broken = command(fence, "acme.one", 0, 1);
        broken.events.push(event("deposited", "{"));
        assert!(matches!(store.append(&[broken]).await, Err(AppendError::Invalid(_))));
        assert_eq!(store.head().await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn what_the_database_refuses_for_its_data_is_told_from_what_passes() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        database.execute("ALTER TABLE streams ADD CONSTRAINT short CHECK (version < 3)").await;
        let data = store.append(&[command(fence, "acme.one", 0, 3)]).await;
        assert!(matches!(data, Err(AppendError::Rejected { .. })), "{data:?}");

        let partition = "PARTITION events_p0000000000000000001";
        database.execute(&format!("ALTER TABLE events DETACH {partition}")).await;
        let missing = store.append(&[command(fence, "acme.one", 0, 1)]).await;
        assert!(matches!(missing, Err(AppendError::Unavailable { .. })), "{missing:?}");
        database
            .execute(&format!("ALTER TABLE events ATTACH {partition} FOR VALUES FROM (1) TO (1000001)"))
            .await;
        assert_eq!(store.append(&[command(fence, "acme.one", 0, 1)]).await.unwrap().first_position, 1);
    })
    .await;
}
