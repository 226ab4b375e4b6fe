//! The codec against every way bytes can arrive, and against bytes that are none of ours.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::limits::{MESSAGE_HEADER_BYTES, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, WINDOW_MAX};

fn message() -> impl Strategy<Value = Message> {
    let payload = || prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from);
    let refusal = prop::sample::select(vec![
        Refusal::ShuttingDown,
        Refusal::RequestTooLarge,
        Refusal::ResponseTooLarge,
        Refusal::HandlerFailed,
    ]);
    let body = prop_oneof![
        payload().prop_map(Body::Request),
        payload().prop_map(Body::Response),
        refusal.prop_map(Body::Refusal),
    ];
    (any::<u64>(), body).prop_map(|(request_id, body)| Message { request_id, body })
}

fn frame() -> impl Strategy<Value = Frame> {
    let hello = (1..=65_536_u32, 1..=262_144_u32, 1..=WINDOW_MAX, 1..=60_000_u32).prop_map(
        |(request_bytes_max, response_bytes_max, window, ping_interval_ms)| {
            Frame::Hello(Hello { request_bytes_max, response_bytes_max, window, ping_interval_ms })
        },
    );
    let reasons = CloseReason::ALL.to_vec();
    prop_oneof![
        hello,
        prop::collection::vec(message(), 1..=MESSAGES_PER_FRAME_MAX).prop_map(Frame::Batch),
        Just(Frame::Ping),
        Just(Frame::Pong),
        Just(Frame::Drain),
        prop::sample::select(reasons).prop_map(Frame::Close),
    ]
}

fn encoded(frames: &[Frame]) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        frame.encode(&mut out).unwrap();
    }
    out
}

fn decode_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Frame>, Error> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for mut piece in pieces {
        while let Some(frame) = decoder.feed(&mut piece)? {
            frames.push(frame);
        }
        assert!(piece.is_empty());
    }
    assert!(!decoder.is_within_frame());
    Ok(frames)
}

fn decode_one(bytes: &[u8]) -> Result<Option<Frame>, Error> {
    Decoder::default().feed(&mut &bytes[..])
}

fn header(kind: Kind, length: u32) -> Vec<u8> {
    let mut out = Vec::new();
    put_header(kind, &mut out);
    out[4..].copy_from_slice(&length.to_be_bytes());
    out
}

fn batch_of(body: &[u8]) -> Vec<u8> {
    let mut out = header(Kind::Batch, u32::try_from(body.len()).unwrap());
    out.extend_from_slice(body);
    out
}

fn request(request_id: u64, bytes: usize) -> Message {
    Message { request_id, body: Body::Request(Bytes::from(vec![7; bytes])) }
}

proptest! {
    #[test]
    fn coalesced_frames_come_back_in_order_whatever_the_pieces(
        frames in prop::collection::vec(frame(), 1..6),
        piece_bytes in 1..600_usize,
    ) {
        let bytes = encoded(&frames);
        prop_assert_eq!(decode_pieces(bytes.chunks(piece_bytes)).unwrap(), frames.clone());
        prop_assert_eq!(decode_pieces([bytes.as_slice()]).unwrap(), frames);
    }

    #[test]
    fn garbage_neither_panics_nor_grows(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut decoder = Decoder::default();
        let mut input = bytes.as_slice();
        while let Ok(Some(_)) = decoder.feed(&mut input) {}
        prop_assert!(decoder.buffer_capacity() <= 2 * bytes.len().max(HEADER_BYTES));
    }

    #[test]
    fn a_damaged_frame_never_disturbs_the_decoder_twice(
        frame in frame(), at in any::<prop::sample::Index>(), flip in 1..=255_u8,
    ) {
        let mut bytes = encoded(&[frame]);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let mut decoder = Decoder::default();
        if let Err(first) = decoder.feed(&mut bytes.as_slice()) {
            let again = decoder.feed(&mut encoded(&[Frame::Ping]).as_slice());
            prop_assert_eq!(again, Err(first));
        }
    }
}

