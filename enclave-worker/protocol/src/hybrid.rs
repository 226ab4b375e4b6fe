//! The hybrid vsock handshake of Firecracker, Cloud Hypervisor and vhost-device-vsock: the host writes
//! `CONNECT <port>\n` to the monitor's Unix socket and reads `OK …\n`; after that the stream is the guest's.

use std::io;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest answer line: `OK ` and a port of ten digits need 14 bytes; the rest is room for a monitor's words.
const ANSWER_BYTES_MAX: usize = 64;

/// Why the monitor did not hand the connection over.
#[derive(Debug, Error)]
pub enum Error {
    /// The monitor's socket failed.
    #[error("the monitor's socket failed")]
    Io(#[from] io::Error),
    /// Monitors close the socket when nothing listens on the guest's port.
    #[error("the monitor closed the connection: nothing listens on port {port} of the guest")]
    NobodyListens {
        /// The port asked for.
        port: u32,
    },
    /// The answer is not `OK`.
    #[error("the monitor answered {answer:?} instead of OK")]
    Refused {
        /// The answer, bounded.
        answer: String,
    },
    /// The answer has no end.
    #[error("the monitor's answer exceeds {ANSWER_BYTES_MAX} bytes")]
    AnswerTooLong,
}

/// Asks the monitor at the other end of `stream` for the guest's `port`.
pub(crate) async fn request_port<S>(stream: &mut S, port: u32) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(format!("CONNECT {port}\n").as_bytes()).await?;
    let answer = read_line(stream, port).await?;
    if answer == b"OK" || answer.starts_with(b"OK ") {
        return Ok(());
    }
    Err(Error::Refused { answer: String::from_utf8_lossy(&answer).into_owned() })
}

/// Reads byte by byte: what follows the line is already the guest's and must stay in the socket.
async fn read_line<S: AsyncRead + Unpin>(stream: &mut S, port: u32) -> Result<Vec<u8>, Error> {
    let mut line = Vec::with_capacity(ANSWER_BYTES_MAX);
    while line.len() < ANSWER_BYTES_MAX {
        match stream.read_u8().await {
            Ok(b'\n') => return Ok(line),
            Ok(byte) => line.push(byte),
            Err(error) if is_close(&error) => return Err(Error::NobodyListens { port }),
            Err(error) => return Err(Error::Io(error)),
        }
    }
    Err(Error::AnswerTooLong)
}

fn is_close(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(answer: &[u8]) -> (Result<(), Error>, Vec<u8>) {
        let (mut ours, mut monitors) = tokio::io::duplex(256);
        monitors.write_all(answer).await.unwrap();
        monitors.shutdown().await.unwrap();
        let outcome = request_port(&mut ours, 5005).await;
        let mut rest = Vec::new();
        ours.read_to_end(&mut rest).await.unwrap();
        drop(ours);
        let mut request = String::new();
        monitors.read_to_string(&mut request).await.unwrap();
        assert_eq!(request, "CONNECT 5005\n");
        (outcome, rest)
    }

    #[tokio::test]
    async fn bytes_behind_the_answer_belong_to_the_guest() {
        for (answer, guest) in [("OK 1024\nhello", "hello"), ("OK\n", ""), ("OK 5005\n\n", "\n")] {
            let (outcome, rest) = ask(answer.as_bytes()).await;
            assert!(outcome.is_ok(), "{answer:?}: {outcome:?}");
            assert_eq!(rest, guest.as_bytes());
        }
    }

    #[tokio::test]
    async fn other_answers_are_refused_by_name() {
        assert!(matches!(ask(b"").await.0, Err(Error::NobodyListens { port: 5005 })));
        assert!(matches!(ask(b"OK 10").await.0, Err(Error::NobodyListens { port: 5005 })));
        assert!(matches!(ask(b"OKAY\n").await.0, Err(Error::Refused { answer }) if answer == "OKAY"));
        assert!(matches!(ask(b"\xff\n").await.0, Err(Error::Refused { .. })));
        assert!(matches!(ask(&[b'O'; 200]).await.0, Err(Error::AnswerTooLong)));
    }
}
