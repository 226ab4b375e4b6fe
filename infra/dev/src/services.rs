//! Our own processes: what each is built from, what it needs, and the order of their start.
//!
//! A further process is one more row of [`SERVICES`]; a further setting is one more [`Need`].

use std::path::Path;

use nsl_local_services::{Endpoints, Error, Readiness, Site, Specification, StopSignal};
use toml::{Table, Value};

use crate::binaries::Binaries;

/// Something that a process is told about in its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// `[bus]`: where NATS listens and the process' own user there.
    Bus(&'static str),
    /// `[database]`: where Postgres listens.
    Database,
    /// `[neo]`: the node's JSON-RPC interface.
    Neo,
    /// `[channel]`: the endpoints of all enclave workers.
    Workers,
    /// `[channel]`: the endpoint that this enclave worker serves.
    Channel,
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
}

/// All of them, in the order of their start: who is asked starts before who asks.
pub(crate) const SERVICES: [Service; 7] = [
    worker("enclave-worker-1"),
    worker("enclave-worker-2"),
    service("commands", "nsl-commands", &[Need::Bus("commands"), Need::Database]),
    service("projections", "nsl-projections", &[Need::Bus("projections"), Need::Database]),
    service("enclave-host", "nsl-enclave-host", &[Need::Bus("enclave-host"), Need::Workers]),
    service("chain-relay", "nsl-chain-relay", &[Need::Bus("chain-relay"), Need::Neo]),
    service("price-sources", "nsl-price-sources", &[Need::Bus("price-sources")]),
];

const fn service(name: &'static str, package: &'static str, needs: &'static [Need]) -> Service {
    Service { name, package, binary: package, features: &[], needs }
}

/// A local worker has no Nitro security module, so it is built with the software one.
const fn worker(name: &'static str) -> Service {
    let package = "nsl-enclave-worker";
    Service { name, package, binary: package, features: &["development"], needs: &[Need::Channel] }
}

/// Starts all of them; every one is ready when this returns.
pub(crate) fn start_all(site: &mut Site, binaries: &Binaries) -> Result<(), Error> {
    for service in &SERVICES {
        let admin_port = site.port(&admin_purpose(service))?;
        let configuration = configuration(service, site.endpoints(), &site.directory().run(), admin_port);
        let file = site.write_configuration(&format!("{}.toml", service.name), &configuration.to_string())?;
        site.start_process(Specification {
            name: service.name.to_owned(),
            program: binaries.path(service.binary),
            arguments: vec!["--config".into(), file.into()],
            environment: Vec::new(),
            working_directory: site.directory().path().to_owned(),
            stop_signal: StopSignal::Terminate,
            readiness: Readiness::HttpGet { port: admin_port, path: "/readyz".into() },
        })?;
    }
    Ok(())
}

/// The admin pages of a started service.
pub(crate) fn admin_url(site: &mut Site, service: &Service) -> Result<String, Error> {
    Ok(format!("http://127.0.0.1:{}", site.port(&admin_purpose(service))?))
}

fn admin_purpose(service: &Service) -> String {
    format!("{}-admin", service.name)
}

fn configuration(service: &Service, endpoints: &Endpoints, sockets: &Path, admin_port: u16) -> Table {
    let mut table = Table::new();
    table.insert("telemetry".into(), section([("admin_address", format!("127.0.0.1:{admin_port}").into())]));
    for need in service.needs {
        let (name, content) = match need {
            Need::Bus(user) => ("bus", bus(endpoints, user)),
            Need::Database => {
                let url = endpoints.postgres.as_ref().map(|postgres| postgres.url().into());
                ("database", section(url.map(|url| ("url", url))))
            }
            Need::Neo => {
                let url = endpoints.neo.as_ref().map(|neo| neo.rpc_url().into());
                ("neo", section(url.map(|url| ("rpc_url", url))))
            }
            Need::Workers => {
                let workers = SERVICES.iter().filter(|service| service.needs.contains(&Need::Channel));
                let channels = workers.map(|worker| channel(worker, sockets)).collect::<Vec<Value>>();
                ("channel", section([("workers", channels.into())]))
            }
            Need::Channel => ("channel", section([("listen", channel(service, sockets))])),
        };
        table.insert(name.into(), content);
    }
    table
}

fn bus(endpoints: &Endpoints, user: &str) -> Value {
    let Some(nats) = &endpoints.nats else { return section([]) };
    let password = nats.passwords.get(user).cloned().unwrap_or_default();
    section([("url", nats.server().into()), ("user", user.into()), ("password", password.into())])
}

/// The workers' endpoint, in the notation of the channel (`unix://PATH`).
fn channel(worker: &Service, sockets: &Path) -> Value {
    format!("unix://{}", sockets.join(format!("{}.sock", worker.name)).display()).into()
}

fn section(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsl_local_services::{NATS_USERS, NatsEndpoint, NeoEndpoint};

    fn configuration_of(name: &str) -> String {
        let passwords = NATS_USERS.map(|user| (user, format!("password-of-{user}"))).into();
        let nats = NatsEndpoint { port: 4222, monitoring_port: 8222, passwords };
        let neo = Some(NeoEndpoint { port: 30_333 });
        let endpoints = Endpoints { nats: Some(nats), neo, ..Endpoints::default() };
        let service = SERVICES.iter().find(|service| service.name == name).unwrap();
        configuration(service, &endpoints, Path::new("/site/run"), 9000).to_string()
    }

    #[test]
    fn service_is_told_what_it_needs_and_no_more() {
        let relay = configuration_of("chain-relay");
        let parsed: Table = relay.parse().unwrap();
        assert_eq!(parsed["telemetry"]["admin_address"].as_str(), Some("127.0.0.1:9000"));
        assert_eq!(parsed["neo"]["rpc_url"].as_str(), Some("http://127.0.0.1:30333"));
        assert_eq!(parsed["bus"]["password"].as_str(), Some("password-of-chain-relay"));
        assert!(!relay.contains("database"), "{relay}");
        assert!(!configuration_of("enclave-worker-1").contains("password"));
    }

    #[test]
    fn host_is_told_every_worker_where_it_listens() {
        let host: Table = configuration_of("enclave-host").parse().unwrap();
        let workers: Vec<_> = host["channel"]["workers"].as_array().unwrap().clone();
        let listening = ["enclave-worker-1", "enclave-worker-2"].map(|name| {
            let worker: Table = configuration_of(name).parse().unwrap();
            worker["channel"]["listen"].clone()
        });
        assert_eq!(workers, listening);
    }

    #[test]
    fn every_bus_user_exists() {
        for service in &SERVICES {
            for need in service.needs {
                if let Need::Bus(user) = need {
                    assert!(NATS_USERS.contains(user), "{} uses {user}", service.name);
                }
            }
        }
    }
}
