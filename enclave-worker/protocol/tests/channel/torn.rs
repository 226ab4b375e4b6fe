//! Bytes that arrive in whatever pieces, in both directions over real sockets: torn, coalesced, one at a time, cut off.

use std::time::Duration;

use nsl_enclave_protocol::channel::{ConnectionError, Error};
use nsl_enclave_protocol::frame::{Frame, Message};
use nsl_enclave_protocol::link;
use nsl_enclave_protocol::{Channel, ServerLimits};
use tokio::net::UnixListener;

use crate::harness::{RawPeer, Running, Socket, late, quick_options, request, response};

fn encoded(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        frame.encode(&mut bytes).unwrap();
    }
    bytes
}

fn two_requests() -> Vec<Message> {
    vec![request(1, b"one"), request(2, b"")]
}

async fn receive_sorted(client: &mut RawPeer<nsl_enclave_protocol::Stream>, count: usize) -> Vec<Message> {
    let mut answers = Vec::new();
    while answers.len() < count {
        answers.extend(client.receive_batch().await);
    }
    answers.sort_by_key(|message| message.request_id);
    answers
}

/// Lets the other side read what is there before more comes.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test]
async fn a_server_understands_requests_torn_at_every_offset() {
    let server = Running::echo(ServerLimits::default()).await;
    let mut client = RawPeer::client(&server.endpoint()).await;
    let bytes = encoded(&[Frame::Pong, Frame::Batch(two_requests())]);
    for offset in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(offset);
        client.send_bytes(head).await;
        pause().await;
        client.send_bytes(tail).await;
        let echoed = [response(1, b"one"), response(2, b"")];
        assert_eq!(receive_sorted(&mut client, 2).await, echoed, "torn at {offset}");
    }
}

#[tokio::test]
async fn a_server_understands_one_byte_at_a_time_and_many_frames_at_once() {
    let server = Running::echo(ServerLimits::default()).await;
    let mut client = RawPeer::client(&server.endpoint()).await;
    let one = encoded(&[Frame::Batch(two_requests())]);
    for byte in &one {
        client.send_bytes(&[*byte]).await;
        pause().await;
    }
    assert_eq!(receive_sorted(&mut client, 2).await.len(), 2);
    let frames: Vec<Frame> =
        (0..60).flat_map(|id| [Frame::Pong, Frame::Batch(vec![request(id, b"x")])]).collect();
    client.send_bytes(&encoded(&frames)).await;
    let ids: Vec<u64> = receive_sorted(&mut client, 60).await.iter().map(|one| one.request_id).collect();
    assert_eq!(ids, (0..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_request_cut_off_anywhere_ends_its_connection_alone() {
    let server = Running::echo(ServerLimits::default()).await;
    let mut other = RawPeer::client(&server.endpoint()).await;
    let bytes = encoded(&[Frame::Batch(two_requests())]);
    for offset in 0..bytes.len() {
        let mut cut = RawPeer::client(&server.endpoint()).await;
        cut.send_bytes(&bytes[..offset]).await;
        cut.stop_sending().await;
        assert_eq!(cut.receive().await, None, "cut at {offset}");
        other.send(&Frame::Batch(vec![request(7, b"other")])).await;
        assert_eq!(other.receive_batch().await, [response(7, b"other")]);
    }
}

/// Answers the two calls of each of `turns` with `write`, which gets the encoded answers.
async fn serve_turns(
    listener: &UnixListener,
    turns: usize,
    mut write: impl AsyncFnMut(usize, &mut RawPeer<tokio::net::UnixStream>, &[u8]),
) -> RawPeer<tokio::net::UnixStream> {
    let mut peer = RawPeer::server(listener, 4).await;
    for turn in 0..turns {
        let mut asked = Vec::new();
        while asked.len() < 2 {
            asked.extend(peer.receive_batch().await);
        }
        let answers = asked.iter().map(|one| response(one.request_id, b"answer")).collect();
        let bytes = encoded(&[Frame::Ping, Frame::Batch(answers)]);
        write(turn, &mut peer, &bytes).await;
        assert_eq!(peer.receive().await, Some(Frame::Pong), "turn {turn}");
    }
    peer
}

async fn call_turns(socket: &Socket, turns: usize) {
    let channel = Channel::connect(socket.endpoint(), quick_options()).await.unwrap();
    for turn in 0..turns {
        let (one, two) = tokio::join!(channel.call(&b"one"[..], late()), channel.call(&b"two"[..], late()));
        assert_eq!((one.unwrap(), two.unwrap()), (b"answer".to_vec(), b"answer".to_vec()), "{turn}");
    }
}

#[tokio::test]
async fn a_channel_understands_answers_torn_at_every_offset() {
    let socket = Socket::new();
    let listener = UnixListener::bind(socket.path()).unwrap();
    let turns = encoded(&[Frame::Ping, Frame::Batch(vec![response(0, b"answer"), response(1, b"answer")])]);
    let serving = serve_turns(&listener, turns.len(), async |offset, peer, bytes| {
        let (head, tail) = bytes.split_at(offset);
        peer.send_bytes(head).await;
        pause().await;
        peer.send_bytes(tail).await;
    });
    let (_peer, ()) = tokio::join!(serving, call_turns(&socket, turns.len()));
}

#[tokio::test]
async fn a_channel_understands_one_byte_at_a_time() {
    let socket = Socket::new();
    let listener = UnixListener::bind(socket.path()).unwrap();
    let serving = serve_turns(&listener, 1, async |_, peer, bytes| {
        for byte in bytes {
            peer.send_bytes(&[*byte]).await;
            pause().await;
        }
    });
    let (_peer, ()) = tokio::join!(serving, call_turns(&socket, 1));
}

#[tokio::test]
async fn an_answer_cut_off_anywhere_leaves_the_outcome_unknown_and_the_channel_mends() {
    let socket = Socket::new();
    let listener = UnixListener::bind(socket.path()).unwrap();
    let answer = encoded(&[Frame::Batch(vec![response(0, b"answer")])]);
    let serving = async {
        for offset in 0..answer.len() {
            let mut peer = RawPeer::server(&listener, 4).await;
            peer.receive_batch().await;
            peer.send_bytes(&answer[..offset]).await;
        }
    };
    let calling = async {
        let channel = Channel::connect(socket.endpoint(), quick_options()).await.unwrap();
        for offset in 0..answer.len() {
            let Err(Error::Unavailable { source, .. }) = channel.call(&b"job"[..], late()).await else {
                panic!("cut at {offset}")
            };
            let is_cut = matches!(&*source, ConnectionError::Link(link::Error::Cut));
            assert_eq!(is_cut, offset > 0, "cut at {offset}: {source:?}");
        }
    };
    tokio::join!(serving, calling);
}
