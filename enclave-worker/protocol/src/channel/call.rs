//! One call over one live connection.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::Error;
use super::connection::{Connection, Lost};
use crate::endpoint::Endpoint;

/// Sends `request` and waits for its response until `deadline`.
pub(super) async fn call(
    endpoint: &Endpoint,
    connection: &Arc<Connection>,
    request: Bytes,
    deadline: Instant,
) -> Result<Vec<u8>, Error> {
    let (bytes, max) = (request.len(), connection.request_bytes_max());
    if bytes > max {
        return Err(Error::RequestTooLarge { endpoint: endpoint.clone(), bytes, max });
    }
    let credit = match timeout_at(deadline, connection.credit()).await {
        Ok(Ok(credit)) => credit,
        Ok(Err(lost)) => return Err(on_loss(endpoint, lost)),
        Err(_elapsed) => {
            connection.notice_stall();
            return Err(Error::NotSent { endpoint: endpoint.clone() });
        }
    };
    let (request_id, answer) = connection.enqueue(request, credit).map_err(|lost| on_loss(endpoint, lost))?;
    match timeout_at(deadline, answer).await {
        Ok(Ok(Ok(outcome))) => {
            outcome.map_err(|refusal| Error::Refused { endpoint: endpoint.clone(), refusal })
        }
        Ok(Ok(Err(lost))) => Err(on_loss(endpoint, lost)),
        // The connection is dropped without a word only when the runtime ends.
        Ok(Err(_dropped)) => Err(Error::DeadlineExceeded { endpoint: endpoint.clone() }),
        Err(_elapsed) => Err(give_up(endpoint, connection, request_id)),
    }
}

fn give_up(endpoint: &Endpoint, connection: &Connection, request_id: u64) -> Error {
    let endpoint = endpoint.clone();
    if connection.withdraw(request_id) {
        return Error::NotSent { endpoint };
    }
    connection.notice_stall();
    Error::DeadlineExceeded { endpoint }
}

fn on_loss(endpoint: &Endpoint, lost: Lost) -> Error {
    let endpoint = endpoint.clone();
    if lost.is_sent {
        return Error::Unavailable { endpoint, source: lost.cause };
    }
    Error::NotConnected { endpoint, source: Some(lost.cause) }
}
