//! One request and its answer, on a connection of their own through the host's relay.

use std::sync::Arc;
use std::time::Duration;

use nsl_enclave_protocol::http::{Answer, AnswerReader};
use nsl_enclave_protocol::{Endpoint, Stream, connect};
use nsl_schemas::kms::HostName;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Error;

/// For all of it: KMS answers in tens of milliseconds, and a host waits 20 s for a worker's answer.
pub(super) const LIMIT: Duration = Duration::from_secs(8);
/// Read at a time.
const CHUNK_BYTES: usize = 4096;

pub(super) async fn exchange(
    relay: &Endpoint,
    config: Arc<ClientConfig>,
    endpoint: &HostName,
    request: &[u8],
) -> Result<Answer, Error> {
    let done = async {
        let stream = connect(relay, LIMIT).await?;
        let mut stream = handshake(stream, config, endpoint).await?;
        stream.write_all(request).await.map_err(Error::Stream)?;
        stream.flush().await.map_err(Error::Stream)?;
        read(&mut stream).await
    };
    tokio::time::timeout(LIMIT, done).await.map_err(|_| Error::TimedOut)?
}

async fn handshake(
    stream: Stream,
    config: Arc<ClientConfig>,
    endpoint: &HostName,
) -> Result<TlsStream<Stream>, Error> {
    let failed = |source| Error::Tls { endpoint: endpoint.to_string(), source };
    let name = ServerName::try_from(endpoint.as_str().to_owned())
        .map_err(|error| failed(std::io::Error::new(std::io::ErrorKind::InvalidInput, error)))?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => failed(error),
        _ => Error::Stream(error),
    })
}

async fn read(stream: &mut TlsStream<Stream>) -> Result<Answer, Error> {
    let (mut reader, mut chunk) = (AnswerReader::default(), [0; CHUNK_BYTES]);
    loop {
        let count = stream.read(&mut chunk).await.map_err(Error::Stream)?;
        if count == 0 {
            return Err(Error::Ended);
        }
        if let Some(answer) = reader.feed(chunk.get(..count).unwrap_or_default())? {
            return Ok(answer);
        }
    }
}
