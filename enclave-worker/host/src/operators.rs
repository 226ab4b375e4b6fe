//! What the operators decided: asked of the log's service, proven by the manifest, judged by at admission, and shown to
//! every worker, which proves it for itself.

use std::sync::{Arc, PoisonError, RwLock};

use nsl_client::{Client, operators};
use nsl_enclave_protocol::{Newcomer, Request, Response, channel};
use nsl_schemas::authority::{OperatorStatement, Operators, Signed};
use nsl_schemas::canonical;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Acts of one request: with all keys and signatures that there may be, an act has under 8 KiB and a request at most
/// 256 KiB.
const ACTS_PER_REQUEST: usize = 24;

/// Why a worker does not know what the operators decided.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShowError {
    #[error("worker did not answer")]
    Call(#[from] channel::Error),
    #[error("worker answered with something else")]
    Malformed(#[source] canonical::Error),
    #[error("worker took no notice of the operators' acts")]
    Unexpected,
    #[error("worker does not take the operators' acts ({code}): {message}")]
    Refused { code: String, message: String },
}

/// The acts as far as they are known here.
#[derive(Debug)]
pub(crate) struct Followed {
    client: Client,
    /// Held while the service is asked: one question is enough.
    asking: Mutex<()>,
    known: RwLock<Known>,
}

#[derive(Debug)]
struct Known {
    operators: Arc<Operators>,
    acts: Vec<Signed<OperatorStatement>>,
}

impl Followed {
    /// What the manifest says alone.
    pub(crate) fn new(client: Client, operators: Operators) -> Self {
        let known = RwLock::new(Known { operators: Arc::new(operators), acts: Vec::new() });
        Self { client, asking: Mutex::default(), known }
    }

    /// Asks for what was decided since.
    pub(crate) async fn refresh(&self) -> Result<(), operators::Error> {
        let _asking = self.asking.lock().await;
        let mut operators = Operators::clone(&self.operators());
        let acts = self.client.follow_operators(&mut operators).await?;
        if !acts.is_empty() {
            tracing::info!(sequence = operators.sequence(), epoch = operators.epoch(), "operators followed");
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.operators = Arc::new(operators);
            known.acts.extend(acts);
        }
        Ok(())
    }

    /// What they come to.
    pub(crate) fn operators(&self) -> Arc<Operators> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner).operators)
    }

    /// Shows a worker the acts after `told`, and returns how far it is then.
    pub(crate) async fn show(
        &self,
        worker: &Newcomer,
        told: u32,
        deadline: Instant,
    ) -> Result<u32, ShowError> {
        let acts = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let told = usize::try_from(told).unwrap_or(usize::MAX);
            known.acts.get(told..).unwrap_or_default().to_vec()
        };
        let mut sequence = told;
        for acts in acts.chunks(ACTS_PER_REQUEST) {
            let request = Request::Follow { acts: acts.to_vec() };
            let answer = worker.call(request.to_bytes(), deadline).await?;
            sequence = match Response::from_bytes(&answer).map_err(ShowError::Malformed)? {
                Response::Following { sequence, head_sha256: _ } => sequence,
                Response::Error { code, message } => return Err(ShowError::Refused { code, message }),
                _ => return Err(ShowError::Unexpected),
            };
        }
        Ok(sequence)
    }
}
