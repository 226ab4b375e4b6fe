//! A site: one folder, its processes, and the one opener that owns both.

mod directory;
mod error;
mod settings;
mod tenants;

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Instant;

use tempfile::TempDir;

pub use directory::SiteDirectory;
pub use error::Error;
use settings::Settings;
pub use tenants::add_tenant;

use crate::cancellation::Hooks;
use crate::nats::{self, NatsEndpoint};
use crate::neo::{self, NeoEndpoint};
use crate::postgres::{self, Cluster, PostgresEndpoint};
use crate::private_file::{random_hex, read_bounded, remove, write_private};
use crate::process::{Process, Specification};
use crate::tools::Tools;
use crate::user::User;

/// Beyond guessing, in hex.
const SECRET_BYTES: usize = 24;

/// A third-party service that a site can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The database, process `postgres`.
    Postgres,
    /// The bus, process `nats`.
    Nats,
    /// The chain node, process `neo`.
    Neo,
}

impl Part {
    /// Every part, in the order of starting.
    pub const ALL: [Self; 3] = [Self::Postgres, Self::Nats, Self::Neo];
}

/// Where the started parts listen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// The database, once started.
    pub postgres: Option<PostgresEndpoint>,
    /// The bus, once started.
    pub nats: Option<NatsEndpoint>,
    /// The chain node, once started.
    pub neo: Option<NeoEndpoint>,
}

/// An opened site. Its processes are stopped when it is dropped, and killed when this process dies.
#[derive(Debug)]
pub struct Site {
    // Dropped first: the processes must be gone before the temporary folder is.
    processes: Vec<Process>,
    directory: SiteDirectory,
    settings: Settings,
    endpoints: Endpoints,
    tools: Tools,
    hooks: Hooks,
    temporary: Option<TempDir>,
    _lock: directory::Lock,
}

