//! The parent: its folder, the workers that it starts, and what honest people signed that passes through its hands.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use nsl_enclave_protocol::Response;
use nsl_enclave_worker::nsm::software::{DevelopmentRoot, SoftwareNsm, system_time_ms};
use nsl_enclave_worker::nsm::{AttestationRequest, Nsm as _};
use nsl_neo::PublicKey;
use nsl_policy::transaction;
use nsl_schemas::authority::{Build, GenesisManifest, SealingProvider};
use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::canonical;
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::outcome::{BirthCertificate, JobResult, SealedKey, SignedOutcome};
use nsl_schemas::policy::{CountingRules, Policy, SignatureWindow};
use nsl_test_site::{COMMAND_ID, Order, Site, manifest, policy, transfer};
use nsl_verify::attestation::TrustRoot;
use tempfile::TempDir;

use crate::matrix::{Finding, Mode, Verdict};
use crate::planted::{Planted, Weak};
use crate::worker::Worker;

/// The registers of a program of the parent's own.
pub(crate) const STRANGER: [[u8; 48]; 3] = [[0xee; 48]; 3];

/// The key that the parent signs with; nobody gave it any right.
pub(crate) const PARENT: u8 = 66;

/// A wallet that a worker bore.
#[derive(Clone)]
pub(crate) struct Born {
    pub(crate) policy: Policy,
    pub(crate) sealed_key: SealedKey,
    pub(crate) certificate: BirthCertificate,
    /// Of the worker that bore it.
    pub(crate) outcome: SignedOutcome,
}

impl Born {
    /// The transaction that a command with this id and payload stands for.
    pub(crate) fn tx_hash(&self, transfer: &RequestTransfer) -> anyhow::Result<String> {
        Ok(transaction::transfer(COMMAND_ID, &self.public_key()?, transfer)?.hash().to_string())
    }

    pub(crate) fn public_key(&self) -> anyhow::Result<PublicKey> {
        Ok(self.certificate.statement.public_key.parse()?)
    }
}

/// The parent of one site.
pub(crate) struct Parent {
    folder: TempDir,
    program: PathBuf,
    planted: Option<Planted>,
    root_pem: String,
    started: Cell<usize>,
    pub(crate) trust: TrustRoot,
    pub(crate) site: Site,
    /// When honest people signed what they signed.
    pub(crate) now_ms: u64,
    /// Two of one life; attacks that change a worker start another.
    pub(crate) workers: Vec<Worker>,
    wallets: BTreeMap<Mode, Born>,
}

impl Parent {
    /// Starts two workers, and lets one bear a wallet of each mode where it has a sealing key.
    pub(crate) async fn start(
        program: &Path,
        sealing_provider: SealingProvider,
        planted: Option<Planted>,
    ) -> anyhow::Result<Self> {
        let has_key = sealing_provider == SealingProvider::Development;
        let folder = tempfile::tempdir()?;
        let root = DevelopmentRoot::generate(system_time_ms())?;
        let measured = Command::new(program).arg("measure").output().context("cannot run the worker")?;
        let build: Build = canonical::from_slice(measured.stdout.trim_ascii_end())
            .context("the worker does not measure itself: it lacks the feature `development`")?;
        let manifest = manifest(Sha256(root.sha256()), vec![build]);
        let site = Site::of(GenesisManifest { sealing_provider, ..manifest });
        let root_pem = root.to_pem().to_string();
        fs::write(folder.path().join("genesis.json"), canonical::to_string(&site.genesis))?;
        fs::write(folder.path().join("root.pem"), &root_pem)?;
        fs::write(folder.path().join("sealing-key"), [42; 32])?;
        let mut parent = Self {
            folder,
            program: program.to_owned(),
            planted,
            root_pem,
            started: Cell::new(0),
            trust: TrustRoot::from_sha256(root.sha256())?,
            site,
            now_ms: system_time_ms(),
            workers: Vec::new(),
            wallets: BTreeMap::new(),
        };
        for _ in 0..2 {
            let worker = parent.another_worker().await?;
            parent.workers.push(worker);
        }
        if has_key {
            for mode in [Mode::Stateless, Mode::Withheld] {
                let born = parent.bear(&parent.workers[0], &name(mode), policy_of(mode)).await?;
                parent.wallets.insert(mode, born);
            }
        }
        Ok(parent)
    }

    /// One more worker of the site.
    pub(crate) async fn another_worker(&self) -> anyhow::Result<Worker> {
        let number = self.started.replace(self.started.get() + 1);
        match self.planted {
            None => Worker::start(&self.program, self.folder.path(), number).await,
            Some(planted) => {
                let weak = Weak::start(planted, &self.site, self.nsm(self.build())?).await?;
                Worker::start_weak(weak, self.folder.path(), number).await
            }
        }
    }

