//! A log that seals by KMS: authority, server, relay and workers.

use std::num::{NonZeroU16, NonZeroU64};
use std::path::PathBuf;

use nsl_enclave_host::kms::{CredentialsSource, KmsConfig, relay};
use nsl_enclave_protocol::{AwsCredentials, Endpoint, Request, Response};
use nsl_enclave_worker::nsm::software::{DevelopmentRoot, SoftwareNsm, system_time_ms};
use nsl_enclave_worker::sealing_provider::{Sources, obtain};
use nsl_enclave_worker::{Genesis, Worker};
use nsl_kms::{Authority, Caller, KeyPolicy, Server, Settings};
use nsl_schemas::authority::{Build, GenesisManifest, Quorum, SealingProvider, Signed};
use nsl_schemas::bytes::{Base64, Pcr, Sha256};
use nsl_schemas::kms::{AwsKms, HostName, KeyArn};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::sealing::{SealingAnswer, SealingOrder, SealingRecord, SealingRequest, SealingStatus};
use nsl_verify::attestation::{TrustRoot, manifest_pcr16};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const MEASUREMENTS: [[u8; 48]; 3] = [[0xa0; 48], [0xa1; 48], [0xa2; 48]];
pub(crate) const HOST: &str = "kms.eu-central-1.amazonaws.com";
pub(crate) const KEY_ARN: &str =
    "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

pub(crate) fn credentials() -> AwsCredentials {
    AwsCredentials {
        access_key_id: "ASIAEXAMPLE".into(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
        session_token: Some("session/token==".into()),
    }
}

/// What differs from the usual site.
pub(crate) struct Variation<'a> {
    /// The name on the server's certificate.
    pub(crate) host: &'a str,
    /// Whether the manifest names the server's authority.
    pub(crate) is_trusted: bool,
    pub(crate) builds: Vec<Build>,
}

impl Default for Variation<'_> {
    fn default() -> Self {
        let [pcr0, pcr1, pcr2] = MEASUREMENTS.map(Pcr);
        let builds = vec![Build { name: "test".into(), pcr0, pcr1, pcr2 }];
        Self { host: HOST, is_trusted: true, builds }
    }
}

