//! Keeps a channel connected: connect, greet, run, pause, again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::ChannelOptions;
use super::admission::{Admission, Newcomer};
use super::backoff::Backoff;
use super::connection::{Connection, ConnectionError};
use crate::endpoint::Endpoint;
use crate::frame::{Frame, Hello};
use crate::limits::SILENT_PING_INTERVALS;
use crate::link::{self, CONTROL_QUEUE, FrameReader, Outbox, Patience, write_frames};
use crate::stream::{self, Stream};

/// What the channel's handles see.
#[derive(Debug, Clone)]
pub(super) enum State {
    Ready(Arc<Connection>),
    Connecting(Option<Arc<ConnectionError>>),
}

impl State {
    pub(super) fn connection(&self) -> Option<Arc<Connection>> {
        match self {
            Self::Ready(connection) => Some(Arc::clone(connection)),
            Self::Connecting(_) => None,
        }
    }
}

/// What the supervisor and the handles share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    pub(super) options: ChannelOptions,
    pub(super) publisher: watch::Sender<State>,
    /// A pool waits here for any of its members.
    pub(super) changed: Arc<Notify>,
    /// Without one, every connection is admitted.
    pub(super) admission: Option<Arc<dyn Admission>>,
}

impl Shared {
    fn publish(&self, state: State) {
        self.publisher.send_replace(state);
        self.changed.notify_waiters();
    }

    fn publish_lost(&self, cause: &Arc<ConnectionError>) {
        debug!(endpoint = %self.endpoint, error = &**cause as &dyn std::error::Error, "not connected");
        self.publish(State::Connecting(Some(Arc::clone(cause))));
    }
}

/// A connection with its two halves, ready to run.
struct Established {
    connection: Arc<Connection>,
    reader: FrameReader<ReadHalf<Stream>>,
    sink: WriteHalf<Stream>,
    messages: mpsc::Receiver<link::Queued>,
}

/// Runs for as long as the channel has a handle.
pub(super) async fn supervise(shared: Arc<Shared>) -> Infallible {
    let options = &shared.options;
    let mut backoff = Backoff::new(options.reconnect_pause_min, options.reconnect_pause_max);
    loop {
        let mut lived = Duration::ZERO;
        match establish(&shared).await {
            Ok(established) => {
                let began = Instant::now();
                run(&shared, established).await;
                lived = began.elapsed();
            }
            Err(error) => shared.publish_lost(&Arc::new(error)),
        }
        tokio::time::sleep(backoff.pause_after(lived)).await;
    }
}

async fn establish(shared: &Shared) -> Result<Established, ConnectionError> {
    let options = &shared.options;
    let deadline = Instant::now() + options.connect_timeout;
    let stream = stream::connect(&shared.endpoint, options.connect_timeout).await?;
    let (source, sink) = tokio::io::split(stream);
    let patience = Patience { silence: options.connect_timeout, frame: options.frame_timeout };
    let mut reader = FrameReader::new(source, patience);
    let hello = match timeout_at(deadline, reader.next()).await {
        Ok(Ok(Frame::Hello(hello))) => hello,
        Ok(Ok(other)) => return Err(link::Error::Unexpected { kind: other.kind() }.into()),
        Ok(Err(error)) => return Err(error.into()),
        Err(_elapsed) => return Err(ConnectionError::NoHello),
    };
    reader.set_silence(silence_of(hello));
    let (queue, messages) = mpsc::channel(usize::from(hello.window));
    let connection = Arc::new(Connection::new(hello, queue));
    Ok(Established { connection, reader, sink, messages })
}

fn silence_of(hello: Hello) -> Duration {
    Duration::from_millis(u64::from(hello.ping_interval_ms)).saturating_mul(SILENT_PING_INTERVALS)
}

/// Reads and writes at the same time, so that neither side can make the other wait for ever.
async fn run(shared: &Shared, established: Established) {
    let Established { connection, mut reader, sink, messages } = established;
    let (controls, control_frames) = mpsc::channel(CONTROL_QUEUE);
    let outbox = Outbox { messages, controls: control_frames };
    let on_drain = || shared.publish_lost(&Arc::new(link::Error::Drained.into()));
    let write_timeout = shared.options.write_timeout;
    let error: ConnectionError = tokio::select! {
        error = admit(shared, &connection) => error,
        error = connection.read_answers(&mut reader, &controls, on_drain) => error.into(),
        outcome = write_frames(sink, outbox, write_timeout, |request_id| connection.admit(request_id)) => {
            outcome.err().unwrap_or(link::Error::Ended).into()
        }
        error = connection.stall() => error.into(),
    };
    let cause = Arc::new(error);
    // In this order, so that a caller who hears of the loss finds the connection gone and waits for the next.
    shared.publish_lost(&cause);
    connection.fail(&cause);
}

/// Opens the connection to callers once it is admitted; completes only if it is not.
async fn admit(shared: &Shared, connection: &Arc<Connection>) -> ConnectionError {
    if let Some(admission) = &shared.admission {
        let newcomer = Newcomer { endpoint: shared.endpoint.clone(), connection: Arc::clone(connection) };
        if let Err(reason) = admission.admit(newcomer).await {
            return ConnectionError::NotAdmitted(reason);
        }
    }
    shared.publish(State::Ready(Arc::clone(connection)));
    std::future::pending().await
}
