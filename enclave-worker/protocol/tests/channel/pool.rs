//! Several workers behind one pool: spreading, failing over only what is safe, leaving the sick alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nsl_enclave_protocol::channel::{self, Health};
use nsl_enclave_protocol::frame::Frame;
use nsl_enclave_protocol::pool::Error;
use nsl_enclave_protocol::{Endpoint, Pool, PoolOptions, ServerLimits};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::harness::{RawPeer, Running, Socket, late, quick_options, soon};

fn options() -> PoolOptions {
    PoolOptions { channel: quick_options(), ..PoolOptions::default() }
}

async fn counting() -> (Running, Arc<AtomicUsize>) {
    let handled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&handled);
    let server = Running::start(ServerLimits::default(), move |request| {
        counter.fetch_add(1, Ordering::SeqCst);
        async { request }
    })
    .await;
    (server, handled)
}

/// Waits until every member is connected.
async fn all_ready(pool: &Pool) {
    while !pool.health().iter().all(|member| matches!(member.connection, Health::Ready)) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn calls_are_spread_over_all_members() {
    let (one, by_one) = counting().await;
    let (two, by_two) = counting().await;
    let pool = Pool::open(vec![one.endpoint(), two.endpoint()], options()).unwrap();
    all_ready(&pool).await;
    for _ in 0..100 {
        pool.call(&b"job"[..], late()).await.unwrap();
    }
    let (by_one, by_two) = (by_one.load(Ordering::SeqCst), by_two.load(Ordering::SeqCst));
    assert_eq!(by_one + by_two, 100);
    assert!(by_one.abs_diff(by_two) <= 2, "{by_one} and {by_two}");
}

/// A server that answers nothing until it is let, so that what it was given can be counted.
async fn holding(window: u16) -> (Running, Arc<Semaphore>) {
    let lets = Arc::new(Semaphore::new(0));
    let server = Running::start(ServerLimits { window, ..ServerLimits::default() }, {
        let lets = Arc::clone(&lets);
        move |request| {
            let lets = Arc::clone(&lets);
            async move {
                lets.acquire().await.unwrap().forget();
                request
            }
        }
    })
    .await;
    (server, lets)
}

fn outstanding(pool: &Pool) -> Vec<usize> {
    pool.health().iter().map(|member| member.outstanding).collect()
}

#[tokio::test]
async fn calls_are_spread_by_the_credit_of_each_member() {
    let ((small, small_lets), (large, large_lets)) = (holding(10).await, holding(30).await);
    let pool = Pool::open(vec![small.endpoint(), large.endpoint()], options()).unwrap();
    all_ready(&pool).await;
    let mut callers = JoinSet::new();
    for calls in 1..=20 {
        let caller = pool.clone();
        callers.spawn(async move { caller.call(&b"job"[..], late()).await.unwrap() });
        while outstanding(&pool).iter().sum::<usize>() < calls {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(outstanding(&pool), [5, 15]);
    small_lets.add_permits(5);
    large_lets.add_permits(15);
    while let Some(answer) = callers.join_next().await {
        answer.unwrap();
    }
    assert_eq!(pool.health().iter().map(|member| member.answered).collect::<Vec<_>>(), [5, 15]);
}

#[tokio::test]
async fn a_draining_member_finishes_what_it_took_and_gets_nothing_more() {
    let ((leaving, lets), (staying, handled)) = (holding(10).await, counting().await);
    let pool = Pool::open(vec![leaving.endpoint()], options()).unwrap();
    all_ready(&pool).await;
    let (caller, endpoint) = (pool.clone(), leaving.endpoint());
    let taken = tokio::spawn(async move { caller.call(&b"taken"[..], late()).await });
    while outstanding(&pool) != [1] {
        tokio::task::yield_now().await;
    }
    pool.drain(&endpoint);
    pool.add(staying.endpoint()).unwrap();
    for _ in 0..20 {
        pool.call(&b"job"[..], late()).await.unwrap();
    }
    assert_eq!(handled.load(Ordering::SeqCst), 20);
    assert!(pool.health()[0].is_draining);
    // Gone from the pool, it still answers what it took.
    pool.remove(&endpoint);
    assert_eq!(outstanding(&pool), [0]);
    lets.add_permits(1);
    assert_eq!(taken.await.unwrap().unwrap(), b"taken");
}

#[tokio::test]
async fn a_member_can_be_asked_by_itself_and_only_its_failures_count() {
    let sick = Running::start(ServerLimits::default(), |request| async move {
        assert_ne!(request, b"job");
        request
    })
    .await;
    let options = PoolOptions { failures_to_open: 2, open_interval: Duration::from_hours(1), ..options() };
    let pool = Pool::open(vec![sick.endpoint()], options).unwrap();
    all_ready(&pool).await;
    for _ in 0..2 {
        assert!(!pool.health()[0].is_left_alone);
        assert_eq!(pool.probe(&sick.endpoint(), &b"ping"[..], late()).await.unwrap().unwrap(), b"ping");
        pool.call(&b"job"[..], late()).await.unwrap_err();
    }
    assert!(pool.health()[0].is_left_alone);
    assert!(pool.probe(&Socket::new().endpoint(), &b"ping"[..], late()).await.is_none());
}

#[tokio::test]
async fn a_member_is_in_a_pool_once_and_may_come_back() {
    let (member, _) = counting().await;
    let pool = Pool::open(vec![], options()).unwrap();
    assert!(matches!(pool.call(&b"job"[..], soon()).await, Err(Error::NoneAvailable { members: 0, .. })));
    pool.add(member.endpoint()).unwrap();
    assert!(matches!(pool.add(member.endpoint()), Err(Error::DuplicateEndpoint { .. })));
    pool.remove(&member.endpoint());
    pool.add(member.endpoint()).unwrap();
    assert_eq!(pool.call(&b"job"[..], late()).await.unwrap(), b"job");
}

#[tokio::test]
async fn a_member_that_is_not_there_takes_no_calls() {
    let (there, handled) = counting().await;
    let nowhere = Socket::new();
    let pool = Pool::open(vec![nowhere.endpoint(), there.endpoint()], options()).unwrap();
    for _ in 0..20 {
        assert_eq!(pool.call(&b"job"[..], late()).await.unwrap(), b"job");
    }
    assert_eq!(handled.load(Ordering::SeqCst), 20);
    assert!(matches!(pool.health()[0].connection, Health::Connecting(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_or_is_handled_twice_while_a_member_shuts_down() {
    let (mut one, by_one) = counting().await;
    let (two, by_two) = counting().await;
    let pool = Pool::open(vec![one.endpoint(), two.endpoint()], options()).unwrap();
    all_ready(&pool).await;
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let pool = pool.clone();
        callers.spawn(async move {
            for turn in 0..100_u8 {
                assert_eq!(pool.call(vec![turn], late()).await.unwrap(), [turn]);
            }
        });
    }
    while by_one.load(Ordering::SeqCst) < 100 {
        tokio::task::yield_now().await;
    }
    one.shut_down();
    one.ended().await;
    while let Some(outcome) = callers.join_next().await {
        outcome.unwrap();
    }
    assert_eq!(by_one.load(Ordering::SeqCst) + by_two.load(Ordering::SeqCst), 2000);
}

#[tokio::test]
async fn a_request_that_was_written_is_never_sent_to_another_member() {
    let (good, handled) = counting().await;
    let socket = Socket::new();
    let listener = UnixListener::bind(socket.path()).unwrap();
    let pool = Pool::open(vec![socket.endpoint(), good.endpoint()], options()).unwrap();
    let dying = async {
        let mut peer = RawPeer::server(&listener, 4).await;
        peer.receive_batch().await;
    };
    let calling = async {
        all_ready(&pool).await;
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            outcomes.push(pool.call(&b"job"[..], late()).await);
        }
        outcomes
    };
    let (outcomes, ()) = tokio::join!(calling, dying);
    let lost = |outcome: &&Result<_, Error>| matches!(outcome, Err(Error::Call(error @ channel::Error::Unavailable { .. })) if !error.is_unhandled());
    assert_eq!(outcomes.iter().filter(lost).count(), 1, "{outcomes:?}");
    assert_eq!(handled.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_member_whose_calls_keep_failing_is_left_alone() {
    let (good, handled) = counting().await;
    let sick = Running::start(ServerLimits::default(), |_request| async { panic!("sick") }).await;
    let open_interval = Duration::from_hours(1);
    let options = PoolOptions { failures_to_open: 2, open_interval, ..options() };
    let pool = Pool::open(vec![sick.endpoint(), good.endpoint()], options).unwrap();
    all_ready(&pool).await;
    let mut failed = 0;
    for _ in 0..50 {
        failed += usize::from(pool.call(&b"job"[..], late()).await.is_err());
    }
    assert_eq!((failed, handled.load(Ordering::SeqCst)), (2, 48));
    let left_alone: Vec<bool> = pool.health().iter().map(|member| member.is_left_alone).collect();
    assert_eq!(left_alone, [true, false]);
}

#[tokio::test]
async fn a_member_left_alone_is_tried_again_and_comes_back() {
    let failures = Arc::new(AtomicUsize::new(2));
    let left = Arc::clone(&failures);
    let server = Running::start(ServerLimits::default(), move |request| {
        let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        async move {
            assert!(!fails, "still sick");
            request
        }
    })
    .await;
    let options = PoolOptions { failures_to_open: 1, open_interval: Duration::from_millis(20), ..options() };
    let pool = Pool::open(vec![server.endpoint()], options).unwrap();
    for _ in 0..2 {
        assert!(matches!(pool.call(&b"job"[..], late()).await, Err(Error::Call(_))));
    }
    assert_eq!(pool.call(&b"job"[..], late()).await.unwrap(), b"job");
    assert!(!pool.health()[0].is_left_alone);
}

#[tokio::test]
async fn a_pool_without_a_usable_member_answers_at_the_deadline() {
    let nowhere = Socket::new();
    let pool = Pool::open(vec![nowhere.endpoint()], options()).unwrap();
    let error = pool.call(&b"job"[..], soon()).await.unwrap_err();
    assert!(matches!(error, Error::NoneAvailable { members: 1, .. }) && error.is_unhandled(), "{error:?}");
}

#[tokio::test]
async fn a_pool_waits_for_its_first_connection() {
    let socket = Socket::new();
    let pool = Pool::open(vec![socket.endpoint()], options()).unwrap();
    let serving = async {
        let listener = UnixListener::bind(socket.path()).unwrap();
        let mut peer = RawPeer::server(&listener, 4).await;
        let asked = peer.receive_batch().await;
        peer.send(&Frame::Batch(vec![crate::harness::response(asked[0].request_id, b"here")])).await;
        peer
    };
    let (outcome, _peer) = tokio::join!(pool.call(&b"anyone?"[..], late()), serving);
    assert_eq!(outcome.unwrap(), b"here");
}

#[tokio::test]
async fn pools_of_none_of_twins_and_of_too_many_are_refused() {
    let unix = |number: usize| Endpoint::Unix { path: format!("/nowhere/{number}").into() };
    let open = |endpoints: Vec<Endpoint>| Pool::open(endpoints, options()).unwrap_err();
    assert!(matches!(open((0..65).map(unix).collect()), Error::MemberCount { found: 65 }));
    assert!(matches!(open(vec![unix(1), unix(2), unix(1)]), Error::DuplicateEndpoint { .. }));
}