pub(crate) struct Site {
    folder: TempDir,
    pub(crate) root_pem: String,
    pub(crate) genesis: Signed<GenesisManifest>,
    pub(crate) server: Server,
    _relay: DropGuard,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::varied(Variation::default()).await
    }

    pub(crate) async fn varied(variation: Variation<'_>) -> Self {
        let Variation { host, is_trusted, builds } = variation;
        let (authority, other) = (Authority::new(), Authority::new());
        let trusted = if is_trusted { &authority } else { &other };
        let root = DevelopmentRoot::generate(system_time_ms()).unwrap();
        let image_sha384 = builds.iter().map(|build| build.pcr0.0).collect();
        let manifest = GenesisManifest {
            log_origin: "test".into(),
            quorum: Quorum { threshold: 1, keys: vec![key(1).public()] },
            attestation_root_sha256: Sha256(root.sha256()),
            builds,
            sealing_provider: SealingProvider::AwsKms(AwsKms {
                endpoint: HostName::parse(HOST).unwrap(),
                key_arn: KeyArn::parse(KEY_ARN).unwrap(),
                trust_anchors: vec![Base64(trusted.certificate().to_vec())],
            }),
            created_at_ms: 1,
        };
        let AwsCredentials { access_key_id, secret_access_key, session_token } = credentials();
        let settings = Settings {
            key_arn: KEY_ARN.into(),
            root: TrustRoot::from_sha256(root.sha256()).unwrap(),
            caller: Caller { access_key_id, secret_access_key, session_token },
            policy: KeyPolicy { image_sha384, pcr16: Some(manifest_pcr16(manifest.sha256().0)) },
        };
        let server = Server::start(&authority, host, settings).await;
        let folder = tempfile::tempdir().unwrap();
        let endpoint = relay_endpoint(&folder);
        let stop = CancellationToken::new();
        let serving = relay::serve(endpoint.clone(), relay_config(&server), stop.clone());
        tokio::spawn(async move { serving.await.unwrap() });
        while nsl_enclave_protocol::connect(&endpoint, std::time::Duration::from_secs(5)).await.is_err() {
            tokio::task::yield_now().await;
        }
        let genesis = Signed::sign(manifest, &[&key(1)]);
        let root_pem = root.to_pem().to_string();
        Self { folder, root_pem, genesis, server, _relay: stop.drop_guard() }
    }

    pub(crate) fn genesis_sha256(&self) -> Sha256 {
        self.genesis.statement.sha256()
    }

    pub(crate) async fn worker(&self) -> Worker {
        self.worker_behind(relay_endpoint(&self.folder)).await
    }

    /// A worker that is told of this relay.
    pub(crate) async fn worker_behind(&self, relay: Endpoint) -> Worker {
        let genesis = Genesis::obey(self.genesis.clone()).unwrap();
        let sources = Sources { kms_relay: Some(relay), ..Sources::default() };
        let provided = obtain(&genesis, &sources).unwrap();
        let root = DevelopmentRoot::from_pem(self.root_pem.as_bytes()).unwrap();
        let nsm = SoftwareNsm::boot(root, MEASUREMENTS, Box::new(system_time_ms)).unwrap();
        Worker::start(genesis, Box::new(nsm), provided).await.unwrap()
    }

    pub(crate) fn order(&self, epoch: u32) -> Signed<SealingOrder> {
        let order = SealingOrder {
            custodians: vec![],
            epoch,
            genesis_sha256: self.genesis_sha256(),
            issued_at_ms: 1,
            quorum_epoch: 0,
            threshold: 0,
        };
        Signed::sign(order, &[&key(1)])
    }

    pub(crate) async fn found(&self, worker: &Worker, epoch: u32) -> SealingRecord {
        match sealing(worker, SealingRequest::Found { order: self.order(epoch) }).await.unwrap() {
            SealingAnswer::Founded { record } => record,
            other => panic!("{other:?}"),
        }
    }
}

fn relay_endpoint(folder: &TempDir) -> Endpoint {
    Endpoint::Unix { path: folder.path().join("kms.sock") }
}

fn relay_config(server: &Server) -> KmsConfig {
    KmsConfig {
        listen: vec![],
        address: server.address(),
        connections_max: NonZeroU16::new(4).unwrap(),
        connection_timeout_ms: NonZeroU64::new(15_000).unwrap(),
        credentials: CredentialsSource::InstanceRole,
        credentials_file: PathBuf::new(),
        metadata_address: String::new(),
    }
}

pub(crate) async fn ask(worker: &Worker, request: &Request) -> Response {
    Response::from_bytes(&worker.answer(&request.to_bytes()).await).unwrap()
}

/// Code and message of a no.
pub(crate) type No = (String, String);

pub(crate) async fn sealing(worker: &Worker, about: SealingRequest) -> Result<SealingAnswer, No> {
    sealing_as(worker, about, Some(credentials())).await
}

pub(crate) async fn sealing_as(
    worker: &Worker,
    about: SealingRequest,
    credentials: Option<AwsCredentials>,
) -> Result<SealingAnswer, No> {
    match ask(worker, &Request::Sealing { about: Box::new(about), credentials }).await {
        Response::Sealing { answer } => Ok(*answer),
        Response::Error { code, message } => Err((code, message)),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn open(worker: &Worker, record: &SealingRecord) -> Result<SealingStatus, No> {
    match sealing(worker, SealingRequest::Open { record: record.clone() }).await? {
        SealingAnswer::Status { status } => Ok(status),
        other => panic!("{other:?}"),
    }
}

/// That a worker which was refused a key has none, and works with one as soon as it gets it.
pub(crate) async fn still_waits(worker: &Worker) {
    assert!(worker.describe().sealing_keys.is_empty());
}
