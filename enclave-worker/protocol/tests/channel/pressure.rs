//! Sides that are full: nobody's memory grows, and nobody's reading waits for their writing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use nsl_enclave_protocol::frame::{Body, Frame, Message};
use nsl_enclave_protocol::{Channel, ServerLimits};
use tokio::net::UnixListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::{PATIENT, RawPeer, Running, Socket, late, quick_options, response};

/// Far longer than a socket takes to be filled, so that who still writes then is stuck.
const STUCK: Duration = Duration::from_millis(200);
/// What sockets and pipes of this machine hold at most, both directions together.
const SOCKET_BYTES: usize = 1024 * 1024;

fn large(request_id: u64, bytes: usize) -> Frame {
    Frame::Batch(vec![Message { request_id, body: Body::Request(Bytes::from(vec![b'x'; bytes])) }])
}

/// The deadlock of two full queues: a server that stopped reading while it writes would never take the last request, and a
/// client that reads only afterwards would never read.
#[tokio::test]
async fn a_server_reads_on_while_its_answers_are_not_taken() {
    const REQUEST_BYTES: usize = 256 * 1024;
    const REQUESTS: u64 = 32;
    let server = Running::echo(ServerLimits::default()).await;
    let mut client = RawPeer::client(&server.endpoint()).await;
    let written = timeout(PATIENT, async {
        for id in 0..REQUESTS {
            client.send(&large(id, REQUEST_BYTES)).await;
        }
    });
    written.await.expect("the server took every request before one answer was read");
    let mut answered = 0;
    while answered < REQUESTS {
        answered += client.receive_batch().await.len() as u64;
    }
}

#[tokio::test]
async fn a_channel_reads_on_while_its_requests_are_not_taken() {
    const PINGS: usize = SOCKET_BYTES;
    let socket = Socket::new();
    let listener = UnixListener::bind(socket.path()).unwrap();
    let serving = async {
        let mut peer = RawPeer::server_taking(&listener, 64, 256 * 1024).await;
        let mut pings = Vec::new();
        for _ in 0..PINGS {
            Frame::Ping.encode(&mut pings).unwrap();
        }
        // The channel's requests fill the socket meanwhile, and its pongs cannot leave.
        timeout(PATIENT, peer.send_bytes(&pings)).await.expect("the channel read every ping");
        let mut answered = 0;
        while answered < 32 {
            match peer.receive().await {
                Some(Frame::Batch(asked)) => {
                    answered += asked.len();
                    let answers = asked.iter().map(|one| response(one.request_id, b"")).collect();
                    peer.send(&Frame::Batch(answers)).await;
                }
                Some(Frame::Pong) => {}
                other => panic!("{other:?}"),
            }
        }
        peer
    };
    let calling = async {
        let channel = Channel::connect(socket.endpoint(), quick_options()).await.unwrap();
        let mut calls = JoinSet::new();
        for _ in 0..32 {
            let channel = channel.clone();
            calls.spawn(async move { channel.call(vec![0; 256 * 1024], late()).await.unwrap() });
        }
        calls.join_all().await
    };
    let (answers, _peer) = tokio::join!(calling, serving);
    assert_eq!(answers.len(), 32);
}

#[tokio::test]
async fn a_server_without_memory_stops_reading_and_grows_no_further() {
    const REQUEST_BYTES: usize = 100 * 1024;
    const BUDGET_REQUESTS: usize = 3;
    let limits = ServerLimits {
        response_bytes_max: 1024,
        request_bytes_max: REQUEST_BYTES,
        memory_bytes_max: BUDGET_REQUESTS * (REQUEST_BYTES + 1024),
        ..ServerLimits::default()
    };
    let (release, taken) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (gate, counter) = (Arc::clone(&release), Arc::clone(&taken));
    let server = Running::start(limits, move |_| {
        let gate = Arc::clone(&gate);
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            gate.notified().await;
            vec![]
        }
    })
    .await;
    let mut client = RawPeer::client(&server.endpoint()).await;
    let mut frames = 0;
    while timeout(STUCK, client.send(&large(frames, REQUEST_BYTES))).await.is_ok() {
        frames += 1;
        assert!(frames < 64, "held back by nothing but the window");
    }
    // In work, in the frame being read, and in the socket.
    let accepted = usize::try_from(frames).unwrap() * REQUEST_BYTES;
    assert!(accepted <= (BUDGET_REQUESTS + 2) * REQUEST_BYTES + SOCKET_BYTES, "{accepted} bytes");
    assert_eq!(taken.load(Ordering::SeqCst), BUDGET_REQUESTS);
    // What was held back is served when memory is given back.
    while taken.load(Ordering::SeqCst) < usize::try_from(frames).unwrap() {
        release.notify_one();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn callers_without_a_credit_wait_and_take_no_place_in_the_queue() {
    const WINDOW: u16 = 2;
    const CALLERS: usize = 500;
    let socket = Socket::new();
    let listener = UnixListener::bind(socket.path()).unwrap();
    let serving = async {
        let mut peer = RawPeer::server(&listener, WINDOW).await;
        let mut asked = Vec::new();
        while asked.len() < usize::from(WINDOW) {
            asked.extend(peer.receive_batch().await);
        }
        assert!(timeout(STUCK, peer.receive()).await.is_err(), "more than the window");
        let mut answered = 0;
        while answered < CALLERS {
            assert!(asked.len() <= usize::from(WINDOW));
            answered += asked.len();
            let answers = asked.iter().map(|one| response(one.request_id, b"")).collect();
            peer.send(&Frame::Batch(answers)).await;
            if answered < CALLERS {
                asked = peer.receive_batch().await;
            }
        }
        peer
    };
    let calling = async {
        let channel = Channel::connect(socket.endpoint(), quick_options()).await.unwrap();
        let mut calls = JoinSet::new();
        for _ in 0..CALLERS {
            let channel = channel.clone();
            calls.spawn(async move { channel.call(&b"job"[..], late()).await.unwrap() });
        }
        calls.join_all().await
    };
    let (answers, _peer) = tokio::join!(calling, serving);
    assert_eq!(answers.len(), CALLERS);
}
