//! The channel: bytes that are no frames, frames that are none of a client's, and requests that are none.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nsl_enclave_protocol::frame::{Body, CloseReason, Decoder, Frame, Hello, Message};
use nsl_enclave_protocol::{Request, connect};
use nsl_schemas::bytes::Base64;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{ANY, attack, control, refused};
use crate::matrix::{Attack, Finding, Verdict};
use crate::parent::Parent;

const SERVER: &str = "enclave-worker/protocol/src/server/connection.rs";
const REQUEST: &str = "enclave-worker/protocol/src/request.rs";
/// For an answer, on a busy machine.
const PATIENT: Duration = Duration::from_mins(1);

/// Bytes on a connection of their own.
macro_rules! sent {
    ($name:literal, $by:literal, $bytes:expr) => {
        attack!($name, ANY, refused($by, SERVER), |parent, _| sent(parent, $bytes))
    };
}

/// A message that is no request.
macro_rules! asked {
    ($name:literal, $bytes:expr) => {
        attack!($name, ANY, refused("payload_invalid", REQUEST), async |parent: &Parent, _| {
            Ok(Finding::of_worker(&parent.worker().answer($bytes).await?))
        })
    };
}

pub(super) const ATTACKS: &[Attack] = &[
    control!("a question as a host asks it", ANY, "a description", REQUEST, async |parent: &Parent, _| {
        Ok(Finding::of_worker(&parent.worker().ask(&Request::Describe).await?))
    }),
    sent!("another protocol", "Malformed", |_| b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    sent!("a frame that claims four gigabytes", "Malformed", |_| b"NE\x01\x02\xff\xff\xff\xff".to_vec()),
    sent!("an empty batch", "Malformed", |_| b"NE\x01\x02\x00\x00\x00\x00".to_vec()),
    sent!("another version of the protocol", "Malformed", |_| b"NE\x02\x04\x00\x00\x00\x00".to_vec()),
    sent!("a frame that only servers send", "UnexpectedFrame", |_| b"NE\x01\x05\x00\x00\x00\x00".to_vec()),
    sent!("an answer instead of a question", "UnexpectedFrame", |_| frame(&Frame::Batch(vec![Message {
        request_id: 1,
        body: Body::Response(b"{}"[..].into()),
    }]))),
    sent!("more requests at once than the window lets", "WindowExceeded", |hello| {
        let requests = (0..=u64::from(hello.window)).map(|request_id| {
            let request = Request::Register { nonce: Base64(vec![1; 32]) }.to_bytes();
            Message { request_id, body: Body::Request(request.into()) }
        });
        let requests: Vec<_> = requests.collect();
        requests.chunks(64).flat_map(|batch| frame(&Frame::Batch(batch.to_vec()))).collect()
    }),
    asked!("nothing", Vec::new()),
    asked!("a question that no host has", br#"{"request":"export-key"}"#.to_vec()),
    asked!("a question with more in it", br#"{"request":"register","nonce":"AQID","more":1}"#.to_vec()),
    asked!("a hundred thousand open brackets", vec![b'['; 100_000]),
    asked!("bytes that are no text", vec![0xff; 1_000]),
    asked!(
        "a challenge that no document holds",
        Request::Register { nonce: Base64(vec![0; 513]) }.to_bytes()
    ),
];

fn frame(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes).expect("a frame within the limits");
    bytes
}

/// What the server says to these bytes before it closes the connection; and that it goes on with others.
async fn sent(parent: &Parent, bytes: fn(&Hello) -> Vec<u8>) -> Result<Finding> {
    let mut stream = connect(parent.worker().endpoint(), PATIENT).await?;
    let (mut decoder, mut chunk) = (Decoder::default(), [0; 4096]);
    let mut hello = None;
    let closing = loop {
        let count = tokio::time::timeout(PATIENT, stream.read(&mut chunk)).await??;
        anyhow::ensure!(count > 0, "closed without a word");
        let mut input = &chunk[..count];
        let mut reason = None;
        while let Some(frame) = decoder.feed(&mut input)? {
            match frame {
                Frame::Hello(said) => {
                    // The server may close while it is still being written to.
                    let _ = stream.write_all(&bytes(&said)).await;
                    hello = Some(said);
                }
                Frame::Close(said) => reason = Some(said),
                Frame::Batch(_) | Frame::Ping | Frame::Pong | Frame::Drain => {}
            }
        }
        if let Some(reason) = reason {
            break reason;
        }
    };
    hello.context("no hello")?;
    parent.worker().ask(&Request::Describe).await.context("others are not served any more")?;
    Ok(said(closing))
}

fn said(reason: CloseReason) -> Finding {
    Finding::new(Verdict::Refused, format!("{reason:?}"))
}
