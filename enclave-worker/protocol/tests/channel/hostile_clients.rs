//! Clients that break the rules lose their connection, are told why, and disturb nobody else.

use std::time::Duration;

use bytes::Bytes;
use nsl_enclave_protocol::frame::{Body, CloseReason, Frame, Message, Refusal};
use nsl_enclave_protocol::{Channel, ServerLimits};

use crate::harness::{RawPeer, Running, late, never, quick_options, request, response};

async fn assert_others_are_served(server: &Running) {
    let channel = Channel::connect(server.endpoint(), quick_options()).await.unwrap();
    assert_eq!(channel.call(&b"other"[..], late()).await.unwrap(), b"other");
}

#[tokio::test]
async fn one_request_over_the_window_closes_the_connection() {
    let limits = ServerLimits { window: 4, ..ServerLimits::default() };
    let server = Running::start(limits, |request| async move {
        if request == b"hold" {
            never().await;
        }
        request
    })
    .await;
    let mut client = RawPeer::client(&server.endpoint()).await;
    client.send(&Frame::Batch((0..4).map(|id| request(id, b"hold")).collect())).await;
    client.send(&Frame::Batch(vec![request(4, b"hold")])).await;
    assert_eq!(client.receive().await, Some(Frame::Close(CloseReason::WindowExceeded)));
    assert_eq!(client.receive().await, None);
    assert_others_are_served(&server).await;
}

#[tokio::test]
async fn a_broken_rule_is_named_before_the_connection_closes() {
    let server = Running::echo(ServerLimits::default()).await;
    let mut answer_bytes = Vec::new();
    Frame::Batch(vec![response(1, b"")]).encode(&mut answer_bytes).unwrap();
    let cases: [(&[u8], CloseReason); 6] = [
        (b"GET / HTTP/1.1\r\n\r\n", CloseReason::Malformed),
        (b"NE\x01\x02\xff\xff\xff\xff", CloseReason::Malformed),
        (b"NE\x01\x02\x00\x00\x00\x00", CloseReason::Malformed),
        (b"NE\x02\x04\x00\x00\x00\x00", CloseReason::Malformed),
        (b"NE\x01\x05\x00\x00\x00\x00", CloseReason::UnexpectedFrame),
        (&answer_bytes, CloseReason::UnexpectedFrame),
    ];
    for (bytes, reason) in cases {
        let mut client = RawPeer::client(&server.endpoint()).await;
        client.send_bytes(bytes).await;
        assert_eq!(client.receive().await, Some(Frame::Close(reason)), "{bytes:02x?}");
        assert_eq!(client.receive().await, None);
    }
    assert_others_are_served(&server).await;
}

#[tokio::test]
async fn a_client_that_drips_is_ended_and_blocks_nobody() {
    let limits = ServerLimits { frame_timeout: Duration::from_millis(200), ..ServerLimits::default() };
    let server = Running::echo(limits).await;
    let mut dripping = RawPeer::client(&server.endpoint()).await;
    dripping.send_bytes(b"NE\x01\x02").await;
    assert_others_are_served(&server).await;
    assert_eq!(dripping.receive().await, Some(Frame::Close(CloseReason::TooSlow)));
}

#[tokio::test]
async fn a_client_that_gives_no_sign_of_life_is_ended() {
    let limits = ServerLimits { ping_interval: Duration::from_millis(20), ..ServerLimits::default() };
    let server = Running::echo(limits).await;
    let mut silent = RawPeer::client(&server.endpoint()).await;
    let mut frames = Vec::new();
    while let Some(frame) = silent.receive().await {
        frames.push(frame);
    }
    assert_eq!(frames.pop(), Some(Frame::Close(CloseReason::TooSlow)));
    assert!(!frames.is_empty() && frames.iter().all(|frame| *frame == Frame::Ping), "{frames:?}");
}

#[tokio::test]
async fn a_client_that_does_not_read_gives_its_memory_back() {
    let limits = ServerLimits {
        request_bytes_max: 64 * 1024,
        // Room for one request and its response: the slow reader holds all there is.
        memory_bytes_max: 64 * 1024 + 256 * 1024,
        write_timeout: Duration::from_millis(200),
        ..ServerLimits::default()
    };
    let server = Running::start(limits, |request| async move {
        if request == b"large" { vec![0; 256 * 1024] } else { request }
    })
    .await;
    let mut slow = RawPeer::client(&server.endpoint()).await;
    slow.send(&Frame::Batch((0..16).map(|id| request(id, b"large")).collect())).await;
    assert_others_are_served(&server).await;
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_their_turn() {
    let server = Running::echo(ServerLimits { connections_max: 1, ..ServerLimits::default() }).await;
    let first = RawPeer::client(&server.endpoint()).await;
    let waiting = assert_others_are_served(&server);
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        () = &mut waiting => panic!("served beside the first"),
        () = tokio::task::yield_now() => drop(first),
    }
    waiting.await;
}

#[tokio::test]
async fn the_server_itself_enforces_its_request_limit() {
    let server = Running::echo(ServerLimits { request_bytes_max: 10, ..ServerLimits::default() }).await;
    let mut client = RawPeer::client(&server.endpoint()).await;
    client.send(&Frame::Batch(vec![request(1, b"eleven bytes"), request(2, b"ten bytes")])).await;
    let mut answers = client.receive_batch().await;
    while answers.len() < 2 {
        answers.extend(client.receive_batch().await);
    }
    answers.sort_by_key(|message| message.request_id);
    let refused = Message { request_id: 1, body: Body::Refusal(Refusal::RequestTooLarge) };
    let echoed = Message { request_id: 2, body: Body::Response(Bytes::from_static(b"ten bytes")) };
    assert_eq!(answers, [refused, echoed]);
}

#[tokio::test]
async fn a_client_that_answers_pings_is_kept() {
    let limits = ServerLimits { ping_interval: Duration::from_millis(100), ..ServerLimits::default() };
    let server = Running::echo(limits).await;
    let mut client = RawPeer::client(&server.endpoint()).await;
    for _ in 0..5 {
        assert_eq!(client.receive().await, Some(Frame::Ping));
        client.send(&Frame::Pong).await;
    }
    client.send(&Frame::Batch(vec![request(1, b"alive")])).await;
    assert_eq!(client.receive_batch().await, [response(1, b"alive")]);
}

#[tokio::test]
async fn a_request_after_the_drain_is_refused_unhandled() {
    let limits = ServerLimits { drain_timeout: Duration::from_secs(2), ..ServerLimits::default() };
    let mut server = Running::start(limits, |_request| async { panic!("handled") }).await;
    let mut client = RawPeer::client(&server.endpoint()).await;
    server.shut_down();
    assert_eq!(client.receive().await, Some(Frame::Drain));
    client.send(&Frame::Batch(vec![request(1, b"too late")])).await;
    let refused = Message { request_id: 1, body: Body::Refusal(Refusal::ShuttingDown) };
    assert_eq!(client.receive_batch().await, [refused]);
    drop(client);
    server.ended().await;
}