#[test]
fn a_stream_torn_at_every_offset_decodes_alike() {
    let frames = [
        Frame::Hello(Hello { request_bytes_max: 1, response_bytes_max: 2, window: 3, ping_interval_ms: 4 }),
        Frame::Batch(vec![request(1, 0), request(2, 40), request(u64::MAX, 1)]),
        Frame::Ping,
        Frame::Close(CloseReason::WindowExceeded),
    ];
    let bytes = encoded(&frames);
    for cut in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(decode_pieces([head, tail]).unwrap(), frames, "torn at {cut}");
    }
    assert_eq!(decode_pieces(bytes.chunks(1)).unwrap(), frames);
}

#[test]
fn the_format_is_fixed_byte_for_byte() {
    let frame = Frame::Batch(vec![
        Message { request_id: 258, body: Body::Request(Bytes::from_static(b"hi")) },
        Message { request_id: 1, body: Body::Refusal(Refusal::HandlerFailed) },
    ]);
    let expected = [
        b"NE\x01\x02\x00\x00\x00\x1d".as_slice(),
        b"\0\0\0\0\0\0\x01\x02\x01\0\0\0\x02hi",
        b"\0\0\0\0\0\0\0\x01\x03\0\0\0\x01\x04",
    ]
    .concat();
    assert_eq!(encoded(&[frame]), expected);
    let hello = Hello {
        request_bytes_max: 65_536,
        response_bytes_max: 262_144,
        window: 64,
        ping_interval_ms: 15_000,
    };
    assert_eq!(
        encoded(&[Frame::Hello(hello)]),
        b"NE\x01\x01\x00\x00\x00\x0e\x00\x01\x00\x00\x00\x04\x00\x00\x00\x40\x00\x00\x3a\x98"
    );
}

