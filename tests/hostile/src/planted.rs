//! Weaknesses that are put into a worker on purpose: a harness that does not see them accept would see nothing.
//!
//! They are here, around a shipped worker, and in no shipped code: where the worker says no, the weak one does it anyway.

use std::sync::Arc;

use nsl_enclave_protocol::{Request, Response};
use nsl_enclave_worker::nsm::software::SoftwareNsm;
use nsl_enclave_worker::seal::SealingKey;
use nsl_enclave_worker::sealing::Keyring;
use nsl_enclave_worker::{Genesis, Worker};
use nsl_schemas::authority::SealingProvider;
use nsl_schemas::bytes::Base64;
use nsl_schemas::job::EnclaveJob;
use nsl_schemas::outcome::{JobResult, SignedOutcome};
use nsl_schemas::sealing::{SealingAnswer, SealingStatus};
use nsl_test_site::{Site, key};

use crate::matrix::{Row, Verdict};
use crate::parent::PARENT;

/// What a weak worker does that it must not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// Signs every transfer that it can read.
    SignsAnything,
    /// Believes every act of the operators.
    BelievesAnyAct,
    /// Takes and gives sealing keys whoever asks.
    SharesWithAnybody,
}

impl Planted {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::SignsAnything, Self::BelievesAnyAct, Self::SharesWithAnybody];

    /// Whether the weakness lets the row's attack through.
    pub fn lets_through(self, row: &Row) -> bool {
        let expected = row.attack.expected;
        let is_job = expected.by.starts_with("worker_")
            || ["withheld_mode_required", "sealing_key_missing", "unavailable"].contains(&expected.by);
        expected.verdict == Verdict::Refused
            && match self {
                Self::SignsAnything => is_job && row.family != "sealing keys",
                Self::BelievesAnyAct => expected.by == "statement_invalid",
                Self::SharesWithAnybody => row.family == "sealing keys",
            }
    }
}

/// A worker with a weakness.
pub(crate) struct Weak {
    planted: Planted,
    worker: Arc<Worker>,
}

impl Weak {
    pub(crate) async fn start(planted: Planted, site: &Site, nsm: SoftwareNsm) -> anyhow::Result<Self> {
        let genesis = Genesis::obey(site.genesis.clone())?;
        let has_key = site.genesis.statement.sealing_provider == SealingProvider::Development;
        let keyring =
            if has_key { SealingKey::derive(&[42; 32], site.sha256())?.into() } else { Keyring::default() };
        let worker = Arc::new(Worker::start(genesis, Box::new(nsm), keyring).await?);
        Ok(Self { planted, worker })
    }

    /// What it answers: what the worker does, unless that is a no.
    pub(crate) fn answer(&self, request: Vec<u8>) -> impl Future<Output = Vec<u8>> + Send + use<> {
        let (planted, worker) = (self.planted, Arc::clone(&self.worker));
        async move {
            let answer = worker.answer(&request).await;
            let is_no = match Response::from_bytes(&answer) {
                Ok(Response::Outcome { outcome }) => matches!(outcome.result, JobResult::Refused { .. }),
                Ok(Response::Error { .. }) => true,
                _ => false,
            };
            let request = Request::from_bytes(&request).ok().filter(|_| is_no);
            request.and_then(|request| done_anyway(planted, request)).map_or(answer, |done| done.to_bytes())
        }
    }
}

fn done_anyway(planted: Planted, request: Request) -> Option<Response> {
    Some(match (planted, request) {
        (Planted::SignsAnything, Request::Perform { job, .. }) => signed(&job),
        (Planted::BelievesAnyAct, Request::Follow { acts }) => {
            let act = &acts.last()?.statement;
            Response::Following { sequence: act.sequence, head_sha256: act.previous_sha256 }
        }
        (Planted::SharesWithAnybody, Request::Sealing { .. }) => {
            let status = SealingStatus { keys: vec![], waiting: vec![] };
            Response::Sealing { answer: Box::new(SealingAnswer::Status { status }) }
        }
        _ => return None,
    })
}

/// With a signature that is none: whether it holds is for those to see who verify it.
fn signed(job: &EnclaveJob) -> Response {
    let result = JobResult::TransferSigned { tx_hash: "0x0".into(), signature: Base64(vec![0; 64]) };
    let request_sha256 = job.command.envelope.request_sha256();
    let outcome = SignedOutcome::sign(&key(PARENT), job.job_id, request_sha256, result, None);
    Response::Outcome { outcome: Box::new(outcome) }
}
