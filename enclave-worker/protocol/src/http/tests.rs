use proptest::prelude::*;

use super::*;

fn read(bytes: &[u8]) -> Result<Option<Answer>, Error> {
    AnswerReader::default().feed(bytes)
}

fn with_headers(headers: &str) -> Result<Option<Answer>, Error> {
    read(format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\nab").as_bytes())
}

#[test]
fn a_request_says_where_it_ends() {
    let bytes = request("POST", "/", &[("host", "kms.test"), ("x-amz-date", "now")], b"{}");
    let expected = "POST / HTTP/1.1\r\nhost: kms.test\r\nx-amz-date: now\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    assert_eq!(bytes, expected.as_bytes());
}

#[test]
fn an_answer_is_read_by_its_length() {
    let answer = with_headers("Content-Type: text/plain\r\ncontent-LENGTH:\t2 ").unwrap().unwrap();
    assert_eq!(answer, Answer { status: 200, body: b"ab".to_vec() });
    let empty = read(b"HTTP/1.1 400\r\nContent-Length: 0\r\n\r\n").unwrap().unwrap();
    assert_eq!(empty, Answer { status: 400, body: vec![] });
    assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"), Ok(None));
}

#[test]
fn what_is_not_one_plain_answer_is_refused_by_name() {
    assert_eq!(with_headers("Content-Length: 1"), Err(Error::Excess));
    assert_eq!(with_headers("Date: now"), Err(Error::ContentLength));
    for twice in ["Content-Length: 2\r\nContent-Length: 2", "Content-Length: +2", "Content-Length: 2, 2"] {
        assert_eq!(with_headers(twice), Err(Error::ContentLength), "{twice}");
    }
    assert_eq!(with_headers("Transfer-Encoding: chunked"), Err(Error::TransferEncoding));
    assert_eq!(with_headers("Content-Length: 65537"), Err(Error::BodyTooLong { bytes: 65_537 }));
    for header in ["no colon", ": x", "a b: x", "a: x\r\n folded: y", "a: x\ny", "Content-Length : 2"] {
        assert_eq!(with_headers(header), Err(Error::Header), "{header:?}");
    }
    assert_eq!(with_headers(&vec!["a: b"; HEADERS_MAX + 1].join("\r\n")), Err(Error::TooManyHeaders));
    for line in
        ["HTTP/1.0 200 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 20", "HTTP/1.1 +20", "HTTP/1.1 600 X", "", "\u{e9}"]
    {
        assert_eq!(read(format!("{line}\r\n\r\n").as_bytes()), Err(Error::StatusLine), "{line:?}");
    }
    assert_eq!(read(b"HTTP/1.1 100 Continue\r\n\r\n"), Err(Error::Interim { status: 100 }));
}

#[test]
fn a_head_without_end_is_given_up() {
    let mut reader = AnswerReader::default();
    let fed = (0..100).find_map(|_| reader.feed(&[b'a'; 1024]).err());
    assert_eq!(fed, Some(Error::HeadTooLong));
    assert!(reader.bytes.len() <= HEAD_BYTES_MAX + 1024);
    let late = [vec![b'a'; HEAD_BYTES_MAX + 1], HEAD_END.to_vec()].concat();
    assert_eq!(read(&late), Err(Error::HeadTooLong));
}

proptest! {
    #[test]
    fn an_answer_is_the_same_in_whatever_pieces_it_comes(
        status in 200_u16..600,
        body in proptest::collection::vec(any::<u8>(), 0..300),
        piece in 1_usize..50,
    ) {
        let mut bytes = format!("HTTP/1.1 {status} Any\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(&body);
        let mut reader = AnswerReader::default();
        let mut answer = None;
        for piece in bytes.chunks(piece) {
            prop_assert!(answer.is_none());
            answer = reader.feed(piece).unwrap();
        }
        prop_assert_eq!(answer, Some(Answer { status, body }));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1_usize..50) {
        let mut reader = AnswerReader::default();
        for piece in bytes.chunks(piece) {
            if reader.feed(piece).is_err() {
                break;
            }
        }
    }
}
