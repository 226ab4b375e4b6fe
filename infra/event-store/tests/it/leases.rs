//! One owner a partition; whoever lost it cannot append any more.

use std::time::Duration;

use nsl_event_store::{AppendError, EventStore, Fence, LeaseError, PARTITIONS};

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
