//! Where handlers run: on the server's threads, which none of them keeps while it waits.

use std::sync::Arc;

use nsl_enclave_protocol::channel::Error;
use nsl_enclave_protocol::frame::Refusal;
use nsl_enclave_protocol::{Channel, ServerLimits};
use tokio::sync::Notify;

use crate::harness::{Running, late, quick_options};

fn one_thread() -> ServerLimits {
    ServerLimits { threads: 1, ..ServerLimits::default() }
}

fn thread_name() -> Vec<u8> {
    std::thread::current().name().unwrap_or_default().as_bytes().to_vec()
}

#[tokio::test]
async fn a_handler_runs_on_the_servers_thread_also_after_it_waited() {
    let server = Running::start(one_thread(), |request| async move {
        let before = thread_name();
        if request == b"wait" {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        [before, thread_name()].concat()
    })
    .await;
    let channel = Channel::connect(server.endpoint(), quick_options()).await.unwrap();
    for request in [&b"go"[..], b"wait"] {
        assert_eq!(channel.call(request, late()).await.unwrap(), b"work-0work-0");
    }
}

#[tokio::test]
async fn a_handler_that_waits_leaves_its_thread_to_others() {
    let release = Arc::new(Notify::new());
    let gate = Arc::clone(&release);
    let server = Running::start(one_thread(), move |request| {
        let gate = Arc::clone(&gate);
        async move {
            if request == b"wait" {
                gate.notified().await;
            }
            request
        }
    })
    .await;
    let channel = Channel::connect(server.endpoint(), quick_options()).await.unwrap();
    let others = async {
        for turn in 0..20_u8 {
            assert_eq!(channel.call(vec![turn], late()).await.unwrap(), [turn]);
        }
        release.notify_one();
    };
    let (waited, ()) = tokio::join!(channel.call(&b"wait"[..], late()), others);
    assert_eq!(waited.unwrap(), b"wait");
}

#[tokio::test]
async fn a_handler_that_nobody_can_wake_is_given_up_at_once() {
    let server = Running::start(one_thread(), |_| std::future::pending()).await;
    let channel = Channel::connect(server.endpoint(), quick_options()).await.unwrap();
    let error = channel.call(&b"job"[..], late()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { refusal: Refusal::HandlerFailed, .. }), "{error:?}");
}

#[tokio::test]
async fn a_thread_outlives_handlers_that_panic() {
    let server = Running::start(one_thread(), |request| async move {
        assert_ne!(request, b"panic", "as asked");
        request
    })
    .await;
    let channel = Channel::connect(server.endpoint(), quick_options()).await.unwrap();
    for _ in 0..10 {
        assert!(channel.call(&b"panic"[..], late()).await.is_err());
        assert_eq!(channel.call(&b"fine"[..], late()).await.unwrap(), b"fine");
    }
}
