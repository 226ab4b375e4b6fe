//! One owner a partition; whoever lost it cannot append any more.

use std::time::Duration;

use nsl_event_store::{AppendError, EventStore, Fence, LeaseError, PARTITIONS, Share};

use crate::support::{LONG, command, with_log};

/// Takes the partition as soon as it has expired.
async fn take_expired(store: &EventStore, owner: &str, partition: u16) -> Fence {
    loop {
        if let [fence] = store.take_partitions(owner, &[partition], LONG).await.unwrap()[..] {
            return fence;
        }
    }
}

#[tokio::test]
async fn a_held_partition_is_not_taken_until_it_expires() {
    with_log(async |database| {
        let (one, other) = (database.store().await, database.store().await);
        let held = one.take_partitions("one", &[3, 4], LONG).await.unwrap();
        assert_eq!(held.len(), 2);
        let rest = other.take_partitions("other", &[3, 4, 5], LONG).await.unwrap();
        assert_eq!(rest, [Fence { partition: 5, epoch: 1 }]);

        let leases = other.leases().await.unwrap();
        assert_eq!(leases.len(), usize::from(PARTITIONS));
        assert_eq!((leases[3].owner.as_deref(), leases[3].epoch), (Some("one"), 1));
        assert!(leases[3].expires_in_ms.unwrap() > 0);
        assert_eq!((leases[6].owner.as_deref(), leases[6].expires_in_ms), (None, None));
    })
    .await;
}

