//! A worker as its parent reaches it: a process of its own behind a socket, or, to try the harness itself, one with a
//! planted weakness.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nsl_enclave_protocol::{
    Channel, ChannelOptions, Endpoint, Listener, Request, Response, ServerLimits, serve,
};
use nsl_schemas::authority::{OperatorStatement, Signed};
use nsl_schemas::job::EnclaveJob;
use nsl_schemas::sealing::{SealingAnswer, SealingRequest};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::planted::Weak;

/// For measuring itself, attesting and listening, and for any answer, on a busy machine.
const PATIENT: Duration = Duration::from_mins(1);
/// Between two attempts to connect to a worker that starts.
const POLL: Duration = Duration::from_millis(20);

/// A running worker; ends when dropped.
pub(crate) struct Worker {
    endpoint: Endpoint,
    channel: Channel,
    life: Life,
}

enum Life {
    Process(Child),
    Planted(JoinHandle<()>),
}

impl Worker {
    /// Starts `program` in the folder of its site.
    pub(crate) async fn start(program: &Path, folder: &Path, number: usize) -> anyhow::Result<Self> {
        let endpoint = endpoint(folder, number);
        let mut command = Command::new(program);
        command.arg("--listen").arg(endpoint.to_string());
        command.arg("--genesis").arg(folder.join("genesis.json"));
        command.arg("--development-nsm-root").arg(folder.join("root.pem"));
        command.arg("--development-sealing-key").arg(folder.join("sealing-key"));
        command.args(["--threads", "1", "--log-level", "off"]).stdin(Stdio::null());
        let process = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        Self::connected(endpoint, Life::Process(process)).await
    }

    /// Starts a worker with a weakness within this process.
    pub(crate) async fn start_weak(weak: Weak, folder: &Path, number: usize) -> anyhow::Result<Self> {
        let endpoint = endpoint(folder, number);
        let listener = Listener::bind(&endpoint).await?;
        let answer = move |request: Vec<u8>| weak.answer(request);
        let task = tokio::spawn(async move {
            // Ends with the task; a server that failed shows in the answers that are missing.
            let _ = serve(listener, answer, ServerLimits::default(), std::future::pending()).await;
        });
        Self::connected(endpoint, Life::Planted(task)).await
    }

    async fn connected(endpoint: Endpoint, mut life: Life) -> anyhow::Result<Self> {
        let deadline = Instant::now() + PATIENT;
        loop {
            match Channel::connect(endpoint.clone(), ChannelOptions::default()).await {
                Ok(channel) => return Ok(Self { endpoint, channel, life }),
                Err(error) if Instant::now() > deadline => {
                    return Err(error).context("worker does not listen");
                }
                Err(_) => sleep(POLL).await,
            }
            if let Life::Process(process) = &mut life {
                anyhow::ensure!(process.try_wait()?.is_none(), "the worker ended at its start");
            }
        }
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What it answers to these bytes.
    pub(crate) async fn answer(&self, request: Vec<u8>) -> anyhow::Result<Response> {
        let answer = self.channel.call(request, Instant::now() + PATIENT).await?;
        Response::from_bytes(&answer).context("the worker's answer is none")
    }

    /// What it answers.
    pub(crate) async fn ask(&self, request: &Request) -> anyhow::Result<Response> {
        self.answer(request.to_bytes()).await
    }

    /// What it makes of a job.
    pub(crate) async fn perform(&self, job: EnclaveJob) -> anyhow::Result<Response> {
        self.ask(&Request::Perform { certificate: None, job: Box::new(job) }).await
    }

    /// What it makes of the operators' acts.
    pub(crate) async fn follow(&self, acts: &[Signed<OperatorStatement>]) -> anyhow::Result<Response> {
        self.ask(&Request::Follow { acts: acts.to_vec() }).await
    }

    /// What it answers about sealing keys.
    pub(crate) async fn sealing(&self, about: SealingRequest) -> anyhow::Result<Response> {
        self.ask(&Request::Sealing { about: Box::new(about), credentials: None }).await
    }

    /// The same where the worker has no reason to refuse.
    pub(crate) async fn sealing_answer(&self, about: SealingRequest) -> anyhow::Result<SealingAnswer> {
        match self.sealing(about).await? {
            Response::Sealing { answer } => Ok(*answer),
            other => anyhow::bail!("{other:?}"),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        match &mut self.life {
            // It may be gone already; then there is nothing left to do.
            Life::Process(process) => {
                let _ = process.kill();
                let _ = process.wait();
            }
            Life::Planted(task) => task.abort(),
        }
    }
}

fn endpoint(folder: &Path, number: usize) -> Endpoint {
    Endpoint::Unix { path: folder.join(format!("worker-{number}.sock")) }
}
