//! Our own processes: what each is built from, what it needs, and the order of their start.
//!
//! A further process is one more row of [`SERVICES`]; a further setting is one more [`Need`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nsl_local_services::{
    Endpoints, Error, NeoEndpoint, PostgresEndpoint, Readiness, Site, SiteDirectory, Specification,
    StopSignal,
};
use toml::{Table, Value};

use crate::binaries::Binaries;
use crate::ceremony::Files;
use crate::keys;

/// Something that a process is told about in its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// `[bus]`: where NATS listens and the process' own user there.
    Bus(&'static str),
    /// `[log]` and `[reactor]` of the processor: the owner of the log for the migrations, its writer, the reactor.
    LogWriter,
    /// `[log]` and `[read]` of the projections.
    LogReader,
    /// `[neo]`: the node's JSON-RPC interface, and how often to ask it.
    Neo,
    /// `[workers]` and `[genesis]`: the endpoints of all enclave workers, and the manifest they obey.
    Workers,
    /// `[issuer]`: the key that signs the process' commands.
    Issuer(&'static str),
    /// `[processor]`: the genesis manifest.
    Genesis,
    /// `[venues]` and `[feeds]`: the replayer instead of the venues, at a pace that a person can watch.
    Venues,
}

/// How a process is started and seen to be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `--config FILE`, admin pages.
    Service,
    /// A worker: flags only, ready when its socket accepts.
    Worker,
    /// This program's own `venues`.
    Replayer,
}

/// One process of ours.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
    pub(crate) binary: &'static str,
    /// Cargo features of a local build.
    pub(crate) features: &'static [&'static str],
    pub(crate) needs: &'static [Need],
    pub(crate) kind: Kind,
}

/// What takes commands: it is there before roots and grants are recorded, and the others after.
pub(crate) const COMMANDS: &str = "commands";

/// All of them, in the order of their start: who is asked starts before who asks.
pub(crate) static SERVICES: [Service; 9] = [
    service(
        COMMANDS,
        "nsl-commands",
        DEVELOPMENT,
        &[Need::Bus("commands"), Need::LogWriter, Need::Genesis, Need::Issuer("reactor")],
    ),
    service("projections", "nsl-projections", &[], &[Need::Bus("projections"), Need::LogReader]),
    worker("enclave-worker-1"),
    worker("enclave-worker-2"),
    // Three, so that those who endorse reservations are a majority without any one of them.
    worker("enclave-worker-3"),
    service(
        "enclave-host",
        "nsl-enclave-host",
        DEVELOPMENT,
        &[Need::Bus("enclave-host"), Need::Workers, Need::Issuer("enclave-host")],
    ),
    service(
        "chain-relay",
        "nsl-chain-relay",
        &[],
        &[Need::Bus("chain-relay"), Need::Neo, Need::Issuer("chain-relay")],
    ),
    Service {
        name: "venues",
        package: "nsl-dev",
        binary: "nsl-dev",
        features: &[],
        needs: &[],
        kind: Kind::Replayer,
    },
    service(
        "price-sources",
        "nsl-price-sources",
        &[],
        &[Need::Bus("price-sources"), Need::Issuer("price-sources"), Need::Venues],
    ),
];

/// The command line that a person uses; built with the services.
pub(crate) static CLI: Service = Service {
    name: "cli",
    package: "nsl-cli",
    binary: "nsl",
    features: DEVELOPMENT,
    needs: &[],
    kind: Kind::Service,
};

/// The operator's tool for the log; built with the services.
pub(crate) static EVENT_LOG: Service = Service {
    name: "event-log",
    package: "nsl-event-log",
    binary: "nsl-event-log",
    features: &[],
    needs: &[],
    kind: Kind::Service,
};

/// Those that tests can make die at named steps.
pub(crate) fn with_failpoints() -> impl Iterator<Item = &'static Service> + Clone {
    const NAMES: [&str; 4] = [COMMANDS, "projections", "enclave-host", "chain-relay"];
    SERVICES.iter().filter(|service| NAMES.contains(&service.name))
}

/// What a local site is built from: the services and the command lines, but for this program itself.
pub(crate) fn built() -> impl Iterator<Item = &'static Service> + Clone {
    SERVICES.iter().filter(|service| service.kind != Kind::Replayer).chain([&CLI, &EVENT_LOG])
}

const DEVELOPMENT: &[&str] = &["development"];

const fn service(
    name: &'static str,
    package: &'static str,
    features: &'static [&'static str],
    needs: &'static [Need],
) -> Service {
    Service { name, package, binary: package, features, needs, kind: Kind::Service }
}

/// A local worker has no Nitro security module, so it is built with the software one.
const fn worker(name: &'static str) -> Service {
    let package = "nsl-enclave-worker";
    Service { name, package, binary: package, features: DEVELOPMENT, needs: &[], kind: Kind::Worker }
}

