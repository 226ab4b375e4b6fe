//! Tells the log about a worker: outcomes count only when the key that signs them is registered.

use nsl_client::{Client, SendError, prepared};
use nsl_schemas::bytes::Base64;
use nsl_schemas::command::worker::Register;
use nsl_schemas::errors;
use nsl_schemas::ids;
use nsl_schemas::nkey::PublicKey;

/// Why a worker could not be registered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot prepare the registration")]
    Prepare(#[from] prepared::Error),
    #[error("cannot register the worker")]
    Send(#[from] SendError),
}

/// Registers a worker's key. Each attempt is a new command: the worker's id follows from its key, so `worker_exists`
/// means that exactly this key is registered, whereas an id used before would not tell how that attempt had ended.
pub(crate) async fn register(client: &Client, key: PublicKey, attestation: Base64) -> Result<(), Error> {
    let subject = client.subject("worker", &ids::worker_id(&key), "register")?;
    let command = client.prepare(&subject, &Register { key, attestation })?;
    match client.send(&command).await {
        Ok(_) => Ok(()),
        Err(SendError::Rejected { code, .. }) if code == errors::WORKER_EXISTS.code => Ok(()),
        Err(error) => Err(error.into()),
    }
}
