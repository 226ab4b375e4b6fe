//! The channel through a monitor that speaks the hybrid vsock protocol.

use std::time::Duration;

use nsl_enclave_protocol::{Channel, Endpoint, ServerLimits, connect};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};

use crate::harness::{PATIENT, Running, Socket, late, quick_options};

const PORT: u32 = 5005;

/// Hands every connection that asks for [`PORT`] to `guest`, as Firecracker does, and closes all others.
async fn monitor(listener: UnixListener, guest: std::path::PathBuf) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let guest = guest.clone();
        tokio::spawn(async move {
            let mut host = BufReader::new(stream);
            let mut line = String::new();
            host.read_line(&mut line).await.unwrap();
            if line != format!("CONNECT {PORT}\n") {
                return;
            }
            let mut guest = UnixStream::connect(guest).await.unwrap();
            host.write_all(b"OK 1073741824\n").await.unwrap();
            let _ = copy_bidirectional(&mut host, &mut guest).await;
        });
    }
}

#[tokio::test]
async fn calls_pass_through_a_hybrid_socket() {
    let server = Running::echo(ServerLimits::default()).await;
    let socket = Socket::new();
    let listener = UnixListener::bind(socket.path()).unwrap();
    tokio::spawn(monitor(listener, server.socket.path()));
    let endpoint = Endpoint::HybridVsock { path: socket.path(), port: PORT };
    let channel = Channel::connect(endpoint, quick_options()).await.unwrap();
    for turn in 0..100_u8 {
        assert_eq!(channel.call(vec![turn; 1000], late()).await.unwrap(), [turn; 1000]);
    }
}

#[tokio::test]
async fn a_port_nobody_listens_on_is_named() {
    let socket = Socket::new();
    let listener = UnixListener::bind(socket.path()).unwrap();
    tokio::spawn(monitor(listener, socket.path()));
    let endpoint = Endpoint::HybridVsock { path: socket.path(), port: PORT + 1 };
    let error = connect(&endpoint, PATIENT).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("nothing listens on port 5006"), "{cause}");
}

#[tokio::test]
async fn a_monitor_that_does_not_answer_is_given_up() {
    let socket = Socket::new();
    let _listener = UnixListener::bind(socket.path()).unwrap();
    let endpoint = Endpoint::HybridVsock { path: socket.path(), port: PORT };
    let error = connect(&endpoint, Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, nsl_enclave_protocol::stream::Error::TimedOut { .. }), "{error:?}");
}
