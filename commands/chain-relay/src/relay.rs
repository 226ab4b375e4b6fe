//! Follows one transaction to its end: asks and submits as the lifecycle says, and reads from its block how it ended.

use std::num::TryFromIntError;
use std::sync::Arc;
use std::time::Duration;

use nsl_neo::Hash256;
use nsl_neo_rpc::{Client, Submission, VmState};
use nsl_schemas::command::wallet;
use nsl_schemas::number::Datoshi;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::failpoints;
use crate::job::Job;
use crate::lifecycle::{Expiry, Input, Lifecycle, Step, cut};
use crate::metrics::Metrics;
use crate::watchlist::{Holder, Sighting};

/// Questions put to the node at once by all followers together: enough to hide its latency, few enough that a thousand
/// jobs that begin at once do not drown it.
const NODE_QUESTIONS_MAX: usize = 16;

/// Longest wait after a node gave no answer several times: a block's usual time.
const BACKOFF_MAX: Duration = Duration::from_secs(15);

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Confirmed(Confirmation),
    Expired(Expiry),
}

/// A transaction in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Confirmation {
    pub(crate) block: Holder,
    pub(crate) vm_state: wallet::VmState,
    pub(crate) exception: Option<String>,
    pub(crate) gas_consumed: Datoshi,
}

/// Why it cannot be read how a transaction ended; read again later.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Node(#[from] nsl_neo_rpc::Error),
    #[error("block {0} is not served yet")]
    NoBlock(u32),
    #[error("block {index} does not hold {transaction}")]
    NotInBlock { index: u32, transaction: Hash256 },
    #[error("{0} has no application log yet")]
    NoLog(Hash256),
    #[error("the application log of {0} has no execution")]
    NoExecution(Hash256),
    #[error("the gas consumed is negative")]
    Gas(#[from] TryFromIntError),
}

/// Follows transactions.
#[derive(Debug)]
pub(crate) struct Relay {
    node: Arc<Client>,
    questions: Semaphore,
    first_wait: Duration,
    stop: CancellationToken,
    metrics: Metrics,
}

impl Relay {
    pub(crate) fn new(
        node: Arc<Client>,
        first_wait: Duration,
        stop: CancellationToken,
        metrics: Metrics,
    ) -> Self {
        Self { node, questions: Semaphore::new(NODE_QUESTIONS_MAX), first_wait, stop, metrics }
    }

    /// Follows a transaction to its end; `None` when the service stops before.
    pub(crate) async fn follow(&self, job: &Job, sightings: &mut watch::Receiver<Sighting>) -> Option<End> {
        let known = self.stop.run_until_cancelled(sightings.wait_for(|sighting| sighting.tip.is_some()));
        let tip = known.await?.ok()?.tip?;
        let mut lifecycle = Lifecycle::new(job.order.valid_until_block, tip);
        loop {
            match lifecycle.step() {
                Step::LookUp => lifecycle.take(self.look_up(job).await),
                Step::Submit => lifecycle.take(self.submit(job).await),
                Step::AwaitBlock => self.stop.run_until_cancelled(sightings.changed()).await?.ok()?,
                Step::AwaitRetry { failures } => {
                    self.wait(failures).await?;
                    lifecycle.take(Input::RetryDue);
                }
                Step::Confirm { block_index } => {
                    let seen = sightings.borrow().holder.filter(|holder| holder.index == block_index);
                    return self.read_end(job, block_index, seen).await.map(End::Confirmed);
                }
                Step::Expire(expiry) => return Some(End::Expired(expiry)),
            }
            for block in blocks(*sightings.borrow_and_update()) {
                lifecycle.take(block);
            }
        }
    }

    /// Waits after the `failures`th failure in a row; `None` when the service stops.
    pub(crate) async fn wait(&self, failures: u32) -> Option<()> {
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
        let wait = self.first_wait.saturating_mul(factor).min(BACKOFF_MAX);
        self.stop.run_until_cancelled(tokio::time::sleep(wait)).await
    }

    async fn look_up(&self, job: &Job) -> Input {
        // The semaphore is never closed.
        let _turn = self.questions.acquire().await;
        match self.node.transaction_height(job.hash).await {
            Ok(height) => Input::Height(height),
            Err(error) => self.unanswered(job, "look-up", &error),
        }
    }

    async fn submit(&self, job: &Job) -> Input {
        let _turn = self.questions.acquire().await;
        match self.node.send_raw_transaction(&job.transaction).await {
            Ok(submission) => {
                failpoints::SUBMITTED.reach();
                self.metrics.submitted(match &submission {
                    Submission::Accepted => "accepted",
                    Submission::AlreadyKnown(_) => "known",
                    Submission::PoolFull => "pool_full",
                    Submission::Rejected { .. } => "rejected",
                });
                tracing::info!(job.id = %job.order.job_id, tx.hash = %job.hash, ?submission, "submitted");
                Input::Submission(submission)
            }
            Err(error) => self.unanswered(job, "submission", &error),
        }
    }

    async fn read_end(&self, job: &Job, block_index: u32, seen: Option<Holder>) -> Option<Confirmation> {
        let mut failures = 0_u32;
        loop {
            match self.try_read_end(job, block_index, seen).await {
                Ok(confirmation) => return Some(confirmation),
                Err(error) => {
                    self.unanswered(job, "end", &error);
                    failures = failures.saturating_add(1);
                    self.wait(failures).await?;
                }
            }
        }
    }

    async fn try_read_end(
        &self,
        job: &Job,
        block_index: u32,
        seen: Option<Holder>,
    ) -> Result<Confirmation, ReadError> {
        let _turn = self.questions.acquire().await;
        let block = match seen {
            Some(block) => block,
            None => self.read_holder(job.hash, block_index).await?,
        };
        let log = self.node.application_log(job.hash).await?.ok_or(ReadError::NoLog(job.hash))?;
        let execution = log.executions.into_iter().next().ok_or(ReadError::NoExecution(job.hash))?;
        Ok(Confirmation {
            block,
            vm_state: match execution.state {
                VmState::Halt => wallet::VmState::Halt,
                VmState::Fault => wallet::VmState::Fault,
            },
            exception: execution.exception.filter(|text| !text.is_empty()).map(cut),
            gas_consumed: Datoshi(u64::try_from(execution.gas_consumed_datoshi)?),
        })
    }

    async fn read_holder(&self, transaction: Hash256, index: u32) -> Result<Holder, ReadError> {
        let block = self.node.block(index).await?.ok_or(ReadError::NoBlock(index))?;
        if !block.transaction_hashes.contains(&transaction) {
            return Err(ReadError::NotInBlock { index, transaction });
        }
        Ok(Holder { index: block.index, hash: block.hash })
    }

    fn unanswered(
        &self,
        job: &Job,
        question: &'static str,
        error: &(dyn std::error::Error + 'static),
    ) -> Input {
        self.metrics.node_failed(question);
        tracing::warn!(job.id = %job.order.job_id, tx.hash = %job.hash, question, error, "no answer of the node");
        Input::NoAnswer
    }
}

fn blocks(sighting: Sighting) -> impl Iterator<Item = Input> {
    let holder = sighting.holder.map(|holder| Input::Block { index: holder.index, holds_it: true });
    let tip = sighting.tip.map(|index| Input::Block { index, holds_it: false });
    holder.into_iter().chain(tip)
}