#[test]
fn headers_that_are_not_ours_are_refused_before_their_body() {
    let length = |kind: Kind, found, min, max| Error::BodyLength { kind: kind.name(), found, min, max };
    let batch_max = u32::try_from(BATCH_BODY_BYTES_MAX).unwrap();
    let cases = [
        (b"GET / HTTP/1.1".to_vec(), Error::BadMagic { found: *b"GE" }),
        (b"NE\x02\x03\0\0\0\0".to_vec(), Error::UnsupportedVersion { found: 2 }),
        (b"NE\x01\x00\0\0\0\0".to_vec(), Error::UnknownFrameKind { found: 0 }),
        (b"NE\x01\x07\0\0\0\0".to_vec(), Error::UnknownFrameKind { found: 7 }),
        (header(Kind::Ping, 1), length(Kind::Ping, 1, 0, 0)),
        (header(Kind::Hello, 13), length(Kind::Hello, 13, 14, 14)),
        (header(Kind::Close, 0), length(Kind::Close, 0, 1, 1)),
        (header(Kind::Batch, 0), length(Kind::Batch, 0, MESSAGE_HEADER_BYTES, BATCH_BODY_BYTES_MAX)),
        (
            header(Kind::Batch, batch_max + 1),
            length(Kind::Batch, batch_max + 1, MESSAGE_HEADER_BYTES, BATCH_BODY_BYTES_MAX),
        ),
        (
            header(Kind::Batch, u32::MAX),
            length(Kind::Batch, u32::MAX, MESSAGE_HEADER_BYTES, BATCH_BODY_BYTES_MAX),
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(decode_one(&bytes), Err(expected), "{bytes:02x?}");
    }
}

#[test]
fn batches_with_wrong_insides_are_refused_by_name() {
    let message = |kind: u8, length: u32, payload: &[u8]| {
        [[0; 8].as_slice(), &[kind], &length.to_be_bytes(), payload].concat()
    };
    let cases = [
        (message(9, 0, b""), Error::UnknownMessageKind { found: 9 }),
        (message(1, 5, b"four"), Error::Truncated { kind: "batch" }),
        (message(1, 3, b"four"), Error::Truncated { kind: "batch" }),
        (
            message(1, u32::MAX, b""),
            Error::MessageTooLarge { kind: "request", found: 4_294_967_295, max: REQUEST_BYTES_MAX },
        ),
        (
            message(2, 262_145, b""),
            Error::MessageTooLarge { kind: "response", found: 262_145, max: RESPONSE_BYTES_MAX },
        ),
        (message(3, 2, b"ab"), Error::MessageTooLarge { kind: "refusal", found: 2, max: 1 }),
        (message(3, 0, b""), Error::MalformedRefusal),
        (message(3, 1, b"\x09"), Error::MalformedRefusal),
        (message(1, 0, b"").repeat(65), Error::TooManyMessages),
    ];
    for (body, expected) in cases {
        assert_eq!(decode_one(&batch_of(&body)), Err(expected), "{body:02x?}");
    }
}

#[test]
fn hellos_outside_the_protocols_limits_are_refused_by_field() {
    let good = Hello { request_bytes_max: 1, response_bytes_max: 1, window: 1, ping_interval_ms: 1 };
    let cases = [
        (Hello { request_bytes_max: 0, ..good }, "request_bytes_max"),
        (Hello { request_bytes_max: 262_145, ..good }, "request_bytes_max"),
        (Hello { response_bytes_max: 262_145, ..good }, "response_bytes_max"),
        (Hello { window: 0, ..good }, "window"),
        (Hello { window: WINDOW_MAX + 1, ..good }, "window"),
        (Hello { ping_interval_ms: 60_001, ..good }, "ping_interval_ms"),
    ];
    for (hello, expected) in cases {
        let outcome = decode_one(&encoded(&[Frame::Hello(hello)]));
        assert!(
            matches!(outcome, Err(Error::InvalidHello { field, .. }) if field == expected),
            "{hello:?}: {outcome:?}"
        );
    }
}

#[test]
fn an_announced_length_costs_nothing_until_its_bytes_arrive() {
    let mut decoder = Decoder::default();
    let announced = header(Kind::Batch, u32::try_from(BATCH_BODY_BYTES_MAX).unwrap());
    assert_eq!(decoder.feed(&mut announced.as_slice()), Ok(None));
    assert!(decoder.buffer_capacity() < 64);
}

#[test]
fn a_large_frames_memory_is_given_back() {
    let response = Message { request_id: 1, body: Body::Response(Bytes::from(vec![0; RESPONSE_BYTES_MAX])) };
    let mut decoder = Decoder::default();
    let bytes = encoded(&[Frame::Batch(vec![response])]);
    assert!(decoder.feed(&mut bytes.as_slice()).unwrap().is_some());
    assert!(decoder.buffer_capacity() <= 64 * 1024);
}

#[test]
fn an_encoder_takes_exactly_what_a_decoder_does() {
    let mut batch = BatchEncoder::default();
    assert_eq!(batch.frame(), b"");
    let too_large = batch.push(&request(1, REQUEST_BYTES_MAX + 1));
    assert!(matches!(too_large, Err(Error::MessageTooLarge { kind: "request", .. })));
    assert!(batch.is_empty());
    for id in 0..4 {
        let message = request(id, RESPONSE_BYTES_MAX / 4);
        if batch.has_room_for(&message) {
            batch.push(&message).unwrap();
        } else {
            assert!(batch.push(&message).is_err());
        }
    }
    assert!(matches!(decode_one(batch.frame()), Ok(Some(Frame::Batch(messages))) if messages.len() == 3));
    batch.clear();
    for id in 0..64 {
        batch.push(&request(id, 0)).unwrap();
    }
    assert_eq!(batch.push(&request(64, 0)), Err(Error::TooManyMessages));
    assert!(!batch.has_room_for(&request(64, 0)));
    assert!(matches!(decode_one(batch.frame()), Ok(Some(Frame::Batch(messages))) if messages.len() == 64));
}

#[test]
fn payloads_stay_out_of_debug_output() {
    let secret = Message { request_id: 1, body: Body::Request(Bytes::from_static(b"hunter2")) };
    let shown = format!("{secret:?}");
    assert!(shown.contains("7 bytes") && !shown.contains("hunter2"), "{shown}");
}