#[tokio::test]
async fn a_takeover_fences_off_the_former_owner() {
    with_log(async |database| {
        let (one, other) = (database.store().await, database.store().await);
        let old = one.take_partitions("one", &[3], Duration::from_millis(1)).await.unwrap();
        one.append(&[command(old[0], "acme.one", 0, 1)]).await.unwrap();
        let new = take_expired(&other, "other", 3).await;
        assert_eq!(new.epoch, old[0].epoch + 1);

        let refused = one.append(&[command(old[0], "acme.one", 1, 1)]).await.unwrap_err();
        assert!(matches!(refused, AppendError::Refused(refusal) if refusal.lost == old));
        assert!(one.renew_partitions("one", &old, LONG).await.unwrap().is_empty());
        assert!(one.release_partitions("one", &old).await.unwrap().is_empty());
        other.append(&[command(new, "acme.one", 1, 1)]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_lease_is_renewed_given_back_and_taken_again_by_its_owner() {
    with_log(async |database| {
        let store = database.store().await;
        let held = store.take_partitions("one", &[3], Duration::from_millis(1)).await.unwrap();
        assert_eq!(store.renew_partitions("one", &held, LONG).await.unwrap(), held);
        assert!(store.take_partitions("other", &[3], LONG).await.unwrap().is_empty());

        let again = store.take_partitions("one", &[3], LONG).await.unwrap();
        assert_eq!(again[0].epoch, held[0].epoch + 1);
        assert_eq!(store.release_partitions("one", &again).await.unwrap(), again);
        let released = store.append(&[command(again[0], "acme.one", 0, 1)]).await.unwrap_err();
        assert!(matches!(released, AppendError::Refused(refusal) if refusal.lost == again));
        assert_eq!(store.take_partitions("other", &[3], LONG).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn processors_learn_their_place_until_they_leave_or_are_not_heard_of() {
    with_log(async |database| {
        let store = database.store().await;
        let alone = store.join_processors("one", LONG).await.unwrap();
        assert_eq!(alone, Share { processors: 1, rank: 0 });
        assert_eq!(store.join_processors("two", LONG).await.unwrap(), Share { processors: 2, rank: 1 });
        assert_eq!(store.join_processors("one", LONG).await.unwrap(), Share { processors: 2, rank: 0 });

        store.leave_processors("one").await.unwrap();
        assert_eq!(store.join_processors("two", LONG).await.unwrap(), Share { processors: 1, rank: 0 });
        assert_eq!(store.join_processors("one", LONG).await.unwrap(), Share { processors: 2, rank: 1 });

        store.join_processors("two", Duration::from_millis(1)).await.unwrap();
        while store.join_processors("one", LONG).await.unwrap() != alone {}
        assert_eq!(database.number("SELECT count(*) FROM processors").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_run_supersedes_the_earlier_runs_of_its_name_and_no_others() {
    with_log(async |database| {
        let store = database.store().await;
        let earlier = store.take_partitions("one/1", &[1], LONG).await.unwrap();
        let others = [("one/two/1", 2), ("one more/1", 3)];
        for (owner, partition) in others {
            store.take_partitions(owner, &[partition], LONG).await.unwrap();
            store.join_processors(owner, LONG).await.unwrap();
        }
        store.join_processors("one/1", LONG).await.unwrap();

        store.supersede_processors("one/2").await.unwrap();
        assert_eq!(store.join_processors("one/2", LONG).await.unwrap().processors, 3);
        let refused = store.append(&[command(earlier[0], "acme.one", 0, 1)]).await.unwrap_err();
        assert!(matches!(refused, AppendError::Refused(refusal) if refusal.lost == earlier));
        let claimed = store.claim_partitions("one/2", &[], 64, LONG).await.unwrap();
        assert_eq!(claimed.len(), 62, "all but the others' two");
    })
    .await;
}

#[tokio::test]
async fn processors_that_join_at_once_do_not_wait_for_each_other() {
    with_log(async |database| {
        let stores = [database.store().await, database.store().await, database.store().await];
        let short = Duration::from_millis(1);
        let mut joins = tokio::task::JoinSet::new();
        for at in 0..400 {
            let (store, owner) = (stores[at % 3].clone(), format!("processor {}", at % 8));
            joins.spawn(async move { store.join_processors(&owner, short).await.unwrap() });
        }
        for Share { processors, rank } in joins.join_all().await {
            assert!(rank < processors && processors <= 8);
        }
    })
    .await;
}

#[tokio::test]
async fn only_what_nobody_holds_is_claimed_and_no_more_than_asked() {
    with_log(async |database| {
        let store = database.store().await;
        let one = store.claim_partitions("one", &[], 40, LONG).await.unwrap();
        assert_eq!(one.len(), 40);
        let two = store.claim_partitions("two", &[], 40, LONG).await.unwrap();
        assert_eq!(two.len(), 24);
        assert!(one.iter().all(|fence| two.iter().all(|other| other.partition != fence.partition)));
        assert_eq!(store.claim_partitions("three", &[], 64, LONG).await.unwrap(), []);

        // Of what it holds it knows all but one: the answer was lost, and the claim steps over it.
        let held: Vec<u16> = one.iter().skip(1).map(|fence| fence.partition).collect();
        let again = store.claim_partitions("one", &held, 1, LONG).await.unwrap();
        assert_eq!(again, [Fence { epoch: one[0].epoch + 1, ..one[0] }]);
        let refused = store.append(&[command(one[0], "acme.one", 0, 1)]).await.unwrap_err();
        assert!(matches!(refused, AppendError::Refused(refusal) if refusal.lost == one[..1]));

        // What has expired is claimed too.
        store.renew_partitions("two", &two[..3], Duration::from_millis(1)).await.unwrap();
        let mut claimed: Vec<u16> = Vec::new();
        while claimed.len() < 3 {
            let more = store.claim_partitions("three", &claimed, 2, LONG).await.unwrap();
            claimed.extend(more.iter().map(|fence| fence.partition));
        }
        assert!(store.renew_partitions("two", &two[..3], LONG).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn bad_lease_requests_are_named() {
    with_log(async |database| {
        let store = database.store().await;
        let owner = store.take_partitions("", &[1], LONG).await;
        assert!(matches!(owner, Err(LeaseError::Owner { bytes: 0 })));
        let ttl = store.take_partitions("one", &[1], Duration::ZERO).await;
        assert!(matches!(ttl, Err(LeaseError::Ttl { .. })));
        let ttl = store.take_partitions("one", &[1], LONG * 2).await;
        assert!(matches!(ttl, Err(LeaseError::Ttl { .. })));
        let partition = store.take_partitions("one", &[1, PARTITIONS], LONG).await;
        assert!(matches!(partition, Err(LeaseError::Partition { partition: PARTITIONS })));
        assert!(store.leases().await.unwrap().iter().all(|lease| lease.epoch == 0));
    })
    .await;
}
