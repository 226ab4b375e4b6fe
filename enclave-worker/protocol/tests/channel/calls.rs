//! What a channel does when all goes well, and at its limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nsl_enclave_protocol::channel::Error;
use nsl_enclave_protocol::frame::Refusal;
use nsl_enclave_protocol::limits::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use nsl_enclave_protocol::{Channel, ServerLimits};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::harness::{Running, late, quick_options, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_pipelined_calls_get_their_own_answers_within_the_window() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let limits = ServerLimits { window: 16, ..ServerLimits::default() };
    let seen = Arc::clone(&most);
    let server = Running::start(limits, move |mut request| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Every other answer is overtaken by its successor.
            if request[0] % 2 == 0 {
                tokio::task::yield_now().await;
            }
            request.reverse();
            running.fetch_sub(1, Ordering::SeqCst);
            request
        }
    })
    .await;
    let channel = Channel::connect(server.endpoint(), quick_options()).await.unwrap();
    let mut callers = JoinSet::new();
    for caller in 0..100_u64 {
        let channel = channel.clone();
        callers.spawn(async move {
            for turn in 0..100_u64 {
                let number = caller * 100 + turn;
                let answer = channel.call(number.to_le_bytes().to_vec(), late()).await.unwrap();
                assert_eq!(answer, number.to_be_bytes());
            }
        });
    }
    while let Some(outcome) = callers.join_next().await {
        outcome.unwrap();
    }
    let most = seen.load(Ordering::SeqCst);
    assert!((2..=16).contains(&most), "{most} at once");
    assert_eq!(channel.outstanding(), 0);
}

#[tokio::test]
async fn the_largest_and_the_smallest_messages_pass() {
    let respond = |request: Vec<u8>| async move { request.repeat(RESPONSE_BYTES_MAX / REQUEST_BYTES_MAX) };
    let server = Running::start(ServerLimits::default(), respond).await;
    let channel = Channel::connect(server.endpoint(), quick_options()).await.unwrap();
    let largest = vec![5; REQUEST_BYTES_MAX];
    let (large, empty) = tokio::join!(channel.call(largest, late()), channel.call(vec![], late()));
    assert_eq!(large.unwrap(), vec![5; RESPONSE_BYTES_MAX]);
    assert_eq!(empty.unwrap(), b"");
}

#[tokio::test]
async fn a_request_over_the_servers_limit_is_refused_before_it_is_sent() {
    let limits = ServerLimits { request_bytes_max: 10, ..ServerLimits::default() };
    let server = Running::echo(limits).await;
    let channel = Channel::connect(server.endpoint(), quick_options()).await.unwrap();
    let error = channel.call(vec![0; 11], late()).await.unwrap_err();
    assert!(matches!(error, Error::RequestTooLarge { bytes: 11, max: 10, .. }), "{error:?}");
    assert_eq!(channel.call(vec![0; 10], late()).await.unwrap().len(), 10);
}

#[tokio::test]
async fn a_handler_that_fails_or_says_too_much_fails_its_own_call_alone() {
    let limits = ServerLimits { response_bytes_max: 10, ..ServerLimits::default() };
    let server = Running::start(limits, |request| async move {
        match request.as_slice() {
            b"panic" => panic!("as asked"),
            b"talk" => vec![0; 11],
            _ => request,
        }
    })
    .await;
    let channel = Channel::connect(server.endpoint(), quick_options()).await.unwrap();
    let (failed, talked, fine) = tokio::join!(
        channel.call(&b"panic"[..], late()),
        channel.call(&b"talk"[..], late()),
        channel.call(&b"fine"[..], late()),
    );
    let refused = |outcome: Result<Vec<u8>, Error>| match outcome {
        Err(Error::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(failed), Refusal::HandlerFailed);
    assert_eq!(refused(talked), Refusal::ResponseTooLarge);
    assert_eq!(fine.unwrap(), b"fine");
}

#[tokio::test]
async fn a_late_answer_is_dropped_and_its_successors_are_not() {
    let release = Arc::new(Notify::new());
    let gate = Arc::clone(&release);
    let server = Running::start(ServerLimits::default(), move |request| {
        let gate = Arc::clone(&gate);
        async move {
            if request == b"slow" {
                gate.notified().await;
            }
            request
        }
    })
    .await;
    let channel = Channel::connect(server.endpoint(), quick_options()).await.unwrap();
    let error = channel.call(&b"slow"[..], soon()).await.unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded { .. }) && !error.is_unhandled(), "{error:?}");
    release.notify_one();
    for turn in 0..100_u8 {
        assert_eq!(channel.call(vec![turn], late()).await.unwrap(), [turn]);
    }
}

#[tokio::test]
async fn a_call_that_never_got_a_credit_was_not_sent() {
    let limits = ServerLimits { window: 1, ..ServerLimits::default() };
    let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (here, gate) = (Arc::clone(&arrived), Arc::clone(&release));
    let server = Running::start(limits, move |request| {
        let (here, gate) = (Arc::clone(&here), Arc::clone(&gate));
        async move {
            here.notify_one();
            gate.notified().await;
            request
        }
    })
    .await;
    let channel = Channel::connect(server.endpoint(), quick_options()).await.unwrap();
    let second = async {
        arrived.notified().await;
        let outcome = channel.call(&b"second"[..], soon()).await;
        release.notify_one();
        outcome
    };
    let (first, second) = tokio::join!(channel.call(&b"first"[..], late()), second);
    assert_eq!(first.unwrap(), b"first");
    let error = second.unwrap_err();
    assert!(matches!(error, Error::NotSent { .. }) && error.is_unhandled(), "{error:?}");
}

#[tokio::test]
async fn a_shutdown_finishes_what_the_server_took() {
    let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (here, gate) = (Arc::clone(&arrived), Arc::clone(&release));
    let mut server = Running::start(ServerLimits::default(), move |request| {
        let (here, gate) = (Arc::clone(&here), Arc::clone(&gate));
        async move {
            here.notify_one();
            gate.notified().await;
            request
        }
    })
    .await;
    let channel = Channel::connect(server.endpoint(), quick_options()).await.unwrap();
    let call = channel.call(&b"work"[..], late());
    let shutdown = async {
        arrived.notified().await;
        server.shut_down();
        release.notify_one();
        server.ended().await;
    };
    let (outcome, ()) = tokio::join!(call, shutdown);
    assert_eq!(outcome.unwrap(), b"work");
}
