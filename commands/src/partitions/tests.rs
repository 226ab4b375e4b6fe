#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

const TTL: Duration = Duration::from_secs(5);

/// Partitions whose consumers run until they are stopped.
fn roster(partitions: u16) -> Roster {
    let mut roster = Roster::default();
    for partition in 0..partitions {
        let fence = Fence { partition, epoch: 1 };
        let (tenure, stop) = (Arc::new(Tenure::begin(fence, Instant::now() + TTL)), CancellationToken::new());
        let (shared, stopped) = (Arc::clone(&tenure), stop.clone());
        let task = tokio::spawn(async move {
            stopped.cancelled().await;
            drop(shared);
        });
        roster.held.insert(partition, Held { tenure, stop, task });
    }
    roster
}

async fn finished(roster: &mut Roster) -> Vec<Fence> {
    loop {
        let mut fences = roster.take_finished(Instant::now());
        if !fences.is_empty() {
            fences.sort_by_key(|fence| fence.partition);
            return fences;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_surplus_that_lasts_is_given_back_in_steps_down_to_the_share() {
    let (share, until) = (Share { processors: 3, rank: 0 }, Instant::now() + TTL);
    let mut roster = roster(64);
    assert_eq!(roster.give_back(share, until), 0, "it may be gone at the next look");
    let mut steps = Vec::new();
    loop {
        match roster.give_back(share, until) {
            0 => break,
            given_back => steps.push(given_back),
        }
    }
    assert_eq!(steps.iter().sum::<usize>(), 64 - usize::from(share.quota()));
    assert!(steps.iter().all(|step| *step <= GIVEN_BACK_MAX), "{steps:?}");
    assert_eq!(roster.held.len(), usize::from(share.quota()));
    assert_eq!(roster.fences().len(), 64, "what is leaving is still held");
}

#[tokio::test]
async fn a_surplus_that_passes_moves_nothing() {
    let until = Instant::now() + TTL;
    let mut roster = roster(64);
    for processors in [2, 1, 2, 1] {
        assert_eq!(roster.give_back(Share { processors, rank: 0 }, until), 0);
    }
    assert_eq!(roster.held.len(), 64);
}

#[tokio::test]
async fn a_partition_is_released_when_nothing_of_it_is_under_way_any_more() {
    let mut roster = roster(2);
    let under_way = Arc::clone(&roster.held[&1].tenure);
    roster.give_back_all(Instant::now() + TTL);
    assert_eq!(finished(&mut roster).await, [Fence { partition: 0, epoch: 1 }]);
    assert!(under_way.is_held(), "what was taken is still decided and answered");
    drop(under_way);
    assert_eq!(finished(&mut roster).await, [Fence { partition: 1, epoch: 1 }]);
}

#[tokio::test]
async fn what_is_not_finished_in_time_is_left_to_the_next_owner() {
    let mut roster = roster(1);
    let under_way = Arc::clone(&roster.held[&0].tenure);
    roster.give_back_all(Instant::now());
    assert_eq!(finished(&mut roster).await, [Fence { partition: 0, epoch: 1 }]);
    assert!(!under_way.is_held(), "nothing of it is answered from here on");
}

#[tokio::test]
async fn what_was_not_renewed_or_too_late_is_lost() {
    let mut roster = roster(3);
    let ends = Instant::now() + TTL;
    let tenures: Vec<_> = (0..3).map(|partition| Arc::clone(&roster.held[&partition].tenure)).collect();
    // Ran out before the renewal was answered.
    roster.held[&2].tenure.end();
    let renewed: Vec<_> = [0, 2].map(|partition: u16| roster.held[&partition].tenure.fence()).into();
    assert_eq!(roster.keep(&renewed, ends), 2);
    assert_eq!(roster.held.keys().collect::<Vec<_>>(), [&0]);
    assert_eq!(tenures.iter().map(|tenure| tenure.is_held()).collect::<Vec<_>>(), [true, false, false]);
}