    /// The worker that attacks are on.
    pub(crate) fn worker(&self) -> &Worker {
        &self.workers[0]
    }

    /// What its build measures.
    pub(crate) fn build(&self) -> [[u8; 48]; 3] {
        self.site.genesis.statement.builds[0].measurements()
    }

    /// An NSM of the site's root: real hardware, in the parent's hands.
    pub(crate) fn nsm(&self, measurements: [[u8; 48]; 3]) -> anyhow::Result<SoftwareNsm> {
        nsm(&self.root_pem, measurements)
    }

    /// What such an NSM attests for a program that measures so and commits to the manifest of this hash.
    pub(crate) fn document(
        &self,
        measurements: [[u8; 48]; 3],
        manifest_sha256: Sha256,
        request: AttestationRequest,
    ) -> anyhow::Result<Base64> {
        document_of_root(&self.root_pem, measurements, manifest_sha256, request)
    }

    /// The wallet of this mode.
    pub(crate) fn wallet(&self, mode: Mode) -> anyhow::Result<&Born> {
        self.wallets.get(&mode).context("no wallet was born in this site")
    }

    /// Has a worker bear a wallet.
    pub(crate) async fn bear(&self, worker: &Worker, name: &str, policy: Policy) -> anyhow::Result<Born> {
        let order = Order::create(policy.clone(), self.now_ms).of_wallet(name);
        let answer = worker.perform(self.site.job(order, EnclaveTask::CreateKey)).await?;
        let Response::Outcome { outcome } = answer else { anyhow::bail!("no key was born: {answer:?}") };
        match outcome.result.clone() {
            JobResult::KeyCreated { sealed_key, birth_certificate: certificate } => {
                Ok(Born { policy, sealed_key, certificate, outcome: *outcome })
            }
            other => anyhow::bail!("no key was born: {other:?}"),
        }
    }

    /// The job of a sound transfer of the mode's wallet.
    pub(crate) fn transfer(&self, mode: Mode) -> anyhow::Result<EnclaveJob> {
        self.transfer_of(mode, &transfer())
    }

    /// The job of a transfer of the mode's wallet.
    pub(crate) fn transfer_of(&self, mode: Mode, ordered: &RequestTransfer) -> anyhow::Result<EnclaveJob> {
        let Born { policy, sealed_key, .. } = self.wallet(mode)?.clone();
        let task = EnclaveTask::SignTransfer { approvals: vec![], reservation: None, sealed_key, policy };
        Ok(self.site.job(Order::transfer(ordered, self.now_ms).of_wallet(&name(mode)), task))
    }

    /// What came of a job that differs from the sound transfer in a way that changes nothing for its client: a signature
    /// over the very same transaction gives nothing that was not given.
    pub(crate) fn signed_again(&self, mode: Mode, answer: &Response) -> anyhow::Result<Finding> {
        if let Response::Outcome { outcome } = answer
            && let JobResult::TransferSigned { tx_hash, .. } = &outcome.result
            && *tx_hash == self.wallet(mode)?.tx_hash(&transfer())?
        {
            return Ok(Finding::new(Verdict::SameTransaction, "one unsigned transaction a command"));
        }
        Ok(Finding::of_worker(answer))
    }
}

/// What an NSM of this root attests for a program that measures so and commits to the manifest of this hash.
pub(crate) fn document_of_root(
    root_pem: &str,
    measurements: [[u8; 48]; 3],
    manifest_sha256: Sha256,
    request: AttestationRequest,
) -> anyhow::Result<Base64> {
    let mut nsm = nsm(root_pem, measurements)?;
    nsm.extend_pcr(16, &manifest_sha256.0)?;
    Ok(Base64(nsm.attest(request)?))
}

fn nsm(root_pem: &str, measurements: [[u8; 48]; 3]) -> anyhow::Result<SoftwareNsm> {
    let root = DevelopmentRoot::from_pem(root_pem.as_bytes())?;
    Ok(SoftwareNsm::boot(root, measurements, Box::new(system_time_ms))?)
}

/// What the wallet of this mode is called.
pub(crate) fn name(mode: Mode) -> String {
    mode.to_string()
}

/// What it may do.
pub(crate) fn policy_of(mode: Mode) -> Policy {
    let mut policy = policy();
    if mode == Mode::Withheld {
        let signatures = Some(SignatureWindow { count_max: 10, window_seconds: 60 });
        policy.rules.counting = Some(CountingRules { signatures, ..CountingRules::default() });
    }
    policy
}
