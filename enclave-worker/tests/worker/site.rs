//! A development site: root, manifest, authority, and jobs as the service makes them.

use nsl_enclave_protocol::{Request, Response};
use nsl_enclave_worker::nsm::software::{DevelopmentRoot, SoftwareNsm};
use nsl_enclave_worker::seal::SealingKey;
use nsl_enclave_worker::sealing_provider::Provided;
use nsl_enclave_worker::{Genesis, Worker};
use nsl_neo::native;
use nsl_schemas::authority::{
    Build, GenesisManifest, GrantChain, IssuerGrant, Quorum, SERVICE_VERBS, Scope, SealingProvider, Signed,
    TenantRoot,
};
use nsl_schemas::bytes::{Pcr, Sha256};
use nsl_schemas::canonical;
use nsl_schemas::command::wallet::{Create, RequestTransfer, ResealKey, SetPolicy};
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::ids;
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::number::{Amount, Datoshi};
use nsl_schemas::outcome::{BirthCertificate, JobResult, SealedKey, SignedOutcome};
use nsl_schemas::policy::{AssetRule, Policy, PolicyChange, Rules};
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{AggregateId, Tenant};
use nsl_verify::attestation::{Expectation, TrustRoot};
use uuid::Uuid;

pub(crate) const NOW_MS: u64 = 1_790_000_000_000;
pub(crate) const MAGIC: u32 = 5_195_086;
pub(crate) const RECIPIENT: &str = "NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP";
pub(crate) const MEASUREMENTS: [[u8; 48]; 3] = [[0xa0; 48], [0xa1; 48], [0xa2; 48]];

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

