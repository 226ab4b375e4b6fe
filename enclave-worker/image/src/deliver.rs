//! Gives a booted enclave the files that its image cannot contain.

use std::time::Duration;

use nsl_enclave_init::boot::{self, ACCEPTED, ANSWER_BYTES_MAX, Contents, GREETING};
use nsl_enclave_protocol::{Endpoint, connect, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

/// Written at once: guests' kernels break larger vsock packets.
const CHUNK_BYTES: usize = 16 * 1024;

/// Why an enclave did not get its files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The files are not those that a worker needs.
    #[error("boot files")]
    Files(#[from] boot::Error),
    /// The enclave cannot be reached.
    #[error("enclave cannot be reached")]
    Connect(#[from] stream::Error),
    /// The connection broke.
    #[error("enclave broke the connection")]
    Io(#[from] std::io::Error),
    /// Something else than our init listens there.
    #[error("what listens there is not the init of an enclave")]
    Greeting,
    /// The enclave does not take the files.
    #[error("enclave refuses the boot files: {answer}")]
    Refused {
        /// Its answer.
        answer: String,
    },
    /// The enclave did not answer in time.
    #[error("enclave did not answer in time")]
    TimedOut,
}

/// Delivers the files to the enclave at `endpoint`, within `limit`.
pub async fn deliver(endpoint: &Endpoint, files: &Contents, limit: Duration) -> Result<(), Error> {
    let message = boot::encode(files)?;
    let deadline = Instant::now() + limit;
    let exchange = exchange(endpoint, &message, limit);
    let answer = timeout_at(deadline, exchange).await.map_err(|_elapsed| Error::TimedOut)??;
    if answer.trim_end() == ACCEPTED {
        Ok(())
    } else {
        Err(Error::Refused { answer: answer.trim_end().to_owned() })
    }
}

async fn exchange(endpoint: &Endpoint, message: &[u8], limit: Duration) -> Result<String, Error> {
    let mut stream = connect(endpoint, limit).await?;
    let mut greeting = [0; GREETING.len()];
    stream.read_exact(&mut greeting).await?;
    if greeting != *GREETING {
        return Err(Error::Greeting);
    }
    for chunk in message.chunks(CHUNK_BYTES) {
        stream.write_all(chunk).await?;
        stream.flush().await?;
    }
    let mut answer = Vec::new();
    // The enclave closes the connection after its answer.
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use nsl_enclave_init::boot::FILES;
    use nsl_enclave_protocol::Listener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn files() -> Contents {
        FILES.iter().map(|file| (file.name, vec![7; 100_000])).collect()
    }

    /// What [`deliver`] says of an enclave that greets and answers so, and what the enclave got.
    async fn deliver_to(greeting: &'static [u8], answer: &'static [u8]) -> (Result<(), Error>, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::Unix { path: folder.path().join("enclave.sock") };
        let listener = Listener::bind(&endpoint).await.unwrap();
        let length = boot::encode(&files()).unwrap().len();
        let enclave = async {
            let mut stream = listener.accept().await.unwrap();
            stream.write_all(greeting).await.unwrap();
            let mut message = vec![0; length];
            let got = stream.read_exact(&mut message).await;
            // Whoever was put off by the greeting is gone.
            let _ = stream.write_all(answer).await;
            got.map(|_| message).unwrap_or_default()
        };
        let files = files();
        tokio::join!(deliver(&endpoint, &files, LIMIT), enclave)
    }

    #[tokio::test]
    async fn an_enclave_gets_the_files_and_its_answer_is_heard() {
        let (delivered, message) = deliver_to(GREETING, b"accepted\n").await;
        delivered.unwrap();
        assert_eq!(boot::decode(&mut message.as_slice()).unwrap(), files());
        let (delivered, _) = deliver_to(GREETING, b"no, thanks\n").await;
        assert!(matches!(delivered, Err(Error::Refused { answer }) if answer == "no, thanks"));
        let (delivered, _) = deliver_to(GREETING, b"").await;
        assert!(matches!(delivered, Err(Error::Refused { answer }) if answer.is_empty()));
    }

    #[tokio::test]
    async fn nothing_is_told_to_a_stranger() {
        let (delivered, message) = deliver_to(b"HTTP/1.1 400", b"").await;
        assert!(matches!(delivered, Err(Error::Greeting)));
        assert!(message.is_empty());
    }
}
