//! Servers on sockets of their own, and raw peers that speak frames by hand.

use std::collections::VecDeque;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use nsl_enclave_protocol::frame::{Body, Decoder, Frame, Hello, Message};
use nsl_enclave_protocol::{ChannelOptions, Endpoint, Listener, ServerLimits, Stream, connect, serve};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Far enough not to be met by a healthy run on a busy machine.
pub(crate) const PATIENT: Duration = Duration::from_mins(1);

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_millis(50)
}

pub(crate) fn late() -> Instant {
    Instant::now() + PATIENT
}

pub(crate) fn quick_options() -> ChannelOptions {
    let reconnect_pause_max = Duration::from_millis(50);
    ChannelOptions {
        reconnect_pause_min: Duration::from_millis(1),
        reconnect_pause_max,
        ..Default::default()
    }
}

/// Hangs: somebody could end it, and nobody does.
pub(crate) async fn never() {
    tokio::sync::Notify::new().notified().await;
}

/// A folder with one socket path.
pub(crate) struct Socket {
    folder: TempDir,
}

impl Socket {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("worker.sock")
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::Unix { path: self.path() }
    }
}

/// A real server within this runtime.
pub(crate) struct Running {
    pub(crate) socket: Socket,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start<H, F>(limits: ServerLimits, handler: H) -> Self
    where
        H: Fn(Vec<u8>) -> F + Send + Sync + 'static,
        F: Future<Output = Vec<u8>> + Send + 'static,
    {
        Self::start_at(Socket::new(), limits, handler).await
    }

    pub(crate) async fn start_at<H, F>(socket: Socket, limits: ServerLimits, handler: H) -> Self
    where
        H: Fn(Vec<u8>) -> F + Send + Sync + 'static,
        F: Future<Output = Vec<u8>> + Send + 'static,
    {
        let listener = Listener::bind(&socket.endpoint()).await.unwrap();
        let (shutdown, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            serve(listener, handler, limits, stopped).await.unwrap();
        });
        Self { socket, shutdown: Some(shutdown), task }
    }

    pub(crate) async fn echo(limits: ServerLimits) -> Self {
        Self::start(limits, |request| async { request }).await
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.socket.endpoint()
    }

    /// Asks the server to end; [`Running::ended`] waits for it.
    pub(crate) fn shut_down(&mut self) {
        let _ = self.shutdown.take().unwrap().send(());
    }

    /// Waits for the end; the folder of the socket stays for a successor.
    pub(crate) async fn ended(self) -> Socket {
        self.task.await.unwrap();
        self.socket
    }
}

/// One end of a connection, spoken by hand.
pub(crate) struct RawPeer<S> {
    stream: S,
    decoder: Decoder,
    arrived: VecDeque<u8>,
}

impl RawPeer<Stream> {
    /// A client that has read the server's hello.
    pub(crate) async fn client(endpoint: &Endpoint) -> Self {
        let mut peer = Self::new(connect(endpoint, PATIENT).await.unwrap());
        assert!(matches!(peer.receive().await, Some(Frame::Hello(_))));
        peer
    }
}

impl RawPeer<UnixStream> {
    /// A server that has said its hello and promised a ping each minute.
    pub(crate) async fn server(listener: &UnixListener, window: u16) -> Self {
        Self::server_with(listener, window, 60_000).await
    }

    pub(crate) async fn server_with(listener: &UnixListener, window: u16, ping_interval_ms: u32) -> Self {
        Self::greet(listener, window, ping_interval_ms, 1000).await
    }

    /// A server of patience that takes requests of so many bytes.
    pub(crate) async fn server_taking(listener: &UnixListener, window: u16, request_bytes_max: u32) -> Self {
        Self::greet(listener, window, 60_000, request_bytes_max).await
    }

    async fn greet(
        listener: &UnixListener,
        window: u16,
        ping_interval_ms: u32,
        request_bytes_max: u32,
    ) -> Self {
        let mut peer = Self::new(listener.accept().await.unwrap().0);
        let hello = Hello { request_bytes_max, response_bytes_max: 1000, window, ping_interval_ms };
        peer.send(&Frame::Hello(hello)).await;
        peer
    }
}

impl<S: AsyncReadExt + AsyncWriteExt + Unpin> RawPeer<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, decoder: Decoder::default(), arrived: VecDeque::new() }
    }

    pub(crate) async fn send(&mut self, frame: &Frame) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).unwrap();
        self.send_bytes(&bytes).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// No more bytes from here; what comes back can still be read.
    pub(crate) async fn stop_sending(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next frame; `None` when the stream has ended.
    pub(crate) async fn receive(&mut self) -> Option<Frame> {
        loop {
            let bytes: Vec<u8> = self.arrived.drain(..).collect();
            let mut input = bytes.as_slice();
            let frame = self.decoder.feed(&mut input).unwrap();
            self.arrived.extend(input);
            if frame.is_some() {
                return frame;
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.arrived.extend(&chunk[..count]),
            }
        }
    }

    /// The next batch, pings passed over.
    pub(crate) async fn receive_batch(&mut self) -> Vec<Message> {
        loop {
            match self.receive().await {
                Some(Frame::Batch(messages)) => return messages,
                Some(Frame::Ping) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

pub(crate) fn request(request_id: u64, payload: &'static [u8]) -> Message {
    Message { request_id, body: Body::Request(Bytes::from_static(payload)) }
}

pub(crate) fn response(request_id: u64, payload: &'static [u8]) -> Message {
    Message { request_id, body: Body::Response(Bytes::from_static(payload)) }
}