/// What all workers of a site share.
pub(crate) struct Site {
    pub(crate) root_pem: String,
    pub(crate) trust: TrustRoot,
    pub(crate) genesis: Signed<GenesisManifest>,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::sealing_by(SealingProvider::Development)
    }

    pub(crate) fn sealing_by(sealing_provider: SealingProvider) -> Self {
        let root = DevelopmentRoot::generate(NOW_MS).unwrap();
        let [pcr0, pcr1, pcr2] = MEASUREMENTS.map(Pcr);
        let manifest = GenesisManifest {
            log_origin: "test".into(),
            quorum: Quorum { threshold: 1, keys: vec![key(1).public()] },
            attestation_root_sha256: Sha256(root.sha256()),
            builds: vec![Build { name: "test".into(), pcr0, pcr1, pcr2 }],
            sealing_provider,
            created_at_ms: NOW_MS,
        };
        let trust = TrustRoot::from_sha256(root.sha256()).unwrap();
        Self { root_pem: root.to_pem().to_string(), trust, genesis: Signed::sign(manifest, &[&key(1)]) }
    }

    pub(crate) fn genesis_sha256(&self) -> Sha256 {
        self.genesis.statement.sha256()
    }

    pub(crate) fn nsm(&self, measurements: [[u8; 48]; 3]) -> SoftwareNsm {
        self.nsm_at(measurements, NOW_MS)
    }

    fn nsm_at(&self, measurements: [[u8; 48]; 3], now_ms: u64) -> SoftwareNsm {
        let root = DevelopmentRoot::from_pem(self.root_pem.as_bytes()).unwrap();
        SoftwareNsm::boot(root, measurements, Box::new(move || now_ms)).unwrap()
    }

    pub(crate) fn sealing_key(&self) -> SealingKey {
        SealingKey::derive(&[42; 32], self.genesis_sha256()).unwrap()
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
        Expectation::of_manifest([MEASUREMENTS], self.genesis_sha256().0)
    }

    fn chain(&self, tenant: Tenant) -> GrantChain {
        let genesis_sha256 = self.genesis_sha256();
        let root = TenantRoot {
            genesis_sha256,
            tenant: tenant.clone(),
            key: key(2).public(),
            issued_at_ms: 1,
            epoch: 0,
        };
        let any = || "*".to_owned();
        let grant = IssuerGrant {
            genesis_sha256,
            tenant,
            key: key(3).public(),
            label: "test".into(),
            scopes: vec![Scope { aggregate: any(), id: any(), verb: any() }],
            not_before_ms: 0,
            expires_at_ms: u64::MAX >> 11,
        };
        GrantChain {
            root: Signed::sign(root, &[&key(1)]),
            grant: Signed::sign(grant, &[&key(2)]),
            revocation: None,
        }
    }

    fn job(&self, wallet: &str, verb: &str, payload: String, task: EnclaveTask) -> EnclaveJob {
        self.job_issued_at(NOW_MS, wallet, verb, payload, task)
    }

    pub(crate) fn job_issued_at(
        &self,
        issued_at_ms: u64,
        wallet: &str,
        verb: &str,
        payload: String,
        task: EnclaveTask,
    ) -> EnclaveJob {
        let subject = CommandSubject::parse(&format!("nsl.v1.cmd.acme.wallet.{wallet}.{verb}")).unwrap();
        self.job_of(Uuid::from_u128(7), issued_at_ms, &subject, payload, task)
    }

    /// The job of any command.
    pub(crate) fn job_of(
        &self,
        command_id: Uuid,
        issued_at_ms: u64,
        subject: &CommandSubject,
        payload: String,
        task: EnclaveTask,
    ) -> EnclaveJob {
        // Only grants of the service's own tenant allow its verbs.
        let is_service_verb = SERVICE_VERBS.contains(&subject.verb.as_str());
        let granting = if is_service_verb { Tenant::system() } else { subject.tenant.clone() };
        let command = SignedCommand::sign(&key(3), subject, command_id, issued_at_ms, NOW_MS + 1, payload);
        let job_id = task.job_id(ids::event_id(command_id, 0));
        EnclaveJob { job_id, command, authority: self.chain(granting), task }
    }

    pub(crate) fn create(&self, wallet: &str, policy: Policy) -> EnclaveJob {
        let payload = canonical::to_string(&Create { policy });
        self.job(wallet, "create", payload, EnclaveTask::CreateKey)
    }

    pub(crate) fn transfer(
        &self,
        wallet: &str,
        transfer: &RequestTransfer,
        sealed_key: SealedKey,
        policy: Policy,
    ) -> EnclaveJob {
        let task = EnclaveTask::SignTransfer { approvals: vec![], reservation: None, sealed_key, policy };
        self.job(wallet, "request-transfer", canonical::to_string(transfer), task)
    }

    pub(crate) fn reseal(&self, key_id: &str, sealed_key: SealedKey, policy: Policy) -> EnclaveJob {
        let payload = canonical::to_string(&ResealKey { sealing_key_id: key_id.into() });
        self.job("main", "reseal-key", payload, EnclaveTask::ReplacePolicy { sealed_key, policy })
    }

    pub(crate) fn replace(
        &self,
        change: Signed<PolicyChange>,
        sealed_key: SealedKey,
        policy: Policy,
    ) -> EnclaveJob {
        let task = EnclaveTask::ReplacePolicy { sealed_key, policy };
        self.job("main", "set-policy", canonical::to_string(&SetPolicy { change }), task)
    }
}

pub(crate) fn tenant() -> Tenant {
    Tenant::parse("acme").unwrap()
}

/// Owners hold key 9; at most 100 GAS datoshi and 10 datoshi of fees.
pub(crate) fn policy() -> Policy {
    Policy {
        owners: Quorum { threshold: 1, keys: vec![key(9).public()] },
        network_magic: MAGIC,
        assets: vec![AssetRule { asset: native::GAS.to_string(), amount_max: Amount(100) }],
        recipients: Some(vec![RECIPIENT.into()]),
        fee_max_datoshi: Datoshi(10),
        rules: Rules::default(),
    }
}

pub(crate) fn transfer() -> RequestTransfer {
    RequestTransfer {
        network_magic: MAGIC,
        asset: native::GAS.to_string(),
        to: RECIPIENT.into(),
        amount: Amount(100),
        system_fee_datoshi: Datoshi(6),
        network_fee_datoshi: Datoshi(4),
        valid_until_block: 100,
    }
}

/// The change from `previous` to `next`, signed by key `owner`.
pub(crate) fn change(previous: &Policy, next: Policy, owner: u8) -> Signed<PolicyChange> {
    let wallet = AggregateId::parse("main").unwrap();
    let statement =
        PolicyChange { tenant: tenant(), wallet, previous_sha256: previous.sha256(), policy: next };
    Signed::sign(statement, &[&key(owner)])
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
