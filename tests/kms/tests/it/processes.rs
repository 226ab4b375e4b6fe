//! Host and workers as processes: the host relays, says who asks, and has the key brought back to whichever worker starts.
//! The log is played at the level of the bus: it tells the records that it holds.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::{Client, jetstream};
use futures::StreamExt as _;
use nsl_kms::KeyPolicy;
use nsl_schemas::authority::Build;
use nsl_schemas::canonical;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::query::{Page, Reply};
use nsl_schemas::sealing::{
    SealingAnswer, SealingQuestion, SealingRecord, SealingReply, SealingRequest, SealingWorker,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::site::{Site, Variation, credentials};

/// Far enough not to be met by a healthy run on a busy machine.
const PATIENT: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(100);

/// Ends with the test.
struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program beside the tests' own.
fn program(name: &str) -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.parent()?.parent()?.join(name);
    if !program.exists() {
        println!("SKIPPED: no {}: cargo build -p {name} --features development", program.display());
        return None;
    }
    Some(program)
}

struct Running {
    site: Site,
    folder: TempDir,
    bus: Client,
    records: Arc<Mutex<Vec<SealingRecord>>>,
    worker: PathBuf,
    _host: Process,
}

impl Running {
    /// None (said aloud) where the parts are missing.
    async fn start() -> Option<Self> {
        let Ok(url) = std::env::var("NSL_TEST_NATS_URL") else {
            println!("SKIPPED: set NSL_TEST_NATS_URL to a nats-server with JetStream to run this test");
            return None;
        };
        let (host, worker) = (program("nsl-enclave-host")?, program("nsl-enclave-worker")?);
        let measured = Command::new(&worker).arg("measure").output().unwrap();
        let build: Build = canonical::from_slice(measured.stdout.trim_ascii_end()).unwrap();
        let site = Site::varied(Variation { builds: vec![build], ..Variation::default() }).await;
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path(), &site);
        let bus = async_nats::connect(&url).await.unwrap();
        let jetstream = jetstream::new(bus.clone());
        for stream in ["NSL_JOB", "NSL_PARKED"] {
            let _ = jetstream.delete_stream(stream).await;
        }
        let records = Arc::default();
        tell(&bus, "operator-acts", Arc::<Mutex<Vec<()>>>::default()).await;
        tell(&bus, "sealing-records", Arc::clone(&records)).await;
        let path = folder.path().display();
        let mut command = Command::new(host);
        for setting in [
            format!("bus.url={url}"),
            format!("issuer.seed_file={path}/seed"),
            format!("genesis.file={path}/genesis.json"),
            format!("workers.endpoints=[\"unix://{path}/worker.sock\"]"),
            format!("kms.listen=[\"unix://{path}/relay.sock\"]"),
            format!("kms.address={}", site.server.address()),
            "kms.credentials=file".to_owned(),
            format!("kms.credentials_file={path}/credentials.json"),
            "telemetry.admin_address=127.0.0.1:0".to_owned(),
        ] {
            command.arg("--set").arg(setting);
        }
        Some(Self { _host: Process::start(&mut command), site, folder, bus, records, worker })
    }

    fn start_worker(&self) -> Process {
        let path = self.folder.path().display();
        let mut command = Command::new(&self.worker);
        command.args(["--listen", &format!("unix://{path}/worker.sock")]);
        command.args(["--genesis", &format!("{path}/genesis.json")]);
        command.args(["--development-nsm-root", &format!("{path}/root.pem")]);
        command.args(["--kms-relay", &format!("unix://{path}/relay.sock")]);
        Process::start(&mut command)
    }

    async fn ask<Q: Serialize, A: DeserializeOwned>(&self, name: &str, question: &Q) -> Option<Reply<A>> {
        let subject = format!("nsl.v1.qry.system.{name}");
        let asked = self.bus.request(subject, canonical::to_string(question).into()).await.ok()?;
        Some(canonical::from_slice(&asked.payload).unwrap())
    }

    /// Has the operators' order carried out by way of the host.
    async fn found(&self) -> SealingRecord {
        let about = SealingRequest::Found { order: self.site.order(1) };
        let question = SealingQuestion { about, worker: None };
        let deadline = Instant::now() + PATIENT;
        loop {
            let reply: Option<Reply<SealingReply>> = self.ask("sealing", &question).await;
            match reply {
                Some(Reply::Ok(SealingReply { answer: SealingAnswer::Founded { record }, .. })) => {
                    return record;
                }
                other => assert!(Instant::now() < deadline, "{other:?}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits for a worker that is as it shall be.
    async fn worker(&self, what: &str, is_reached: impl Fn(&SealingWorker) -> bool) -> SealingWorker {
        let deadline = Instant::now() + PATIENT;
        loop {
            let reply: Option<Reply<Page<SealingWorker>>> = self.ask("sealing-workers", &()).await;
            let told = match reply {
                Some(Reply::Ok(page)) => page.data.into_iter().next(),
                _ => None,
            };
            match told {
                Some(worker) if is_reached(&worker) => return worker,
                other => assert!(Instant::now() < deadline, "{what}: {other:?}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn write_files(folder: &Path, site: &Site) {
    fs::write(folder.join("genesis.json"), canonical::to_string(&site.genesis)).unwrap();
    fs::write(folder.join("root.pem"), &site.root_pem).unwrap();
    let caller = credentials();
    let credentials = serde_json::json!({
        "Version": 1,
        "AccessKeyId": caller.access_key_id,
        "SecretAccessKey": caller.secret_access_key,
        "SessionToken": caller.session_token,
    });
    fs::write(folder.join("credentials.json"), credentials.to_string()).unwrap();
    let seed = folder.join("seed");
    fs::write(&seed, &*SigningKey::seed_text(&[4; 32])).unwrap();
    fs::set_permissions(seed, Permissions::from_mode(0o600)).unwrap();
}

/// Answers a question with a list, as the projections do.
async fn tell<T: Serialize + Clone + Send + 'static>(bus: &Client, name: &str, list: Arc<Mutex<Vec<T>>>) {
    let mut questions = bus.subscribe(format!("nsl.v1.qry.system.{name}")).await.unwrap();
    let bus = bus.clone();
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            let data = list.lock().unwrap().clone();
            let page = canonical::to_string(&Reply::Ok(Page { data, next: None }));
            bus.publish(question.reply.unwrap(), page.into()).await.unwrap();
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_has_kms_give_its_key_to_every_worker_that_starts() {
    let Some(running) = Running::start().await else { return };
    let first = running.start_worker();
    let record = running.found().await;
    let key_id = record.statement.key_id.clone();
    let is_waiting = |worker: &SealingWorker| worker.status.keys.is_empty();
    running.worker("what is not recorded is not opened", is_waiting).await;

    running.records.lock().unwrap().push(record);
    let has_key = |worker: &SealingWorker| worker.status.keys.iter().any(|key| key.key_id == key_id);
    let before = running.worker("the key is there", has_key).await;

    drop(first);
    let second = running.start_worker();
    let after = running.worker("the key is there again", has_key).await;
    assert_ne!(before.worker, after.worker);

    // A key policy that no longer allows the build, and is corrected.
    drop(second);
    let allowed = running.site.genesis.statement.builds[0].pcr0.0;
    running.site.server.set_policy(KeyPolicy { image_sha384: vec![[0xb0; 48]], pcr16: None });
    let asked = running.site.server.asked().len();
    let _third = running.start_worker();
    while running.site.server.asked().len() == asked {
        tokio::time::sleep(PAUSE).await;
    }
    running.worker("the worker waits", is_waiting).await;
    running.site.server.set_policy(KeyPolicy { image_sha384: vec![allowed], pcr16: None });
    running.worker("the worker has waited", has_key).await;
}
