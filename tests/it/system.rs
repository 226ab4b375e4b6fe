//! A running system: the runner of `cargo dev` on a temporary site, with all services and parts.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nsl_client::{Client, Credentials, Options, authority};
use nsl_local_services::{Identity, Site, SiteDirectory};
use nsl_neo::Address;
use nsl_schemas::authority::GenesisManifest;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::token::Tenant;
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use crate::patience::{PATIENCE, until};

/// Two systems at once would only slow each other down.
static TURN: Mutex<()> = Mutex::const_new(());

/// The tenant that a local site is made with.
pub(crate) const TENANT: &str = "demo";
/// How long the node may take to answer.
const NODE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one attempt of a command waits: shorter than usual, as crashes make many attempts necessary.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What a first start with custodians is given, and every later one.
const CUSTODIANS: &[&str] = &["--custodians"];

/// The programs that a test runs.
#[derive(Clone)]
struct Programs {
    dev: PathBuf,
    services: PathBuf,
}

impl Programs {
    /// The services as a site has them, or with failpoints.
    fn from_environment(services: &str) -> Option<Self> {
        let variable = |name: &str| {
            let value = std::env::var_os(name).map(PathBuf::from);
            if value.is_none() {
                eprintln!("SKIPPED: {name} names no programs; run `cargo dev test`");
            }
            value
        };
        Some(Self { dev: variable("NSL_TEST_DEV")?, services: variable(services)? })
    }

    /// `cargo dev` for the site in `folder`.
    fn dev(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.dev);
        command
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
            .env("NSL_SITE_DIR", folder)
            .env("NSL_BINARIES_DIR", &self.services)
            .stdin(Stdio::null());
        command
    }
}

/// Stops when it is dropped, and fails the test when a process outlives it.
pub(crate) struct System {
    runner: Child,
    folder: Option<TempDir>,
    directory: SiteDirectory,
    programs: Programs,
    /// What the runner says about the site: endpoints by label.
    lines: BTreeMap<String, String>,
    /// Another bus than the site's own, once the services were moved to it.
    bus: Option<String>,
    /// Another port of the database than the site's own, once the services were moved to it.
    database_port: Option<u16>,
    turn: Option<MutexGuard<'static, ()>>,
}

/// What there is in another place when a site is lost: its people's keys, the manifest, the worker's build. And the chain,
/// which was never a part of it.
pub(crate) struct Remains {
    folder: TempDir,
    programs: Programs,
    turn: MutexGuard<'static, ()>,
}

impl System {
    /// A fresh system, ready; `None` (said aloud) when there are no programs to run.
    pub(crate) async fn start() -> Option<Self> {
        Self::start_of("NSL_TEST_BINARIES_DIR", &[]).await
    }

    /// A fresh system whose workers' sealing key a quorum of custodians brings back.
    pub(crate) async fn start_with_custodians() -> Option<Self> {
        Self::start_of("NSL_TEST_BINARIES_DIR", CUSTODIANS).await
    }

    /// A fresh system whose processes can be made to die at named steps.
    pub(crate) async fn start_with_failpoints() -> Option<Self> {
        Self::start_of("NSL_TEST_FAILPOINT_BINARIES_DIR", &[]).await
    }

    async fn start_of(services: &str, options: &[&str]) -> Option<Self> {
        let programs = Programs::from_environment(services)?;
        let turn = TURN.lock().await;
        let folder = tempfile::Builder::new().prefix("nsl-system-").tempdir().unwrap();
        Some(Self::start_in(folder, programs, turn, options).await)
    }

    async fn start_in(
        folder: TempDir,
        programs: Programs,
        turn: MutexGuard<'static, ()>,
        options: &[&str],
    ) -> Self {
        let directory = SiteDirectory::at(folder.path());
        // In the foreground: it stays in this terminal's group, so that a Ctrl-C ends it like everything else here.
        let output = std::fs::File::create(folder.path().join("runner.log")).unwrap();
        let mut runner = programs.dev(folder.path());
        runner.args(["up", "--foreground"]).args(options).stdout(output.try_clone().unwrap()).stderr(output);
        let runner = runner.spawn().unwrap();
        let mut system = Self {
            runner,
            folder: Some(folder),
            directory,
            programs,
            lines: BTreeMap::new(),
            bus: None,
            database_port: None,
            turn: Some(turn),
        };
        system.lines = system.await_ready().await;
        system
    }

