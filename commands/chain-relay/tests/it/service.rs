//! The relay as a process, and what surrounds it.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nsl_client::{Client, Options, QueryError};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::query::name;
use nsl_schemas::token::Tenant;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use crate::chain::Chain;
use crate::write_side::WriteSide;

/// Between two looks at something that is awaited.
const RETRY: Duration = Duration::from_millis(20);

pub(crate) const ISSUER_SEED: [u8; 32] = [42; 32];

/// All relays of a server share one consumer, so that the tests take turns.
static TURN: Mutex<()> = Mutex::const_new(());

pub(crate) struct World {
    pub(crate) chain: Chain,
    pub(crate) write_side: WriteSide,
    pub(crate) client: Client,
    pub(crate) tenant: Tenant,
    nats_url: String,
    neo_url: String,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// The world, or `None`, said aloud, when a server is not named.
pub(crate) async fn world() -> Option<World> {
    let urls = (std::env::var("NSL_TEST_NATS_URL"), std::env::var("NSL_TEST_NEO_RPC"));
    let (Ok(nats_url), Ok(neo_url)) = urls else {
        // Written past the test harness, which hides the output of passing tests.
        let reason =
            "SKIPPED: NSL_TEST_NATS_URL and NSL_TEST_NEO_RPC do not name a NATS server and a Neo node";
        let mut stderr = std::io::stderr();
        writeln!(stderr, "{reason}").unwrap();
        return None;
    };
    let turn = TURN.lock().await;
    let tenant = Tenant::parse(&format!("t{}", Uuid::now_v7().simple())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut file = std::fs::OpenOptions::new();
    let mut file = file.write(true).create_new(true).mode(0o600).open(folder.path().join("seed")).unwrap();
    writeln!(file, "{}", *SigningKey::seed_text(&ISSUER_SEED)).unwrap();
    Some(World {
        chain: Chain::connect(&neo_url).await,
        write_side: WriteSide::connect(&nats_url, &tenant).await,
        client: Client::connect(Options::new(&nats_url, tenant.clone())).await.unwrap(),
        tenant,
        nats_url,
        neo_url,
        folder,
        _turn: turn,
    })
}

impl World {
    /// A relay of the node under test.
    pub(crate) fn relay(&self) -> Relay {
        self.relay_of(&self.neo_url)
    }

    /// A relay of a node that may not be there.
    pub(crate) fn relay_of(&self, neo_url: &str) -> Relay {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nsl-chain-relay"));
        for setting in [
            "telemetry.admin_address=127.0.0.1:0".to_owned(),
            "telemetry.log_filter=error".to_owned(),
            format!("bus.url={}", self.nats_url),
            format!("neo.rpc_url={neo_url}"),
            format!("issuer.seed_file={}", self.folder.path().join("seed").display()),
            "relay.poll_ms=50".to_owned(),
            // Short, so that what a killed relay held comes again soon.
            "relay.ack_wait_ms=1000".to_owned(),
        ] {
            command.args(["--set", &setting]);
        }
        Relay { process: command.stdout(Stdio::null()).spawn().unwrap() }
    }
}

impl World {
    /// Waits until a relay answers questions, with whatever answer.
    pub(crate) async fn answers(&self) {
        loop {
            let answer = self.client.query::<_, Value>(&self.tenant, name::BALANCES, &()).await;
            match answer {
                Err(QueryError::Unavailable { .. }) => tokio::time::sleep(RETRY).await,
                _ => return,
            }
        }
    }

    /// Waits until one more job was given to a relay than `deliveries` before.
    pub(crate) async fn delivers_after(&self, deliveries: u64) {
        while self.write_side.deliveries().await <= deliveries {
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// A running relay, killed on drop.
pub(crate) struct Relay {
    process: Child,
}

impl Relay {
    /// Ends it at once, as a crash does.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to stop, and returns its exit code.
    pub(crate) async fn stop(mut self) -> Option<i32> {
        kill(Pid::from_raw(i32::try_from(self.process.id()).unwrap()), Signal::SIGTERM).unwrap();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