/// The endpoints of the site's local workers.
pub(crate) fn local_workers(site: &SiteDirectory) -> Vec<String> {
    let workers = SERVICES.iter().filter(|service| service.kind == Kind::Worker);
    workers.map(|worker| format!("unix://{}", socket(worker, site).display())).collect()
}

/// Starts those of the services that `wanted` names, the host with these `workers`; every one is ready when this
/// returns.
pub(crate) fn start(
    site: &mut Site,
    binaries: &Binaries,
    files: &Files,
    workers: &[String],
    wanted: impl Fn(&Service) -> bool,
) -> Result<(), Error> {
    for service in SERVICES.iter().filter(|service| wanted(service)) {
        let port = site.port(&admin_purpose(service))?;
        let venues_port = site.port(VENUES_PURPOSE)?;
        let (program, arguments, readiness) = match service.kind {
            Kind::Service => {
                let surroundings = Surroundings {
                    endpoints: site.endpoints(),
                    site: site.directory(),
                    files,
                    workers,
                    admin_port: port,
                    venues_port,
                };
                let configuration = surroundings.configuration(service).to_string();
                let file = site.write_configuration(&format!("{}.toml", service.name), &configuration)?;
                let readiness = Readiness::HttpGet { port, path: "/readyz".into() };
                (binaries.path(service.binary), vec!["--config".into(), file.into()], readiness)
            }
            Kind::Worker => {
                let socket = socket(service, site.directory());
                let arguments = worker_arguments(&socket, files);
                (files.worker.clone(), arguments, Readiness::UnixSocket(socket))
            }
            Kind::Replayer => {
                let listen = format!("127.0.0.1:{venues_port}");
                let readiness = Readiness::HttpGet { port: venues_port, path: REPLAYER_PAGE.into() };
                let program = std::env::current_exe().unwrap_or_else(|_| binaries.path(service.binary));
                (program, vec!["venues".into(), "--listen".into(), listen.into()], readiness)
            }
        };
        site.start_process(Specification {
            name: service.name.to_owned(),
            program,
            arguments,
            environment: Vec::new(),
            working_directory: site.directory().path().to_owned(),
            stop_signal: StopSignal::Terminate,
            readiness,
        })?;
    }
    Ok(())
}

/// Where a person finds out more about a started service.
pub(crate) fn address(site: &mut Site, service: &Service) -> Result<String, Error> {
    Ok(match service.kind {
        Kind::Service => format!("http://127.0.0.1:{}", site.port(&admin_purpose(service))?),
        Kind::Worker => format!("unix://{}", socket(service, site.directory()).display()),
        Kind::Replayer => format!("http://127.0.0.1:{}", site.port(VENUES_PURPOSE)?),
    })
}

const VENUES_PURPOSE: &str = "venues";
/// A page that the replayer serves as soon as it serves anything.
const REPLAYER_PAGE: &str = "/v2/ticker/tNEOUSD";

fn admin_purpose(service: &Service) -> String {
    format!("{}-admin", service.name)
}

fn socket(worker: &Service, site: &SiteDirectory) -> PathBuf {
    site.run().join(format!("{}.sock", worker.name))
}

fn worker_arguments(socket: &Path, files: &Files) -> Vec<OsString> {
    vec![
        "--listen".into(),
        format!("unix://{}", socket.display()).into(),
        "--genesis".into(),
        files.genesis.clone().into(),
        "--development-nsm-root".into(),
        files.nsm_root.clone().into(),
        "--development-sealing-key".into(),
        files.sealing_key.clone().into(),
    ]
}

/// What a service's configuration is written from.
struct Surroundings<'a> {
    endpoints: &'a Endpoints,
    site: &'a SiteDirectory,
    files: &'a Files,
    workers: &'a [String],
    admin_port: u16,
    venues_port: u16,
}

