//! A site of workers alone: root, manifest, sealing key, one client with its grant, wallets born by a worker, and signing
//! jobs as the reactor prepares them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use bytes::Bytes;
use nsl_client::prepared::unix_now_ms;
use nsl_enclave_protocol::{Channel, Request, Response, channel};
use nsl_neo::native;
use nsl_schemas::authority::{
    Build, GenesisManifest, GrantChain, IssuerGrant, Quorum, Scope, SealingProvider, Signed, TenantRoot,
};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::canonical;
use nsl_schemas::command::wallet::{Create, RequestTransfer};
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::ids;
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::number::{Amount, Datoshi};
use nsl_schemas::outcome::{JobResult, SealedKey};
use nsl_schemas::policy::{AssetRule, Policy, Rules};
use nsl_schemas::subject::{self, CommandSubject};
use nsl_schemas::token::{self, Tenant};
use tokio::time::Instant;
use uuid::Uuid;

/// Wallets that the jobs are for, in turn.
const WALLETS: u128 = 16;
/// Addresses that the policy lists, as a treasury's would; the jobs pay the last.
const RECIPIENTS: usize = 8;
const RECIPIENT: &str = "NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP";
const NETWORK_MAGIC: u32 = 5_195_086;
const TENANT: &str = "bench";
/// A grant for longer than any run.
const GRANT_LIFE_MS: u64 = 24 * 60 * 60 * 1000;
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
    #[error("cannot make a command")]
    Token(#[from] token::Error),
    #[error("cannot make a command")]
    Subject(#[from] subject::Error),
    #[error("worker did not answer")]
    Call(#[from] channel::Error),
    #[error("worker did not do a job: {0}")]
    Refused(String),
}

/// Who orders, under which manifest.
pub(super) struct Site {
    issuer: SigningKey,
    chain: GrantChain,
    policy: Policy,
    wallets: Vec<(String, SealedKey)>,
}

impl Site {
    /// Writes a site's files into `folder`, for workers that run `program`.
    pub(super) fn prepare(program: &Path, folder: &Path) -> Result<Self, Error> {
        let (quorum, root, issuer) = (key(1), key(2), key(3));
        let build: Build = canonical::from_slice(&output(Command::new(program).arg("measure"))?)?;
        let root_file = folder.join("root.pem");
        let printed = output(Command::new(program).arg("development-root").arg("--out").arg(root_file))?;
        let quoted = format!("{:?}", String::from_utf8_lossy(&printed).trim());
        let attestation_root_sha256: Sha256 = canonical::from_slice(quoted.as_bytes())?;
        let manifest = GenesisManifest {
            log_origin: TENANT.into(),
            quorum: Quorum { threshold: 1, keys: vec![quorum.public()] },
            attestation_root_sha256,
            builds: vec![build],
            sealing_provider: SealingProvider::Development,
            created_at_ms: unix_now_ms(),
        };
        let chain = chain(manifest.sha256(), &quorum, &root, &issuer)?;
        let genesis = Signed::sign(manifest, &[&quorum]);
        fs::write(folder.join("genesis.json"), canonical::to_string(&genesis))?;
        fs::write(folder.join("sealing-key"), [42; 32])?;
        Ok(Self { issuer, chain, policy: policy(), wallets: Vec::new() })
    }

    /// Has a worker create the wallets.
    pub(super) async fn open_wallets(&mut self, worker: &Channel) -> Result<(), Error> {
        let payload = canonical::to_string(&Create { policy: self.policy.clone() });
        for number in 0..WALLETS {
            let wallet = format!("w{number}");
            let job = self.job(number, &wallet, "create", payload.clone(), EnclaveTask::CreateKey)?;
            let answer = worker.call(job, Instant::now() + TIME_LIMIT).await?;
            match result(&answer)? {
                JobResult::KeyCreated { sealed_key, .. } => self.wallets.push((wallet, sealed_key)),
                other => return Err(Error::Refused(format!("{other:?}"))),
            }
        }
        Ok(())
    }

    /// So many requests to sign, each a command of its own.
    pub(super) fn transfers(&self, count: usize) -> Result<Vec<Bytes>, Error> {
        let wallets = self.wallets.iter().cycle();
        (TRANSFERS_FROM..).zip(wallets).take(count).map(|(id, wallet)| self.transfer(id, wallet)).collect()
    }

    fn transfer(&self, id: u128, (wallet, sealed_key): &(String, SealedKey)) -> Result<Bytes, Error> {
        let payload = canonical::to_string(&transfer());
        let task = EnclaveTask::SignTransfer {
            approvals: Vec::new(),
            reservation: None,
            sealed_key: sealed_key.clone(),
            policy: self.policy.clone(),
        };
        self.job(id, wallet, "request-transfer", payload, task)
    }

    fn job(
        &self,
        id: u128,
        wallet: &str,
        verb: &str,
        payload: String,
        task: EnclaveTask,
    ) -> Result<Bytes, Error> {
        let subject = CommandSubject::parse(&format!("nsl.v1.cmd.{TENANT}.wallet.{wallet}.{verb}"))?;
        let (command_id, now_ms) = (Uuid::from_u128(id), unix_now_ms());
        let command =
            SignedCommand::sign(&self.issuer, &subject, command_id, now_ms, now_ms + 60_000, payload);
        let job_id = ids::job_id(ids::event_id(command_id, 0));
        let job = EnclaveJob { job_id, command, authority: self.chain.clone(), task };
        Ok(Request::Perform { certificate: None, job: Box::new(job) }.to_bytes().into())
    }
}

/// What every job orders.
pub(super) fn transfer() -> RequestTransfer {
    RequestTransfer {
        amount: Amount(100_000_000),
        asset: native::GAS.to_string(),
        network_fee_datoshi: Datoshi(122_862),
        network_magic: NETWORK_MAGIC,
        system_fee_datoshi: Datoshi(997_775),
        to: RECIPIENT.into(),
        valid_until_block: 5_760,
    }
}

/// What the wallets may do.
pub(super) fn policy() -> Policy {
    let mut recipients = vec!["NMBfzaEq2c5zodiNbLPoohVENARMbJim1r".to_owned(); RECIPIENTS - 1];
    recipients.push(RECIPIENT.to_owned());
    Policy {
        owners: Quorum { threshold: 1, keys: vec![key(9).public()] },
        network_magic: NETWORK_MAGIC,
        assets: vec![AssetRule { asset: native::GAS.to_string(), amount_max: Amount(10_000_000_000) }],
        recipients: Some(recipients),
        fee_max_datoshi: Datoshi(100_000_000),
        rules: Rules::default(),
    }
}

fn result(answer: &[u8]) -> Result<JobResult, Error> {
    match Response::from_bytes(answer)? {
        Response::Outcome { outcome } => Ok(outcome.result),
        other => Err(Error::Refused(format!("{other:?}"))),
    }
}

fn chain(
    genesis_sha256: Sha256,
    quorum: &SigningKey,
    root: &SigningKey,
    issuer: &SigningKey,
) -> Result<GrantChain, Error> {
    let tenant = Tenant::parse(TENANT)?;
    let statement =
        TenantRoot { genesis_sha256, tenant: tenant.clone(), key: root.public(), issued_at_ms: 1, epoch: 0 };
    let any = || "*".to_owned();
    let grant = IssuerGrant {
        genesis_sha256,
        tenant,
        key: issuer.public(),
        label: "bench".into(),
        scopes: vec![Scope { aggregate: "wallet".into(), id: any(), verb: any() }],
        not_before_ms: 0,
        expires_at_ms: unix_now_ms() + GRANT_LIFE_MS,
    };
    Ok(GrantChain {
        root: Signed::sign(statement, &[quorum]),
        grant: Signed::sign(grant, &[root]),
        revocation: None,
    })
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn output(command: &mut Command) -> Result<Vec<u8>, Error> {
    let Output { status, stdout, stderr } = command.output()?;
    if status.success() { Ok(stdout) } else { Err(Error::Program(String::from_utf8_lossy(&stderr).into())) }
}