impl Site {
    /// Opens the site in `folder`, creating it when it is missing. Fails when somebody else has it open.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        Self::open_with(folder, Tools::from_environment()?, Hooks::default())
    }

    /// [`Site::open`] with the tools to use and hooks into long operations.
    pub fn open_with(folder: &Path, tools: Tools, hooks: Hooks) -> Result<Self, Error> {
        let directory = SiteDirectory::create(folder)?;
        let lock = directory.lock()?;
        let settings = Settings::load(directory.settings())?;
        let endpoints = Endpoints::default();
        let processes = Vec::new();
        Ok(Self { processes, directory, settings, endpoints, tools, hooks, temporary: None, _lock: lock })
    }

    /// A site of its own in a temporary folder with these parts started; all of it goes when it is dropped. Its bus lets
    /// clients without credentials in, as the bus of a test.
    pub fn temporary(parts: &[Part]) -> Result<Self, Error> {
        Self::temporary_with(parts, Tools::from_environment()?, Hooks::default())
    }

    /// [`Site::temporary`] with the tools to use and hooks into long operations.
    pub fn temporary_with(parts: &[Part], tools: Tools, hooks: Hooks) -> Result<Self, Error> {
        let folder =
            tempfile::Builder::new().prefix("nsl-site-").tempdir().map_err(Error::TemporaryFolder)?;
        let mut site = Self::open_with(folder.path(), tools, hooks)?;
        site.temporary = Some(folder);
        for part in parts {
            site.start(*part)?;
        }
        Ok(site)
    }

    /// Removes everything of the site in `folder`. Fails when somebody has it open.
    pub fn remove(folder: &Path) -> Result<(), Error> {
        let directory = SiteDirectory::create(folder)?;
        let _lock = directory.lock()?;
        postgres::remove_elsewhere(&directory)?;
        Ok(remove(folder)?)
    }

    /// Where its files are.
    pub fn directory(&self) -> &SiteDirectory {
        &self.directory
    }

    /// Where the parts that were started listen.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The programs it runs.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Starts one part.
    pub fn start(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::Postgres => self.start_postgres().map(drop),
            Part::Nats => self.start_nats().map(drop),
            Part::Neo => self.start_neo().map(drop),
        }
    }

    /// Starts Postgres and returns where it listens; its first start creates the cluster.
    pub fn start_postgres(&mut self) -> Result<PostgresEndpoint, Error> {
        if let Some(endpoint) = self.endpoints.postgres.clone() {
            return Ok(endpoint);
        }
        let (cluster, binaries) = self.locate_postgres()?;
        let password = self.secret("postgres-password")?;
        cluster.initialise(&binaries, &password, &self.hooks)?;

        let roles =
            postgres::ROLES.map(|role| Ok((role, self.secret(&format!("postgres-{role}-password"))?)));
        let roles = roles.into_iter().collect::<Result<_, Error>>()?;
        let endpoint = PostgresEndpoint::new(self.port("postgres")?, password, roles);
        self.run_postgres(&cluster, &binaries, &endpoint)?;
        cluster.give_roles(&binaries, &endpoint)?;
        self.endpoints.postgres = Some(endpoint.clone());
        Ok(endpoint)
    }

    /// Starts Postgres as a standby of another site's, with the passwords of that one, and returns where it listens; its
    /// first start copies the primary.
    pub fn start_postgres_standby(&mut self, primary: &PostgresEndpoint) -> Result<PostgresEndpoint, Error> {
        let (cluster, binaries) = self.locate_postgres()?;
        cluster.copy(&binaries, primary, &self.hooks)?;
        let endpoint = PostgresEndpoint { port: self.port("postgres")?, ..primary.clone() };
        self.run_postgres(&cluster, &binaries, &endpoint)?;
        self.endpoints.postgres = Some(endpoint.clone());
        Ok(endpoint)
    }

    /// Makes this site's standby a primary; it takes writes when this returns.
    pub fn promote_postgres(&mut self) -> Result<(), Error> {
        let Some(endpoint) = &self.endpoints.postgres else {
            return Err(Error::UnknownProcess { name: postgres::PROCESS.to_owned() });
        };
        let endpoint = endpoint.clone();
        let (cluster, binaries) = self.locate_postgres()?;
        Ok(cluster.promote(&binaries, &endpoint)?)
    }

    /// The cluster of this site and the programs for it.
    fn locate_postgres(&self) -> Result<(Cluster, PathBuf), Error> {
        // Before the cluster: the installation may bring the account that is to own it.
        postgres::find_or_install(None, &self.hooks)?;
        let cluster = Cluster::locate(&self.directory)?;
        let installation = postgres::find_or_install(cluster.major()?, &self.hooks)?;
        Ok((cluster, installation.program.parent().unwrap_or(Path::new("/")).to_owned()))
    }

    fn run_postgres(
        &mut self,
        cluster: &Cluster,
        binaries: &Path,
        endpoint: &PostgresEndpoint,
    ) -> Result<(), Error> {
        let specification = postgres::specification(cluster, binaries, endpoint.port);
        let deadline = Instant::now() + postgres::PREDECESSOR_TIMEOUT;
        loop {
            match self.start_as(specification.clone(), cluster.user().cloned()) {
                Err(Error::Process(error))
                    if postgres::is_predecessor_vanishing(&error) && Instant::now() < deadline => {}
                result => break result,
            }
        }
    }

    /// Starts nats-server and returns where it listens.
    pub fn start_nats(&mut self) -> Result<NatsEndpoint, Error> {
        if let Some(endpoint) = self.endpoints.nats.clone() {
            return Ok(endpoint);
        }
        let installation = self.tools.nats_server(&self.hooks)?;
        let tenants = tenants::load(&self.directory)?;
        let passwords = tenants::passwords(&self.directory, &tenants)?;
        let port = self.port(tenants::PORT)?;
        let endpoint =
            NatsEndpoint { port, monitoring_port: self.port(tenants::MONITORING_PORT)?, passwords };
        tenants::configure(&self.directory, &endpoint, &tenants, self.temporary.is_some())?;
        let configuration = self.directory.configuration(nats::CONFIGURATION);
        let specification = nats::specification(&installation, &endpoint, &configuration, &self.directory);
        self.start_as(specification, None)?;
        self.endpoints.nats = Some(endpoint.clone());
        Ok(endpoint)
    }

    /// Gives `tenant` an account on the bus, which may be running.
    pub fn add_tenant(&mut self, tenant: &str) -> Result<(), Error> {
        let tenants = tenants::remember(&self.directory, tenant)?;
        let passwords = tenants::passwords(&self.directory, &tenants)?;
        let Some(endpoint) = &mut self.endpoints.nats else { return Ok(()) };
        endpoint.passwords = passwords;
        tenants::configure(&self.directory, endpoint, &tenants, self.temporary.is_some())?;
        tenants::take_up(&self.directory, endpoint, tenant)
    }

    /// Starts the Neo node and returns where it listens.
    pub fn start_neo(&mut self) -> Result<NeoEndpoint, Error> {
        if let Some(endpoint) = self.endpoints.neo.clone() {
            return Ok(endpoint);
        }
        let installation = self.tools.neogo(&self.hooks)?;
        let endpoint = NeoEndpoint { port: self.port("neo-rpc")? };
        let wallet = self.write_configuration("neo-consensus-wallet.json", &neo::consensus_wallet())?;
        let configuration = neo::configuration(&endpoint, &wallet, &self.directory);
        let configuration = self.write_configuration("neo.yml", &configuration)?;
        let specification = neo::specification(&installation, &endpoint, &configuration, &self.directory);
        self.start_as(specification, None)?;
        self.endpoints.neo = Some(endpoint.clone());
        Ok(endpoint)
    }

    /// Starts a further process of the site and returns when it is ready.
    pub fn start_process(&mut self, specification: Specification) -> Result<(), Error> {
        self.start_as(specification, None)
    }

    /// Stops a process, if it runs, and starts it again with the same ports and data.
    pub fn restart(&mut self, name: &str) -> Result<(), Error> {
        let hooks = self.hooks.clone();
        let process = self.process_mut(name)?;
        process.stop()?;
        Ok(process.start(&hooks)?)
    }

    /// Stops a process in good order; [`Site::restart`] brings it back.
    pub fn stop_process(&mut self, name: &str) -> Result<(), Error> {
        Ok(self.process_mut(name)?.stop()?)
    }

    /// Kills a process and its descendants as a power cut would; [`Site::restart`] brings it back.
    pub fn kill9(&mut self, name: &str) -> Result<(), Error> {
        Ok(self.process_mut(name)?.kill()?)
    }

    /// Freezes a process and its descendants.
    pub fn pause(&self, name: &str) -> Result<(), Error> {
        Ok(self.process(name)?.pause()?)
    }

    /// Lets a frozen process go on.
    pub fn resume(&self, name: &str) -> Result<(), Error> {
        Ok(self.process(name)?.resume()?)
    }

    /// The process called `name`.
    pub fn process(&self, name: &str) -> Result<&Process, Error> {
        let found = self.processes.iter().find(|process| process.name() == name);
        found.ok_or_else(|| Error::UnknownProcess { name: name.to_owned() })
    }

    /// All processes in the order of their start.
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// The processes that have ended without being asked since the last call.
    pub fn take_exits(&mut self) -> Result<Vec<(String, ExitStatus)>, Error> {
        let mut exits = Vec::new();
        for process in &mut self.processes {
            if let Some(status) = process.take_exit()? {
                exits.push((process.name().to_owned(), status));
            }
        }
        Ok(exits)
    }

    /// Stops everything, last started first. Goes on after a failure and reports the first one.
    pub fn stop(&mut self) -> Result<(), Error> {
        let mut result = Ok(());
        for process in self.processes.iter_mut().rev() {
            result = result.and(process.stop());
        }
        self.processes.clear();
        self.endpoints = Endpoints::default();
        Ok(result?)
    }

    /// The loopback port kept for `purpose`: chosen once, and anew only when somebody else has taken it.
    pub fn port(&mut self, purpose: &str) -> Result<u16, Error> {
        self.settings.port(purpose)
    }

    /// The random secret kept under `name`, the same at every start.
    pub fn secret(&self, name: &str) -> Result<String, Error> {
        obtain_secret(&self.directory, name)
    }

    /// Writes a private configuration file of a process and returns its path.
    pub fn write_configuration(&self, file_name: &str, content: &str) -> Result<PathBuf, Error> {
        let path = self.directory.configuration(file_name);
        write_private(&path, content.as_bytes())?;
        Ok(path)
    }

    fn start_as(&mut self, specification: Specification, user: Option<User>) -> Result<(), Error> {
        self.hooks.report(&format!("starting {}", specification.name));
        self.processes.retain(|process| process.name() != specification.name);
        let mut process = Process::new(specification, user, &self.directory)?;
        process.start(&self.hooks)?;
        self.processes.push(process);
        Ok(())
    }

    fn process_mut(&mut self, name: &str) -> Result<&mut Process, Error> {
        let found = self.processes.iter_mut().find(|process| process.name() == name);
        found.ok_or_else(|| Error::UnknownProcess { name: name.to_owned() })
    }
}

/// The random secret kept under `name`, made when it is asked for first.
fn obtain_secret(directory: &SiteDirectory, name: &str) -> Result<String, Error> {
    let path = directory.secret(name);
    if let Some(secret) = read_bounded(&path)? {
        return Ok(secret.trim().to_owned());
    }
    let secret = random_hex(SECRET_BYTES)?;
    write_private(&path, secret.as_bytes())?;
    Ok(secret)
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.temporary.is_some() {
            // Nobody will read the data again: no need for a graceful stop.
            self.processes.clear();
            let _ = postgres::remove_elsewhere(&self.directory);
        } else {
            // `stop` tells failures to callers that ask; here the processes' own drop kills what is left.
            let _ = self.stop();
        }
    }
}
