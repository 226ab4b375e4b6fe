//! A development site of workers: their root, their NSMs, and how they are asked.

use std::ops::Deref;

use nsl_enclave_protocol::{Request, Response};
use nsl_enclave_worker::nsm::software::{DevelopmentRoot, SoftwareNsm};
use nsl_enclave_worker::seal::SealingKey;
use nsl_enclave_worker::sealing_provider::Provided;
use nsl_enclave_worker::{Genesis, Worker};
use nsl_schemas::authority::{Build, GenesisManifest, SealingProvider, Signed};
use nsl_schemas::bytes::{Pcr, Sha256};
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::outcome::{BirthCertificate, JobResult, SealedKey, SignedOutcome};
use nsl_schemas::policy::{Policy, PolicyChange};
use nsl_test_site::{Order, manifest, policy};
use nsl_verify::attestation::{Expectation, TrustRoot};

pub(crate) const NOW_MS: u64 = 1_790_000_000_000;
pub(crate) const MEASUREMENTS: [[u8; 48]; 3] = [[0xa0; 48], [0xa1; 48], [0xa2; 48]];

/// What all workers of a site share.
pub(crate) struct Site {
    log: nsl_test_site::Site,
    pub(crate) root_pem: String,
    pub(crate) trust: TrustRoot,
}

impl Deref for Site {
    type Target = nsl_test_site::Site;

    fn deref(&self) -> &Self::Target {
        &self.log
    }
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::sealing_by(SealingProvider::Development)
    }

    pub(crate) fn sealing_by(sealing_provider: SealingProvider) -> Self {
        let root = DevelopmentRoot::generate(NOW_MS).unwrap();
        let [pcr0, pcr1, pcr2] = MEASUREMENTS.map(Pcr);
        let builds = vec![Build { name: "test".into(), pcr0, pcr1, pcr2 }];
        let manifest = GenesisManifest { sealing_provider, ..manifest(Sha256(root.sha256()), builds) };
        let trust = TrustRoot::from_sha256(root.sha256()).unwrap();
        Self { log: nsl_test_site::Site::of(manifest), root_pem: root.to_pem().to_string(), trust }
    }

    pub(crate) fn nsm(&self, measurements: [[u8; 48]; 3]) -> SoftwareNsm {
        self.nsm_at(measurements, NOW_MS)
    }

    fn nsm_at(&self, measurements: [[u8; 48]; 3], now_ms: u64) -> SoftwareNsm {
        let root = DevelopmentRoot::from_pem(self.root_pem.as_bytes()).unwrap();
        SoftwareNsm::boot(root, measurements, Box::new(move || now_ms)).unwrap()
    }

    pub(crate) fn sealing_key(&self) -> SealingKey {
        SealingKey::derive(&[42; 32], self.sha256()).unwrap()
    }

    /// One more worker process of the site.
    pub(crate) async fn worker(&self) -> Worker {
        self.worker_with(self.sealing_key()).await
    }

    /// A worker process that measures as another build.
    pub(crate) async fn worker_of_build(&self, measurements: [[u8; 48]; 3]) -> Worker {
        self.start(measurements, self.sealing_key()).await
    }

    /// One that begins with these sealing keys.
    pub(crate) async fn worker_with(&self, provided: impl Into<Provided>) -> Worker {
        self.start(MEASUREMENTS, provided).await
    }

    /// One whose NSM has another time.
    pub(crate) async fn worker_at(&self, now_ms: u64) -> Worker {
        let (genesis, nsm) =
            (Genesis::obey(self.genesis.clone()).unwrap(), self.nsm_at(MEASUREMENTS, now_ms));
        Worker::start(genesis, Box::new(nsm), self.sealing_key()).await.unwrap()
    }

    async fn start(&self, measurements: [[u8; 48]; 3], provided: impl Into<Provided>) -> Worker {
        let genesis = Genesis::obey(self.genesis.clone()).unwrap();
        Worker::start(genesis, Box::new(self.nsm(measurements)), provided).await.unwrap()
    }

    pub(crate) fn expectation(&self) -> Expectation {
        Expectation::of_manifest([MEASUREMENTS], self.sha256().0)
    }

    pub(crate) fn create(&self, wallet: &str, policy: Policy) -> EnclaveJob {
        self.job(Order::create(policy, NOW_MS).of_wallet(wallet), EnclaveTask::CreateKey)
    }

    pub(crate) fn transfer(
        &self,
        wallet: &str,
        transfer: &RequestTransfer,
        sealed_key: SealedKey,
        policy: Policy,
    ) -> EnclaveJob {
        let task = EnclaveTask::SignTransfer { approvals: vec![], reservation: None, sealed_key, policy };
        self.job(Order::transfer(transfer, NOW_MS).of_wallet(wallet), task)
    }

    pub(crate) fn reseal(&self, key_id: &str, sealed_key: SealedKey, policy: Policy) -> EnclaveJob {
        self.job(Order::reseal(key_id, NOW_MS), EnclaveTask::ReplacePolicy { sealed_key, policy })
    }

    pub(crate) fn replace(
        &self,
        change: Signed<PolicyChange>,
        sealed_key: SealedKey,
        policy: Policy,
    ) -> EnclaveJob {
        self.job(Order::set_policy(change, NOW_MS), EnclaveTask::ReplacePolicy { sealed_key, policy })
    }
}

pub(crate) async fn ask(worker: &Worker, request: &Request) -> Response {
    Response::from_bytes(&worker.answer(&request.to_bytes()).await).unwrap()
}

pub(crate) async fn perform(worker: &Worker, job: EnclaveJob) -> SignedOutcome {
    match ask(worker, &Request::Perform { certificate: None, job: Box::new(job) }).await {
        Response::Outcome { outcome } => *outcome,
        other => panic!("{other:?}"),
    }
}

/// The code of a refusal.
pub(crate) fn refusal(outcome: &SignedOutcome) -> &str {
    match &outcome.result {
        JobResult::Refused { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

/// Bears the key of a wallet.
pub(crate) async fn born(site: &Site, worker: &Worker, wallet: &str) -> (SealedKey, BirthCertificate) {
    born_under(site, worker, wallet, policy()).await
}

/// Bears the key of a wallet under another policy.
pub(crate) async fn born_under(
    site: &Site,
    worker: &Worker,
    wallet: &str,
    policy: Policy,
) -> (SealedKey, BirthCertificate) {
    match perform(worker, site.create(wallet, policy)).await.result {
        JobResult::KeyCreated { sealed_key, birth_certificate } => (sealed_key, birth_certificate),
        other => panic!("{other:?}"),
    }
}
