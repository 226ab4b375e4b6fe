//! One byte stream to a worker, whatever carries it, and how it is opened.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio_vsock::{VsockAddr, VsockStream};

use crate::endpoint::Endpoint;
use crate::hybrid;

/// A connected stream.
#[derive(Debug)]
pub struct Stream(Carrier);

#[derive(Debug)]
enum Carrier {
    Vsock(VsockStream),
    Unix(UnixStream),
}

/// Why no stream could be opened.
#[derive(Debug, Error)]
pub enum Error {
    /// The kernel refused the connection.
    #[error("cannot connect to {endpoint}")]
    Connect {
        /// What was to be reached.
        endpoint: Endpoint,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// The monitor did not hand the connection over to its guest.
    #[error("the monitor behind {endpoint} did not connect us to its guest")]
    Handshake {
        /// What was to be reached.
        endpoint: Endpoint,
        /// What went wrong in the handshake.
        #[source]
        source: hybrid::Error,
    },
    /// Nobody answered in time.
    #[error("{endpoint} did not accept a connection within {} ms", .timeout.as_millis())]
    TimedOut {
        /// What was to be reached.
        endpoint: Endpoint,
        /// How long was waited.
        timeout: Duration,
    },
}

/// Opens a stream to `endpoint`, the hybrid handshake included, within `timeout`.
pub async fn connect(endpoint: &Endpoint, timeout: Duration) -> Result<Stream, Error> {
    match tokio::time::timeout(timeout, open(endpoint)).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(Error::TimedOut { endpoint: endpoint.clone(), timeout }),
    }
}

async fn open(endpoint: &Endpoint) -> Result<Stream, Error> {
    let failed = |source| Error::Connect { endpoint: endpoint.clone(), source };
    match endpoint {
        Endpoint::Vsock { cid, port } => {
            let stream = VsockStream::connect(VsockAddr::new(*cid, *port)).await.map_err(failed)?;
            Ok(Stream::from(stream))
        }
        Endpoint::HybridVsock { path, port } => {
            let mut stream = UnixStream::connect(path).await.map_err(failed)?;
            hybrid::request_port(&mut stream, *port)
                .await
                .map_err(|source| Error::Handshake { endpoint: endpoint.clone(), source })?;
            Ok(Stream::from(stream))
        }
        Endpoint::Unix { path } => Ok(Stream::from(UnixStream::connect(path).await.map_err(failed)?)),
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self(Carrier::Unix(stream))
    }
}

impl From<VsockStream> for Stream {
    fn from(stream: VsockStream) -> Self {
        Self(Carrier::Vsock(stream))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Carrier::Vsock(stream) => Pin::new(stream).poll_read(context, buffer),
            Carrier::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Carrier::Vsock(stream) => Pin::new(stream).poll_write(context, bytes),
            Carrier::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Carrier::Vsock(stream) => Pin::new(stream).poll_flush(context),
            Carrier::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Carrier::Vsock(stream) => Pin::new(stream).poll_shutdown(context),
            Carrier::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
