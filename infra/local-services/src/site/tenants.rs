//! The tenants that have an account on a site's bus, and adding one, also while the bus runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::directory::SiteDirectory;
use super::error::Error;
use super::obtain_secret;
use super::settings::Settings;
use crate::nats::{self, NatsEndpoint};
use crate::private_file::{read_bounded, write_private};
use crate::process::Identity;

/// A reload takes milliseconds.
const TAKE_UP_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// As of a token in a subject.
const NAME_BYTES_MAX: usize = 64;
/// The service's own tenant: its commands come from the service's account.
const SYSTEM: &str = "system";

/// Gives `tenant` an account on the bus of the site in `folder`. A bus that runs, in whichever process, takes it up
/// without losing a connection. `None` while the bus of the site was never started: its first start makes the account.
pub fn add_tenant(folder: &Path, tenant: &str) -> Result<Option<NatsEndpoint>, Error> {
    let directory = SiteDirectory::create(folder)?;
    let tenants = remember(&directory, tenant)?;
    let kept = Settings::load(directory.settings())?;
    let (Some(port), Some(monitoring_port)) = (kept.known_port(PORT), kept.known_port(MONITORING_PORT))
    else {
        return Ok(None);
    };
    let endpoint = NatsEndpoint { port, monitoring_port, passwords: passwords(&directory, &tenants)? };
    configure(&directory, &endpoint, &tenants, false)?;
    take_up(&directory, &endpoint, tenant)?;
    Ok(Some(endpoint))
}

/// Purpose of the port of the bus.
pub(super) const PORT: &str = "nats";
/// Purpose of the port of its monitoring pages.
pub(super) const MONITORING_PORT: &str = "nats-monitoring";

/// The tenants of the site, in the order in which they were added.
pub(super) fn load(directory: &SiteDirectory) -> Result<Vec<String>, Error> {
    let path = directory.tenants();
    let Some(text) = read_bounded(&path)? else { return Ok(Vec::new()) };
    let tenants: Vec<String> =
        serde_json::from_str(&text).map_err(|source| Error::Tenants { path: path.clone(), source })?;
    tenants.iter().try_for_each(|tenant| check(tenant))?;
    Ok(tenants)
}

/// Adds a tenant to the list and returns the list.
pub(super) fn remember(directory: &SiteDirectory, tenant: &str) -> Result<Vec<String>, Error> {
    check(tenant)?;
    let mut tenants = load(directory)?;
    if !tenants.iter().any(|known| known == tenant) {
        tenants.push(tenant.to_owned());
        write_private(&directory.tenants(), serde_json::json!(tenants).to_string().as_bytes())?;
    }
    Ok(tenants)
}

/// The passwords of every user, each made when it is asked for first.
pub(super) fn passwords(
    directory: &SiteDirectory,
    tenants: &[String],
) -> Result<BTreeMap<String, String>, Error> {
    let password =
        |user: String| Ok((user.clone(), obtain_secret(directory, &format!("nats-{user}-password"))?));
    nats::users(tenants).map(password).collect()
}

/// Writes the configuration of the bus.
pub(super) fn configure(
    directory: &SiteDirectory,
    endpoint: &NatsEndpoint,
    tenants: &[String],
    is_open: bool,
) -> Result<(), Error> {
    let text = nats::configuration(endpoint, tenants, directory, is_open);
    Ok(write_private(&directory.configuration(nats::CONFIGURATION), text.as_bytes())?)
}

/// Has a bus, if it runs, take up the account of `tenant`.
///
/// The server reads its configuration twice: a new account gets in after the first time, and what it imports as services
/// is connected only by the second (tried: nats-server 2.15.1 answers its requests "no responders" until then).
pub(super) fn take_up(directory: &SiteDirectory, endpoint: &NatsEndpoint, tenant: &str) -> Result<(), Error> {
    let record = read_bounded(&directory.process_record(nats::PROCESS))?;
    let running = record.and_then(|text| Identity::from_json(&text)).filter(Identity::is_alive);
    let Some(id) = running.and_then(|identity| i32::try_from(identity.id).ok()) else { return Ok(()) };
    let (user, deadline) = (NatsEndpoint::tenant_user(tenant), Instant::now() + TAKE_UP_TIMEOUT);
    let wait_until = |is_done: &dyn Fn() -> bool| {
        while !is_done() {
            if Instant::now() >= deadline {
                return Err(Error::TenantNotTakenUp { name: tenant.to_owned() });
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    };
    for _ in 0..2 {
        let before = nats::configured_at(endpoint).ok();
        kill(Pid::from_raw(id), Signal::SIGHUP).map_err(Error::Reload)?;
        wait_until(&|| nats::configured_at(endpoint).is_ok_and(|now| before.as_ref() != Some(&now)))?;
    }
    wait_until(&|| nats::is_let_in(endpoint, &user).unwrap_or(false))
}

/// The name becomes part of subjects, of an account and of file names.
fn check(tenant: &str) -> Result<(), Error> {
    let is_token = (1..=NAME_BYTES_MAX).contains(&tenant.len())
        && tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if is_token && tenant != SYSTEM {
        Ok(())
    } else {
        Err(Error::TenantName { name: tenant.chars().take(NAME_BYTES_MAX).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_leave_its_account_is_refused() {
        for (name, accepted) in [
            ("acme", true),
            ("a_b-9", true),
            ("", false),
            ("system", false),
            ("*", false),
            (">", false),
            ("a.b", false),
            ("../a", false),
            ("a\"", false),
            (&"x".repeat(65), false),
        ] {
            assert_eq!(check(name).is_ok(), accepted, "{name:?}");
        }
    }

    #[test]
    fn a_tenant_is_added_once_and_named_in_the_configuration_of_a_bus_that_has_a_port() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(add_tenant(folder.path(), "acme").unwrap(), None);
        let directory = SiteDirectory::create(folder.path()).unwrap();
        let mut settings = Settings::load(directory.settings()).unwrap();
        settings.port(PORT).unwrap();
        settings.port(MONITORING_PORT).unwrap();
        for _ in 0..2 {
            let endpoint = add_tenant(folder.path(), "acme").unwrap().unwrap();
            assert!(endpoint.url("tenant-acme").is_some());
        }
        assert_eq!(load(&directory).unwrap(), ["acme"]);
        let text = std::fs::read_to_string(directory.configuration(nats::CONFIGURATION)).unwrap();
        assert!(text.contains("TENANT-acme"));
    }
}