    /// Ends every process at once and removes the database, the bus and all else that the site wrote.
    pub(crate) fn lose(mut self) -> Remains {
        let processes: Vec<Identity> =
            self.processes().iter().filter_map(|name| self.identity(name)).collect();
        let deadline = Instant::now() + PATIENCE;
        // The chain is no part of the site and keeps its blocks, so its node alone ends in good order.
        signal(self.runner.id(), Signal::SIGSTOP);
        let node = self.identity("neo").unwrap();
        signal(node.id, Signal::SIGTERM);
        while !has_ended(node.id) {
            assert!(Instant::now() < deadline, "the node does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        // The kernel ends what the runner started with it.
        self.runner.kill().unwrap();
        self.runner.wait().unwrap();
        while processes.iter().any(Identity::is_alive) {
            assert!(Instant::now() < deadline, "processes outlive their runner: {processes:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let folder = tempfile::Builder::new().prefix("nsl-system-").tempdir().unwrap();
        for kept in ["keys", "genesis.json", "bin", "neo"] {
            std::fs::rename(self.path().join(kept), folder.path().join(kept)).unwrap();
        }
        let lost = self.folder.take().unwrap();
        Site::remove(lost.path()).unwrap();
        Remains { folder, programs: self.programs.clone(), turn: self.turn.take().unwrap() }
    }

    async fn await_ready(&mut self) -> BTreeMap<String, String> {
        let record = self.directory.run().join("runner.json");
        let log = self.directory.path().join("runner.log");
        let runner = &mut self.runner;
        until("the system is ready", async || {
            if let Some(status) = runner.try_wait().unwrap() {
                panic!("the runner ended with {status}:\n{}", std::fs::read_to_string(&log).unwrap());
            }
            let record: Value = serde_json::from_str(&std::fs::read_to_string(&record).ok()?).ok()?;
            (record["state"] == "ready").then(|| {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let line = |line: &Value| (text(&line["label"]), text(&line["value"]));
                record["lines"].as_array().unwrap().iter().map(line).collect()
            })
        })
        .await
    }

    fn line(&self, label: &str) -> &str {
        self.lines.get(label).unwrap_or_else(|| panic!("the runner says nothing of {label}"))
    }

    /// The folder of the site.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A key of the site.
    pub(crate) fn key(&self, name: &str) -> SigningKey {
        let seed = std::fs::read_to_string(self.path().join(format!("keys/{name}.seed"))).unwrap();
        SigningKey::parse_seed(&seed).unwrap()
    }

    /// What clients trust.
    pub(crate) fn genesis(&self) -> GenesisManifest {
        let bytes = std::fs::read(self.path().join("genesis.json")).unwrap();
        authority::read_genesis(&bytes).unwrap().statement
    }

    /// A connection of its own as the developer.
    pub(crate) async fn client(&self) -> Client {
        self.client_of(self.key("developer")).await
    }

    /// A connection of its own as another issuer.
    pub(crate) async fn client_of(&self, issuer: SigningKey) -> Client {
        let (credentials, server) = self.bus_access("nats");
        let options = Options::new(server, Tenant::parse(TENANT).unwrap())
            .issued_by(issuer)
            .authenticated_as(credentials);
        Client::connect(Options { answer_timeout: ANSWER_TIMEOUT, ..options }).await.unwrap()
    }

    /// A bare connection to the service's own account of the bus, with every right.
    pub(crate) async fn bus(&self) -> async_nats::Client {
        let (Credentials { user, password }, server) = self.bus_access("nats admin");
        async_nats::ConnectOptions::with_user_and_password(user, password).connect(server).await.unwrap()
    }

    /// A bare connection as a user of the bus.
    pub(crate) async fn bus_of(&self, user: &str) -> async_nats::Client {
        let server = self.bus_access("nats").1;
        let options =
            async_nats::ConnectOptions::with_user_and_password(user.to_owned(), self.password(user));
        options.connect(server).await.unwrap()
    }

    /// A connection of its own as the developer of a further tenant.
    pub(crate) async fn client_of_tenant(&self, tenant: &str) -> Client {
        let user = format!("tenant-{tenant}");
        let credentials = Credentials { password: self.password(&user), user };
        let options = Options::new(self.bus_access("nats").1, Tenant::parse(tenant).unwrap())
            .issued_by(self.key(&format!("{tenant}-developer")))
            .authenticated_as(credentials);
        Client::connect(Options { answer_timeout: ANSWER_TIMEOUT, ..options }).await.unwrap()
    }

    /// The password of a user of the bus.
    pub(crate) fn password(&self, user: &str) -> String {
        let path = self.directory.secret(&format!("nats-{user}-password"));
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// The port of the bus.
    pub(crate) fn bus_port(&self) -> u16 {
        self.bus_access("nats").1.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    fn bus_access(&self, label: &str) -> (Credentials, String) {
        let (user_info, server) = self.line(label).strip_prefix("nats://").unwrap().split_once('@').unwrap();
        let (user, password) = user_info.split_once(':').unwrap();
        let server = self.bus.clone().unwrap_or_else(|| format!("nats://{server}"));
        (Credentials { user: user.into(), password: password.into() }, server)
    }

    /// A file that the site was configured with.
    pub(crate) fn configuration(&self, file: &str) -> PathBuf {
        self.directory.configuration(file)
    }

    /// Moves every service to another bus by their configurations, which they read at their next start. Whoever connects
    /// for a test from here on goes to the first of the servers.
    pub(crate) async fn move_to_bus(&mut self, servers: &[String], replicas: usize) {
        self.bus = servers.first().cloned();
        for name in ["commands", "projections", "enclave-host", "chain-relay", "price-sources"] {
            let file = self.configuration(&format!("{name}.toml"));
            let text = std::fs::read_to_string(&file).unwrap();
            let own = |line: &&str| line.starts_with("url = \"nats://");
            let old = text.lines().find(own).unwrap();
            let new = format!("replicas = {replicas}\nurl = \"{}\"", servers.join(","));
            std::fs::write(&file, text.replace(old, &new)).unwrap();
            self.end(name, Signal::SIGTERM).await;
        }
        let admins: Vec<String> =
            ["commands", "projections", "enclave-host", "chain-relay"].map(|name| self.admin(name)).into();
        for admin in admins {
            until("a moved service is ready", async || crate::admin::get(&admin, "/readyz").await).await;
        }
    }

    /// Moves the services that have a database to another port of it.
    pub(crate) async fn move_to_database(&mut self, port: u16) {
        let own = self.database_url();
        let address = |url: &str| url[url.rfind('@').unwrap()..].to_owned();
        self.database_port = Some(port);
        let (own, new) = (address(&own), address(&self.database_url()));
        for name in ["commands", "projections"] {
            let file = self.configuration(&format!("{name}.toml"));
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(text.contains(&own), "{text}");
            std::fs::write(&file, text.replace(&own, &new)).unwrap();
            self.end(name, Signal::SIGTERM).await;
        }
        for name in ["commands", "projections"] {
            let admin = self.admin(name);
            until("a moved service is ready", async || crate::admin::get(&admin, "/readyz").await).await;
        }
    }

    /// The owner's url of the database.
    pub(crate) fn database_url(&self) -> String {
        let url = self.line("postgres");
        let Some(port) = self.database_port else { return url.to_owned() };
        let options: PgConnectOptions = url.parse().unwrap();
        url.replace(&format!(":{}/", options.get_port()), &format!(":{port}/"))
    }

    /// The database as one of the services' roles.
    pub(crate) fn database_as(&self, role: &str) -> PgPool {
        let password =
            std::fs::read_to_string(self.directory.secret(&format!("postgres-{role}-password"))).unwrap();
        let options: PgConnectOptions = self.database_url().parse().unwrap();
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(NODE_TIMEOUT);
        pool.connect_lazy_with(options.username(role).password(password.trim()))
    }

    /// The database, as its owner.
    pub(crate) fn database(&self) -> PgPool {
        let options = PgPoolOptions::new().max_connections(4).acquire_timeout(NODE_TIMEOUT);
        options.connect_lazy(&self.database_url()).unwrap()
    }

    /// The chain, asked directly.
    pub(crate) fn node(&self) -> nsl_neo_rpc::Client {
        nsl_neo_rpc::Client::new(self.line("neo rpc"), NODE_TIMEOUT).unwrap()
    }

    /// Runs `nsl` as a person with the site's context does.
    pub(crate) fn nsl<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Output {
        let mut command = Command::new(self.programs.services.join("nsl"));
        command
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("XDG_STATE_HOME", self.path().join("state"))
            .stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Runs `cargo dev` on this system.
    pub(crate) fn dev(&self, arguments: &[&str]) -> Output {
        let mut command = self.programs.dev(self.path());
        command.args(arguments).output().unwrap()
    }

    /// Pays whole GAS from the chain's genesis account and returns when it is in a block.
    pub(crate) fn fund(&self, address: Address, gas: u32) {
        let output = self.dev(&["fund", &address.to_string(), &gas.to_string()]);
        assert!(output.status.success(), "{}", text(&output));
    }

    /// Rebuilds every read model from the log and compares it with the live one; panics with the differences.
    pub(crate) fn check_read_models(&self) {
        let output = Command::new(self.programs.services.join("nsl-projections"))
            .args(["rebuild", "all", "--verify", "--config"])
            .arg(self.directory.configuration("projections.toml"))
            .output()
            .unwrap();
        assert!(output.status.success(), "read models differ from the log: {}", text(&output));
    }

    /// The admin address of a service.
    pub(crate) fn admin(&self, name: &str) -> String {
        self.line(name).strip_prefix("http://").unwrap().to_owned()
    }

    /// A further process of a service with the site's configuration and some settings of its own. The runner knows
    /// nothing of it.
    pub(crate) fn further(&self, binary: &str, configuration: &str, settings: &[String]) -> Command {
        let mut command = Command::new(self.programs.services.join(binary));
        command.arg("--config").arg(self.directory.configuration(configuration));
        for setting in settings {
            command.args(["--set", setting]);
        }
        command.current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// The names of all processes that the runner keeps running.
    pub(crate) fn processes(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.directory.run()).into_iter().flatten().flatten();
        let name = |path: PathBuf| {
            let is_record = path.extension().is_some_and(|extension| extension == "pid");
            is_record.then(|| path.file_stem().unwrap().to_str().unwrap().to_owned())
        };
        entries.filter_map(|entry| name(entry.path())).collect()
    }

    fn identity(&self, name: &str) -> Option<Identity> {
        let record = std::fs::read_to_string(self.directory.process_record(name)).ok()?;
        Identity::from_json(&record).filter(Identity::is_alive)
    }

    /// Ends a process by a signal, and returns when the runner has started another one in its place.
    pub(crate) async fn end(&self, name: &str, by: Signal) {
        self.replaced(name, async |ended| signal(ended, by)).await;
    }

    /// Has a process end, and returns when the runner has started another one in its place.
    pub(crate) async fn replaced(&self, name: &str, end: impl AsyncFnOnce(u32)) {
        let ended = until("the process to end runs", async || self.identity(name)).await;
        end(ended.id).await;
        until("the ended process is started again", async || {
            self.identity(name).filter(|identity| *identity != ended)
        })
        .await;
    }

    /// Puts a line into a section of a service's configuration; it counts from the next start of the process.
    pub(crate) fn configure(&self, service: &str, section: &str, line: &str) {
        let file = self.directory.configuration(&format!("{service}.toml"));
        let header = format!("[{section}]\n");
        let before = std::fs::read_to_string(&file).unwrap();
        assert!(before.contains(&header), "{before}");
        std::fs::write(&file, before.replace(&header, &format!("{header}{line}\n"))).unwrap();
    }

    /// Sends a process a signal that it survives.
    pub(crate) async fn signal(&self, name: &str, signal: Signal) {
        let identity = until("the process to signal runs", async || self.identity(name)).await;
        self::signal(identity.id, signal);
    }

    /// Runs `nsl-event-log` on the database, as its owner.
    pub(crate) fn event_log(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.programs.services.join("nsl-event-log"));
        command.args(arguments).arg("--json").env("NSL_EVENT_LOG_DATABASE_URL", self.database_url());
        command.stdin(Stdio::null()).output().unwrap()
    }

    fn stop(&mut self) -> Vec<Identity> {
        let identities = self.processes().iter().filter_map(|name| self.identity(name)).collect();
        if self.runner.try_wait().unwrap().is_none() {
            signal(self.runner.id(), Signal::SIGTERM);
        }
        let deadline = Instant::now() + PATIENCE;
        while self.runner.try_wait().unwrap().is_none() {
            if Instant::now() >= deadline {
                // The kernel ends its processes with it.
                let _ = self.runner.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        identities
    }
}

impl Remains {
    /// A fresh site of what is left, whose database is filled by `restore` before any service starts. Custodians give
    /// their shares to its first worker.
    pub(crate) async fn rebuild(self, restore: impl AsyncFnOnce(&System)) -> System {
        let mut parts = System::start_in(self.folder, self.programs, self.turn, &["--parts-only"]).await;
        restore(&parts).await;
        parts.stop();
        let (folder, turn) = (parts.folder.take().unwrap(), parts.turn.take().unwrap());
        let programs = parts.programs.clone();
        drop(parts);
        System::start_in(folder, programs, turn, CUSTODIANS).await
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let identities = self.stop();
        let Some(folder) = self.folder.take() else { return };
        if std::thread::panicking() {
            eprintln!("the site of the failed test, with all logs: {}", folder.keep().display());
            return;
        }
        let status = self.runner.wait().unwrap();
        assert!(status.success(), "the runner ended with {status}, signal {:?}", status.signal());
        let left: Vec<_> = identities.iter().filter(|identity| identity.is_alive()).collect();
        assert!(left.is_empty(), "processes outlive their runner: {left:?}");
        // The database may lie outside the site; whoever put it there removes it.
        Site::remove(folder.path()).unwrap();
    }
}

/// Whether a process is over, even if its parent has not asked for its end yet.
fn has_ended(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, fields)| fields.starts_with('Z'))
}

pub(crate) fn signal(id: u32, signal: Signal) {
    kill(Pid::from_raw(id.try_into().unwrap()), signal).unwrap();
}

/// Everything that a program said.
pub(crate) fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}
