//! A site of workers alone: root, manifest, sealing key, one client with its grant, wallets born by a worker, and signing
//! jobs as the reactor prepares them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use bytes::Bytes;
use nsl_client::prepared::unix_now_ms;
use nsl_enclave_protocol::{Channel, Request, Response, channel};
use nsl_schemas::authority::Build;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::canonical;
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::job::EnclaveTask;
use nsl_schemas::number::{Amount, Datoshi};
use nsl_schemas::outcome::{JobResult, SealedKey};
use nsl_schemas::policy::{AssetRule, Policy};
use nsl_test_site::{GAS, Order, RECIPIENT, manifest};
use tokio::time::Instant;
use uuid::Uuid;

/// Wallets that the jobs are for, in turn.
const WALLETS: u128 = 16;
/// Addresses that the policy lists, as a treasury's would; the jobs pay the last.
const RECIPIENTS: usize = 8;
/// For one job of preparation.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Command ids: those of creations begin at nothing, those of transfers here.
const TRANSFERS_FROM: u128 = 1 << 64;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("a file of the site cannot be written, or the worker's program cannot be run")]
    File(#[from] std::io::Error),
    #[error("the worker's program ended badly: {0}")]
    Program(String),
    #[error("cannot read what the worker says")]
    Answer(#[from] canonical::Error),
    #[error("worker did not answer")]
    Call(#[from] channel::Error),
    #[error("worker did not do a job: {0}")]
    Refused(String),
}

/// Who orders, under which manifest.
pub(super) struct Site {
    log: nsl_test_site::Site,
    policy: Policy,
    wallets: Vec<(String, SealedKey)>,
}

impl Site {
    /// Writes a site's files into `folder`, for workers that run `program`.
    pub(super) fn prepare(program: &Path, folder: &Path) -> Result<Self, Error> {
        let build: Build = canonical::from_slice(&output(Command::new(program).arg("measure"))?)?;
        let root_file = folder.join("root.pem");
        let printed = output(Command::new(program).arg("development-root").arg("--out").arg(root_file))?;
        let quoted = format!("{:?}", String::from_utf8_lossy(&printed).trim());
        let attestation_root_sha256: Sha256 = canonical::from_slice(quoted.as_bytes())?;
        let log = nsl_test_site::Site::of(manifest(attestation_root_sha256, vec![build]));
        fs::write(folder.join("genesis.json"), canonical::to_string(&log.genesis))?;
        fs::write(folder.join("sealing-key"), [42; 32])?;
        Ok(Self { log, policy: policy(), wallets: Vec::new() })
    }

    /// Has a worker create the wallets.
    pub(super) async fn open_wallets(&mut self, worker: &Channel) -> Result<(), Error> {
        for number in 0..WALLETS {
            let wallet = format!("w{number}");
            let order = Order::create(self.policy.clone(), unix_now_ms());
            let job = self.job(number, &wallet, order, EnclaveTask::CreateKey);
            let answer = worker.call(job, Instant::now() + TIME_LIMIT).await?;
            match result(&answer)? {
                JobResult::KeyCreated { sealed_key, .. } => self.wallets.push((wallet, sealed_key)),
                other => return Err(Error::Refused(format!("{other:?}"))),
            }
        }
        Ok(())
    }

    /// So many requests to sign, each a command of its own.
    pub(super) fn transfers(&self, count: usize) -> Vec<Bytes> {
        let wallets = self.wallets.iter().cycle();
        (TRANSFERS_FROM..).zip(wallets).take(count).map(|(id, wallet)| self.transfer(id, wallet)).collect()
    }

    fn transfer(&self, id: u128, (wallet, sealed_key): &(String, SealedKey)) -> Bytes {
        let task = EnclaveTask::SignTransfer {
            approvals: Vec::new(),
            reservation: None,
            sealed_key: sealed_key.clone(),
            policy: self.policy.clone(),
        };
        self.job(id, wallet, Order::transfer(&transfer(), unix_now_ms()), task)
    }

    fn job(&self, id: u128, wallet: &str, order: Order, task: EnclaveTask) -> Bytes {
        let order = order.of_wallet(wallet).with_id(Uuid::from_u128(id));
        let job = Box::new(self.log.job(order, task));
        Request::Perform { certificate: None, job }.to_bytes().into()
    }
}

/// What every job orders.
pub(super) fn transfer() -> RequestTransfer {
    RequestTransfer {
        amount: Amount(100_000_000),
        network_fee_datoshi: Datoshi(122_862),
        system_fee_datoshi: Datoshi(997_775),
        valid_until_block: 5_760,
        ..nsl_test_site::transfer()
    }
}

/// What the wallets may do.
pub(super) fn policy() -> Policy {
    let mut recipients = vec!["NMBfzaEq2c5zodiNbLPoohVENARMbJim1r".to_owned(); RECIPIENTS - 1];
    recipients.push(RECIPIENT.to_owned());
    Policy {
        assets: vec![AssetRule { asset: GAS.into(), amount_max: Amount(10_000_000_000) }],
        recipients: Some(recipients),
        fee_max_datoshi: Datoshi(100_000_000),
        ..nsl_test_site::policy()
    }
}

fn result(answer: &[u8]) -> Result<JobResult, Error> {
    match Response::from_bytes(answer)? {
        Response::Outcome { outcome } => Ok(outcome.result),
        other => Err(Error::Refused(format!("{other:?}"))),
    }
}

fn output(command: &mut Command) -> Result<Vec<u8>, Error> {
    let Output { status, stdout, stderr } = command.output()?;
    if status.success() { Ok(stdout) } else { Err(Error::Program(String::from_utf8_lossy(&stderr).into())) }
}