impl Surroundings<'_> {
    fn configuration(&self, service: &Service) -> Table {
        let mut table = Table::new();
        let address = format!("127.0.0.1:{}", self.admin_port);
        table.insert("telemetry".into(), section([("admin_address", address.into())]));
        for need in service.needs {
            table.extend(self.sections(*need));
        }
        table
    }

    fn sections(&self, need: Need) -> Table {
        let one = |name: &str, content: Value| Table::from_iter([(name.to_owned(), content)]);
        let postgres = self.endpoints.postgres.as_ref();
        let owner = || Value::from(postgres.map(PostgresEndpoint::url).unwrap_or_default());
        let role =
            |role: &str| Value::from(postgres.and_then(|postgres| postgres.url_of(role)).unwrap_or_default());
        let genesis = || Value::from(self.files.genesis.display().to_string());
        match need {
            Need::Bus(user) => one("bus", bus(self.endpoints, user)),
            Need::LogWriter => Table::from_iter([
                ("log".to_owned(), section([("owner_url", owner()), ("url", role("nsl_commands"))])),
                ("reactor".to_owned(), section([("url", role("nsl_reactor"))])),
            ]),
            Need::LogReader => {
                let url = || section([("url", role("nsl_projections"))]);
                Table::from_iter([("log".to_owned(), url()), ("read".to_owned(), url())])
            }
            Need::Neo => {
                let url = self.endpoints.neo.as_ref().map(NeoEndpoint::rpc_url).unwrap_or_default();
                let relay = section([("poll_ms", 100.into())]);
                Table::from_iter([
                    ("neo".to_owned(), section([("rpc_url", url.into())])),
                    ("relay".to_owned(), relay),
                ])
            }
            Need::Workers => {
                let endpoints: Vec<Value> =
                    self.workers.iter().map(|endpoint| endpoint.clone().into()).collect();
                Table::from_iter([
                    ("workers".to_owned(), section([("endpoints", endpoints.into())])),
                    ("genesis".to_owned(), section([("file", genesis())])),
                ])
            }
            Need::Issuer(name) => {
                let file = keys::seed_file(self.site, name).display().to_string();
                one("issuer", section([("seed_file", file.into())]))
            }
            Need::Genesis => one("processor", section([("genesis_file", genesis())])),
            Need::Venues => self.venues(),
        }
    }

    fn venues(&self) -> Table {
        let venue = || {
            let base_url = format!("http://127.0.0.1:{}", self.venues_port);
            section([
                ("base_url", base_url.into()),
                ("interval_ms", 1_000.into()),
                ("rate_period_ms", 100.into()),
                ("rate_burst", 10.into()),
            ])
        };
        let venues = section(["bitfinex", "coingecko", "coinpaprika"].map(|name| (name, venue())));
        let rules = section([("sources_min", 2.into())]);
        let feed = section([("round_interval_ms", 2_000.into()), ("rules", rules)]);
        Table::from_iter([("venues".to_owned(), venues), ("feeds".to_owned(), section([("NEO-USD", feed)]))])
    }
}

fn bus(endpoints: &Endpoints, user: &str) -> Value {
    let Some(nats) = &endpoints.nats else { return section([]) };
    let password = nats.passwords.get(user).cloned().unwrap_or_default();
    section([("url", nats.server().into()), ("user", user.into()), ("password", password.into())])
}

fn section(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsl_local_services::{NatsEndpoint, NeoEndpoint};

    fn configuration_of(name: &str) -> String {
        let password = |service: &Service| (service.name.to_owned(), format!("password-of-{}", service.name));
        let passwords = SERVICES.iter().map(password).collect();
        let nats = NatsEndpoint { port: 4222, monitoring_port: 8222, passwords };
        let neo = Some(NeoEndpoint { port: 30_333 });
        let endpoints = Endpoints { nats: Some(nats), neo, ..Endpoints::default() };
        let site = SiteDirectory::at(Path::new("/site"));
        let files = Files::of(&site);
        let surroundings = Surroundings {
            endpoints: &endpoints,
            site: &site,
            files: &files,
            workers: &local_workers(&site),
            admin_port: 9000,
            venues_port: 9001,
        };
        let service = SERVICES.iter().find(|service| service.name == name).unwrap();
        surroundings.configuration(service).to_string()
    }

    #[test]
    fn service_is_told_what_it_needs_and_no_more() {
        let relay = configuration_of("chain-relay");
        let parsed: Table = relay.parse().unwrap();
        assert_eq!(parsed["telemetry"]["admin_address"].as_str(), Some("127.0.0.1:9000"));
        assert_eq!(parsed["neo"]["rpc_url"].as_str(), Some("http://127.0.0.1:30333"));
        assert_eq!(parsed["bus"]["password"].as_str(), Some("password-of-chain-relay"));
        assert_eq!(parsed["issuer"]["seed_file"].as_str(), Some("/site/keys/chain-relay.seed"));
        assert!(!relay.contains("postgres"), "{relay}");
        assert!(!configuration_of("enclave-host").contains("development-sealing"));
    }

    #[test]
    fn host_knows_every_worker() {
        let parsed: Table = configuration_of("enclave-host").parse().unwrap();
        let endpoints = parsed["workers"]["endpoints"].as_array().unwrap();
        let workers = SERVICES.iter().filter(|service| service.kind == Kind::Worker).count();
        assert_eq!(endpoints.len(), workers);
        assert!(endpoints.iter().all(|one| one.as_str().unwrap().starts_with("unix:///site/run/")));
    }
}
