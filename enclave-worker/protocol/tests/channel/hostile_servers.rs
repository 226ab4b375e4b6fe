//! Servers that break the rules: the call fails with the reason, nothing hangs, and the channel connects anew.

use std::error::Error as _;
use std::time::Duration;

use nsl_enclave_protocol::channel::{ConnectionError, Error};
use nsl_enclave_protocol::frame::{CloseReason, Frame};
use nsl_enclave_protocol::link;
use nsl_enclave_protocol::{Channel, ChannelOptions};
use tokio::net::UnixListener;

use crate::harness::{RawPeer, Socket, late, quick_options, request, response};

/// What a channel makes of a server that answers its first request with `frames` and its second as it should.
async fn outcome_of(frames: Vec<Frame>) -> link::Error {
    let socket = Socket::new();
    let listener = UnixListener::bind(socket.path()).unwrap();
    let serving = async {
        let mut broken = RawPeer::server(&listener, 4).await;
        assert_eq!(broken.receive_batch().await.len(), 1);
        for frame in &frames {
            broken.send(frame).await;
        }
        let mut good = RawPeer::server(&listener, 4).await;
        let asked = good.receive_batch().await;
        good.send(&Frame::Batch(vec![response(asked[0].request_id, b"good")])).await;
        (broken, good)
    };
    let calling = async {
        let channel = Channel::connect(socket.endpoint(), quick_options()).await.unwrap();
        let broken = channel.call(&b"one"[..], late()).await;
        assert_eq!(channel.call(&b"two"[..], late()).await.unwrap(), b"good");
        broken
    };
    let (outcome, _peers) = tokio::join!(calling, serving);
    let Err(Error::Unavailable { source, .. }) = outcome else { panic!("{outcome:?}") };
    match std::sync::Arc::try_unwrap(source) {
        Ok(ConnectionError::Link(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_to_a_question_that_was_not_asked_ends_the_connection() {
    let error = outcome_of(vec![Frame::Batch(vec![response(77, b"")])]).await;
    assert!(matches!(error, link::Error::UnknownRequest { request_id: 77 }), "{error:?}");
}

#[tokio::test]
async fn frames_that_are_not_a_servers_end_the_connection() {
    let error = outcome_of(vec![Frame::Pong]).await;
    assert!(matches!(error, link::Error::Unexpected { kind: "pong" }), "{error:?}");
    let error = outcome_of(vec![Frame::Batch(vec![request(0, b"")])]).await;
    assert!(matches!(error, link::Error::Unexpected { kind: "request" }), "{error:?}");
}

#[tokio::test]
async fn the_servers_reason_to_close_reaches_the_caller() {
    let error = outcome_of(vec![Frame::Ping, Frame::Close(CloseReason::TooSlow)]).await;
    assert!(matches!(error, link::Error::Closed { reason: CloseReason::TooSlow }), "{error:?}");
}

#[tokio::test]
async fn a_channel_gives_signs_of_life_and_misses_the_servers() {
    let socket = Socket::new();
    let listener = UnixListener::bind(socket.path()).unwrap();
    let serving = async {
        let mut silent = RawPeer::server_with(&listener, 4, 20).await;
        silent.send(&Frame::Ping).await;
        assert_eq!(silent.receive().await, Some(Frame::Pong));
        // Nothing more from here: the channel must leave by itself.
        while silent.receive().await.is_some() {}
    };
    let calling = async {
        let channel = Channel::connect(socket.endpoint(), quick_options()).await.unwrap();
        channel.call(&b"job"[..], late()).await.unwrap_err()
    };
    let (error, ()) = tokio::join!(calling, serving);
    let Error::Unavailable { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(&**source, ConnectionError::Link(link::Error::Silent { .. })), "{source:?}");
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_named_at_connect() {
    let socket = Socket::new();
    let listener = UnixListener::bind(socket.path()).unwrap();
    let serving = async {
        let mut peer = RawPeer::new(listener.accept().await.unwrap().0);
        peer.send_bytes(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        peer
    };
    let (outcome, _peer) = tokio::join!(Channel::connect(socket.endpoint(), quick_options()), serving);
    let error = outcome.unwrap_err();
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        texts.push(cause.to_string());
        source = cause.source();
    }
    assert!(texts.iter().any(|text| text.contains("magic")), "{texts:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_at_the_connect_timeout() {
    let socket = Socket::new();
    let _listener = UnixListener::bind(socket.path()).unwrap();
    let options = ChannelOptions { connect_timeout: Duration::from_millis(50), ..quick_options() };
    let error = Channel::connect(socket.endpoint(), options).await.unwrap_err();
    assert!(matches!(error, Error::NotConnected { source: Some(_), .. }), "{error:?}");
}
