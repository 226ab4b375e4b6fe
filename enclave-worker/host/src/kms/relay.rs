//! Carries workers' connections to KMS and nowhere else: to one address, few at a time, few bytes, for seconds.

use std::sync::Arc;
use std::time::Duration;

use nsl_enclave_protocol::{Endpoint, Listener, Stream, listener};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::KmsConfig;

/// Most bytes of a connection in one direction: a request and its answer take some 20 KiB each, a handshake 8.
const BYTES_MAX: u64 = 256 * 1024;
/// Pause after a failed accept, as of a listener that has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Takes connections at `endpoint` until `stop`.
pub async fn serve(
    endpoint: Endpoint,
    config: KmsConfig,
    stop: CancellationToken,
) -> Result<(), listener::Error> {
    let listener = Listener::bind(&endpoint).await?;
    tracing::info!(%endpoint, address = config.address, "relaying workers to KMS");
    let (tasks, address) = (TaskTracker::new(), Arc::<str>::from(config.address.as_str()));
    let places = Arc::new(Semaphore::new(usize::from(config.connections_max.get())));
    let timeout = Duration::from_millis(config.connection_timeout_ms.get());
    let taking = async {
        loop {
            // A connection that has no place waits in the kernel's backlog.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let worker = match listener.accept().await {
                Ok(worker) => worker,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot take a connection to KMS"
                    );
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let address = Arc::clone(&address);
            tasks.spawn(async move {
                match tokio::time::timeout(timeout, carry(worker, &address)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::warn!(%address, error = &error as &dyn std::error::Error, "KMS not reached");
                    }
                    Err(_elapsed) => tracing::warn!(%address, "a connection to KMS took too long"),
                }
                drop(place);
            });
        }
    };
    stop.run_until_cancelled(taking).await;
    Ok(())
}

async fn carry(worker: Stream, address: &str) -> std::io::Result<()> {
    let kms = TcpStream::connect(address).await?;
    let (from_worker, to_worker) = tokio::io::split(worker);
    let (from_kms, to_kms) = kms.into_split();
    // Either side may end first, and whatever the other still says is carried.
    let (there, back) = tokio::join!(pass(from_worker, to_kms), pass(from_kms, to_worker));
    // Broken off by either side is its business; both have heard of it.
    for error in [there, back].into_iter().filter_map(Result::err) {
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection to KMS broke off");
    }
    Ok(())
}

async fn pass(from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> std::io::Result<()> {
    let copied = tokio::io::copy(&mut from.take(BYTES_MAX), &mut to).await;
    // Also where it broke, or the other side would wait for more.
    let ended = to.shutdown().await;
    copied.and(ended)
}
