//! Servers that die, hang or are not there, and channels that mend themselves.

use std::sync::Arc;

use nsl_enclave_protocol::channel::{Error, Health};
use nsl_enclave_protocol::{Channel, Listener, ServerLimits, serve};
use tokio::runtime::Builder;
use tokio::sync::Notify;

use crate::harness::{PATIENT, Running, Socket, late, never, quick_options, soon};

#[tokio::test]
async fn a_server_killed_in_mid_call_leaves_the_outcome_unknown_and_its_successor_is_found() {
    let socket = Socket::new();
    let arrived = Arc::new(Notify::new());
    let here = Arc::clone(&arrived);
    // A runtime of its own, so that killing it ends every task of the server at once.
    let doomed = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = doomed.spawn({
        let endpoint = socket.endpoint();
        async move { Listener::bind(&endpoint).await.unwrap() }
    });
    let listener = listener.await.unwrap();
    doomed.spawn(serve(
        listener,
        move |_request| {
            here.notify_one();
            async {
                never().await;
                vec![]
            }
        },
        ServerLimits::default(),
        std::future::pending(),
    ));
    let channel = Channel::connect(socket.endpoint(), quick_options()).await.unwrap();
    let kill = async {
        arrived.notified().await;
        tokio::task::spawn_blocking(|| doomed.shutdown_timeout(PATIENT)).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(channel.call(&b"job"[..], late()), kill);
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }) && !error.is_unhandled(), "{error:?}");

    let listener = Listener::bind(&socket.endpoint()).await.unwrap();
    let limits = ServerLimits::default();
    tokio::spawn(serve(listener, |request| async { request }, limits, std::future::pending()));
    assert_eq!(channel.call(&b"job"[..], late()).await.unwrap(), b"job");
}

#[tokio::test]
async fn a_server_that_stops_answering_is_left_for_a_new_connection() {
    let limits = ServerLimits { window: 2, ..ServerLimits::default() };
    let server = Running::start(limits, |request| async move {
        if request == b"hang" {
            never().await;
        }
        request
    })
    .await;
    let channel = Channel::connect(server.endpoint(), quick_options()).await.unwrap();
    let hang = || channel.call(&b"hang"[..], soon());
    let (first, second) = tokio::join!(hang(), hang());
    for outcome in [first, second] {
        assert!(matches!(outcome, Err(Error::DeadlineExceeded { .. })), "{outcome:?}");
    }
    assert_eq!(channel.call(&b"again"[..], late()).await.unwrap(), b"again");
}

#[tokio::test]
async fn a_channel_to_nobody_says_so_at_once() {
    let socket = Socket::new();
    let error = Channel::connect(socket.endpoint(), quick_options()).await.unwrap_err();
    assert!(matches!(&error, Error::NotConnected { source: Some(_), .. }) && error.is_unhandled());
}

#[tokio::test]
async fn a_call_waits_for_the_connection_until_its_deadline() {
    let mut server = Running::echo(ServerLimits::default()).await;
    let channel = Channel::connect(server.endpoint(), quick_options()).await.unwrap();
    assert!(matches!(channel.health(), Health::Ready));
    server.shut_down();
    let socket = server.ended().await;
    let error = channel.call(&b"early"[..], soon()).await.unwrap_err();
    assert!(matches!(error, Error::NotConnected { source: Some(_), .. }), "{error:?}");
    let bind_and_serve = async {
        let listener = Listener::bind(&socket.endpoint()).await.unwrap();
        let limits = ServerLimits::default();
        tokio::spawn(serve(listener, |request| async { request }, limits, std::future::pending()));
    };
    let (outcome, ()) = tokio::join!(channel.call(&b"patient"[..], late()), bind_and_serve);
    assert_eq!(outcome.unwrap(), b"patient");
}
