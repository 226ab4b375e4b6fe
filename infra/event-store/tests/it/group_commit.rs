//! Many callers over one group commit: each hears its own outcome, and nobody another's fault.

use nsl_event_store::{AppendError, CommandAppend, Fence, GroupCommit, MAX_PAYLOAD_BYTES, Refusal};
use tokio::task::JoinSet;

use crate::support::{command, take, with_log};

/// Long after any outcome.
const OUTCOME: std::time::Duration = std::time::Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_share_commits_and_hear_their_own_positions() {
    const CALLERS: u64 = 300;
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let group = GroupCommit::start(store.clone());
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let group = group.clone();
            let own = command(fence, &format!("acme.{caller}"), 0, 1 + usize::try_from(caller % 3).unwrap());
            callers.spawn(async move { (own.command_id, group.append(own).await.unwrap().first_position) });
        }
        for (command_id, position) in callers.join_all().await {
            let receipt = &store.receipts(&[command_id]).await.unwrap()[&command_id];
            assert_eq!(receipt.first_position, position);
        }
        assert_eq!(store.head().await.unwrap(), CALLERS * 2);
        // A transaction each would have been as many as callers; recorded_at is one a transaction.
        let commits = database.number("SELECT count(DISTINCT recorded_at) FROM events").await;
        assert!(commits < i64::try_from(CALLERS).unwrap() / 4, "{commits} commits");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_callers_fault_is_not_anothers() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let group = GroupCommit::start(store.clone());
        let known = command(fence, "acme.known", 0, 1);
        group.append(known.clone()).await.unwrap();
        database
            .execute("ALTER TABLE streams ADD CONSTRAINT not_bad CHECK (aggregate_id <> 'acme.bad')")
            .await;

        let lost = Fence { partition: 1, epoch: fence.epoch + 1 };
        let mut invalid = command(fence, "acme.invalid", 0, 1);
        invalid.payload = format!("\"{}\"", "x".repeat(MAX_PAYLOAD_BYTES));
        let faults = [
            CommandAppend { expected_version: 1, ..known.clone() },
            command(fence, "acme.known", 7, 1),
            command(lost, "acme.lost", 0, 1),
            command(fence, "acme.bad", 0, 1),
            invalid,
        ];
        let mut callers = JoinSet::new();
        for index in 0..40 {
            let (group, good) = (group.clone(), command(fence, &format!("acme.{index}"), 0, 1));
            callers.spawn(async move { group.append(good).await.map(drop) });
        }
        let outcomes = faults.map(|fault| {
            let group = group.clone();
            tokio::spawn(async move { group.append(fault).await.unwrap_err() })
        });
        for outcome in callers.join_all().await {
            outcome.unwrap();
        }
        let [again, ahead, lost_one, bad, invalid] = outcomes;
        let refusal = |error| match error {
            AppendError::Refused(refusal) => refusal,
            other => panic!("not refused: {other:?}"),
        };
        assert_eq!(
            refusal(again.await.unwrap()),
            Refusal { known: vec![known.command_id], ..Refusal::default() }
        );
        let stale = refusal(ahead.await.unwrap());
        assert!(stale.is_stale_only());
        assert_eq!((stale.stale[0].expected, stale.stale[0].actual), (7, 1));
        assert_eq!(refusal(lost_one.await.unwrap()), Refusal { lost: vec![lost], ..Refusal::default() });
        assert!(matches!(bad.await.unwrap(), AppendError::Rejected { .. }));
        assert!(matches!(invalid.await.unwrap(), AppendError::Invalid(_)));
        assert_eq!(store.head().await.unwrap(), 41);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_callers_that_expect_one_version_exactly_one_is_recorded() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let group = GroupCommit::start(store.clone());
        for version in 0..10 {
            let mut callers = JoinSet::new();
            for _ in 0..20 {
                let (group, next) = (group.clone(), command(fence, "acme.one", version, 1));
                callers.spawn(async move { group.append(next).await });
            }
            let mut recorded = 0;
            for outcome in callers.join_all().await {
                match outcome {
                    Ok(_) => recorded += 1,
                    Err(AppendError::Refused(refusal)) => {
                        assert!(refusal.is_stale_only());
                        assert_eq!(
                            (refusal.stale[0].expected, refusal.stale[0].actual),
                            (version, version + 1)
                        );
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
            assert_eq!(recorded, 1);
        }
        assert_eq!(store.head().await.unwrap(), 10);
    })
    .await;
}

#[tokio::test]
async fn what_was_handed_in_is_recorded_though_its_caller_and_every_handle_are_gone() {
    with_log(async |database| {
        let store = database.store().await;
        let group = GroupCommit::start(store.clone());
        let next = command(take(&store, 1).await, "acme.one", 0, 1);
        let mut head = store.head_changes();
        let mut handing_in = Box::pin(group.append(next));
        tokio::select! {
            biased;
            _ = &mut handing_in => panic!("answered before anybody could commit"),
            () = std::future::ready(()) => {}
        }
        drop(handing_in);
        drop(group);
        tokio::time::timeout(OUTCOME, head.wait_for(|head| *head == 1)).await.unwrap().unwrap();
    })
    .await;
}
