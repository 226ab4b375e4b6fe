//! Where a server accepts streams. A Unix socket is private to its owner from its first moment.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use thiserror::Error;
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio_vsock::{VsockAddr, VsockListener};

use crate::endpoint::{Endpoint, guest_initiated_path};
use crate::stream::Stream;

/// Connections that wait to be accepted: a whole pool of hosts reconnecting at once fits.
const BACKLOG: u32 = 128;

/// Whoever may write to the socket may order signatures: its owner alone.
const SOCKET_MODE: u32 = 0o600;

/// A bound, listening endpoint.
#[derive(Debug)]
pub struct Listener(Carrier);

#[derive(Debug)]
enum Carrier {
    Vsock(VsockListener),
    Unix(UnixListener),
}

/// Why an endpoint cannot be listened on.
#[derive(Debug, Error)]
pub enum Error {
    /// The kernel refused.
    #[error("cannot listen on {endpoint}")]
    Bind {
        /// What was to be bound.
        endpoint: Endpoint,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// Another process answers there.
    #[error("another process already listens on {endpoint}")]
    InUse {
        /// What was to be bound.
        endpoint: Endpoint,
    },
    /// The path holds something else than a socket, which is not ours to remove.
    #[error("the path of {endpoint} exists and is not a socket")]
    NotASocket {
        /// What was to be bound.
        endpoint: Endpoint,
    },
}

impl Listener {
    /// Listens on `endpoint`. For `uds-vsock://PATH:PORT` that is `PATH_PORT`, where the monitor hands over what
    /// its guest sends to the host's port. A socket file left behind by a dead process is replaced.
    pub async fn bind(endpoint: &Endpoint) -> Result<Self, Error> {
        match endpoint {
            Endpoint::Vsock { cid, port } => {
                let listener = VsockListener::bind(VsockAddr::new(*cid, *port))
                    .map_err(|source| Error::Bind { endpoint: endpoint.clone(), source })?;
                Ok(Self(Carrier::Vsock(listener)))
            }
            Endpoint::HybridVsock { path, port } => {
                bind_unix(endpoint, &guest_initiated_path(path, *port)).await
            }
            Endpoint::Unix { path } => bind_unix(endpoint, path).await,
        }
    }

    /// Waits for the next stream.
    pub async fn accept(&self) -> io::Result<Stream> {
        match &self.0 {
            Carrier::Vsock(listener) => Ok(Stream::from(listener.accept().await?.0)),
            Carrier::Unix(listener) => Ok(Stream::from(listener.accept().await?.0)),
        }
    }
}

async fn bind_unix(endpoint: &Endpoint, path: &Path) -> Result<Listener, Error> {
    let failed = |source| Error::Bind { endpoint: endpoint.clone(), source };
    let listener = match listen(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            require_stale(endpoint, path).await?;
            fs::remove_file(path).map_err(failed)?;
            listen(path)
        }
        outcome => outcome,
    };
    Ok(Listener(Carrier::Unix(listener.map_err(failed)?)))
}

/// The mode is set between bind and listen: before listen nobody can connect, so no moment is open to others.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    socket.listen(BACKLOG)
}

/// Only the kernel's "connection refused" proves that nobody is behind the file.
async fn require_stale(endpoint: &Endpoint, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Bind { endpoint: endpoint.clone(), source };
    if !fs::symlink_metadata(path).map_err(failed)?.file_type().is_socket() {
        return Err(Error::NotASocket { endpoint: endpoint.clone() });
    }
    match UnixStream::connect(path).await {
        Ok(_answered) => Err(Error::InUse { endpoint: endpoint.clone() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(source) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(path: &Path) -> Endpoint {
        Endpoint::Unix { path: path.to_path_buf() }
    }

    #[tokio::test]
    async fn a_socket_is_private_to_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.sock");
        let _listener = Listener::bind(&unix(&path)).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.sock");
        drop(Listener::bind(&unix(&path)).await.unwrap());
        let listener = Listener::bind(&unix(&path)).await.unwrap();
        assert!(matches!(Listener::bind(&unix(&path)).await, Err(Error::InUse { .. })));
        let (client, accepted) = tokio::join!(UnixStream::connect(&path), async {
            listener.accept().await.unwrap();
            listener.accept().await
        });
        assert!(client.is_ok() && accepted.is_ok());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(Listener::bind(&unix(&path)).await, Err(Error::NotASocket { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn a_host_listens_where_the_monitor_hands_guests_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vm.vsock");
        let endpoint = Endpoint::HybridVsock { path, port: 9001 };
        let _listener = Listener::bind(&endpoint).await.unwrap();
        assert!(folder.path().join("vm.vsock_9001").exists());
    }
}
