//! HTTP/1.1 as far as one request and its answer on a connection of their own need it; bytes in, bytes out, no I/O.
//!
//! Answers have a `Content-Length`: whoever may end an answer by closing could cut it short. Chunks, interim answers and
//! folded headers are refused by name; neither KMS nor the instance's metadata service sends any to such a request.

use std::fmt::Write as _;

use thiserror::Error;

/// Longest head of an answer: AWS sends a few short headers.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most headers of an answer.
pub const HEADERS_MAX: usize = 64;
/// Longest body of an answer: a wrapped key and an envelope in base64 take 12 KiB.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// What ends a head.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Why an answer is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The head has no end within its limit.
    #[error("head of the answer has more than {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    /// The head is not text, or its first line is none of HTTP/1.1.
    #[error("status line of the answer is not one of HTTP/1.1")]
    StatusLine,
    /// An answer before the answer.
    #[error("interim answer {status}")]
    Interim {
        /// Its status.
        status: u16,
    },
    /// Too many headers.
    #[error("answer has more than {HEADERS_MAX} headers")]
    TooManyHeaders,
    /// A line that is no header.
    #[error("a header of the answer is malformed")]
    Header,
    /// The body comes in chunks.
    #[error("body of the answer has a transfer encoding")]
    TransferEncoding,
    /// There is no length, more than one, or one that is no number.
    #[error("answer has not one Content-Length")]
    ContentLength,
    /// The body is longer than its limit.
    #[error("body of the answer has {bytes} bytes, more than {BODY_BYTES_MAX}")]
    BodyTooLong {
        /// As announced.
        bytes: usize,
    },
    /// More came than was announced.
    #[error("answer goes on after its end")]
    Excess,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status, 200 to 599.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
}

/// A request with its headers in their order. Method, path and headers are the caller's own and hold no line breaks.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in headers {
        // Writing to a string does not fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let _ = write!(head, "content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Reads an answer from the pieces that it comes in; holds at most one head and one body.
#[derive(Debug, Default)]
pub struct AnswerReader {
    bytes: Vec<u8>,
    /// The head's end begins at none of the bytes before: whoever drips bytes makes nobody look at them again.
    searched: usize,
    head: Option<Head>,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    status: u16,
    /// Where the body begins.
    body_at: usize,
    body_bytes: usize,
}

impl AnswerReader {
    /// Takes the next piece; the answer, once it is whole.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Option<Answer>, Error> {
        self.bytes.extend_from_slice(piece);
        let head = match self.head {
            Some(head) => head,
            None => match self.read_head()? {
                Some(head) => *self.head.insert(head),
                None => return Ok(None),
            },
        };
        let body = self.bytes.get(head.body_at..).unwrap_or_default();
        match body.len().cmp(&head.body_bytes) {
            std::cmp::Ordering::Less => Ok(None),
            std::cmp::Ordering::Equal => Ok(Some(Answer { status: head.status, body: body.to_vec() })),
            std::cmp::Ordering::Greater => Err(Error::Excess),
        }
    }

    fn read_head(&mut self) -> Result<Option<Head>, Error> {
        let unsearched = self.bytes.get(self.searched..).unwrap_or_default();
        let found = unsearched.windows(HEAD_END.len()).position(|window| window == HEAD_END);
        let Some(end) = found.map(|at| self.searched + at) else {
            self.searched = self.bytes.len().saturating_sub(HEAD_END.len() - 1);
            return if self.bytes.len() > HEAD_BYTES_MAX { Err(Error::HeadTooLong) } else { Ok(None) };
        };
        if end > HEAD_BYTES_MAX {
            return Err(Error::HeadTooLong);
        }
        let text = self.bytes.get(..end).unwrap_or_default();
        let text = str::from_utf8(text).map_err(|_| Error::StatusLine)?;
        let mut lines = text.split("\r\n");
        let status = status(lines.next().unwrap_or_default())?;
        let body_bytes = content_length(lines)?;
        Ok(Some(Head { status, body_at: end + HEAD_END.len(), body_bytes }))
    }
}

/// The status of `HTTP/1.1 200 OK`; the words after it may be missing.
fn status(line: &str) -> Result<u16, Error> {
    let rest = line.strip_prefix("HTTP/1.1 ").ok_or(Error::StatusLine)?;
    let (digits, reason) = rest.split_at_checked(3).ok_or(Error::StatusLine)?;
    if !(reason.is_empty() || reason.starts_with(' ')) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::StatusLine);
    }
    match digits.parse() {
        Ok(status @ 100..200) => Err(Error::Interim { status }),
        Ok(status @ 200..600) => Ok(status),
        _ => Err(Error::StatusLine),
    }
}

/// The length that the headers announce.
fn content_length<'a>(lines: impl Iterator<Item = &'a str>) -> Result<usize, Error> {
    let mut length = None;
    for (index, line) in lines.enumerate() {
        if index >= HEADERS_MAX {
            return Err(Error::TooManyHeaders);
        }
        let (name, value) = line.split_once(':').ok_or(Error::Header)?;
        if name.is_empty()
            || !name.bytes().all(is_token)
            || value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')
        {
            return Err(Error::Header);
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(Error::TransferEncoding);
        }
        if name.eq_ignore_ascii_case("content-length") {
            let value = value.trim_matches([' ', '\t']);
            let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let bytes = value.parse().ok().filter(|_| is_number).ok_or(Error::ContentLength)?;
            if length.replace(bytes).is_some() {
                return Err(Error::ContentLength);
            }
        }
    }
    match length.ok_or(Error::ContentLength)? {
        bytes if bytes > BODY_BYTES_MAX => Err(Error::BodyTooLong { bytes }),
        bytes => Ok(bytes),
    }
}

/// What a header's name is made of, by RFC 9110.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
