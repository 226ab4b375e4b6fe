//! The database: durable settings, private access, data that survives.

use std::process::Command;

use nsl_local_services::{Hooks, Part, PostgresEndpoint, Site};

use crate::{listens, tools};

fn psql(url: &str, statement: &str) -> Result<String, String> {
    let postgres = tools().find_postgres().unwrap().unwrap();
    let output = Command::new(postgres.program.with_file_name("psql"))
        .args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", statement, url])
        .output()
        .unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

fn endpoint(site: &Site) -> PostgresEndpoint {
    site.endpoints().postgres.clone().unwrap()
}

#[test]
fn runs_durably_and_lets_nobody_in_without_the_password() {
    let site = Site::temporary(&[Part::Postgres]).unwrap();
    let endpoint = endpoint(&site);
    for (setting, expected) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", "127.0.0.1"),
        ("server_encoding", "UTF8"),
        ("lc_collate", "C"),
        ("password_encryption", "scram-sha-256"),
    ] {
        assert_eq!(psql(&endpoint.url(), &format!("SHOW {setting}")).unwrap(), expected, "{setting}");
    }
    let stranger = PostgresEndpoint { password: "wrong".into(), ..endpoint };
    assert!(psql(&stranger.url(), "SELECT 1").unwrap_err().contains("password authentication failed"));
}

#[test]
fn second_start_keeps_data_port_and_password() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Site::open_with(folder.path(), tools(), Hooks::default()).unwrap();
    let mut site = open();
    let first = site.start_postgres().unwrap();
    psql(&first.url(), "CREATE TABLE kept AS SELECT 42 AS answer").unwrap();
    site.stop().unwrap();
    assert!(!listens(first.port));
    drop(site);

    let mut site = open();
    let second = site.start_postgres().unwrap();
    assert_eq!(second, first);
    assert_eq!(psql(&second.url(), "SELECT answer FROM kept").unwrap(), "42");
    drop(site);
    Site::remove(folder.path()).unwrap();
    assert!(!folder.path().exists());
}

#[test]
fn committed_rows_survive_kill_9_and_a_restart_at_once() {
    let mut site = Site::temporary(&[Part::Postgres]).unwrap();
    let url = endpoint(&site).url();
    psql(&url, "CREATE TABLE kept AS SELECT 42 AS answer").unwrap();
    for _ in 0..3 {
        site.kill9("postgres").unwrap();
        assert!(psql(&url, "SELECT 1").is_err());
        site.restart("postgres").unwrap();
        assert_eq!(psql(&url, "SELECT answer FROM kept").unwrap(), "42");
    }
}

#[test]
fn a_standby_follows_its_primary_refuses_writes_and_takes_them_once_promoted() {
    let mut primary = Site::temporary(&[Part::Postgres]).unwrap();
    let from = endpoint(&primary);
    psql(&from.url(), "CREATE TABLE kept AS SELECT 42 AS answer").unwrap();
    let mut standby = Site::temporary(&[]).unwrap();
    let to = standby.start_postgres_standby(&from).unwrap();
    assert_eq!((&to.password, &to.roles), (&from.password, &from.roles));
    // A commit returns when the standby has it.
    psql(&from.url(), "ALTER SYSTEM SET synchronous_standby_names = '*'").unwrap();
    psql(&from.url(), "SELECT pg_reload_conf()").unwrap();
    while psql(&from.url(), "SELECT sync_state FROM pg_stat_replication").unwrap() != "sync" {}
    psql(&from.url(), "SET synchronous_commit = remote_apply; UPDATE kept SET answer = 43").unwrap();
    assert_eq!(psql(&to.url(), "SELECT answer FROM kept").unwrap(), "43");
    assert!(psql(&to.url(), "UPDATE kept SET answer = 44").unwrap_err().contains("read-only"));

    primary.kill9("postgres").unwrap();
    standby.promote_postgres().unwrap();
    psql(&to.url(), "UPDATE kept SET answer = answer + 1").unwrap();
    assert_eq!(psql(&to.url(), "SELECT answer FROM kept").unwrap(), "44");
}

#[test]
fn paused_server_answers_only_after_it_is_resumed() {
    let site = Site::temporary(&[Part::Postgres]).unwrap();
    let url = endpoint(&site).url();
    site.pause("postgres").unwrap();
    assert!(psql(&format!("{url}?connect_timeout=2"), "SELECT 1").is_err());
    site.resume("postgres").unwrap();
    assert_eq!(psql(&url, "SELECT 1").unwrap(), "1");
}

#[test]
fn site_that_the_server_account_cannot_enter_keeps_its_data_elsewhere() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let closed = tempfile::tempdir().unwrap();
    std::fs::set_permissions(closed.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let folder = closed.path().join("site");
    let mut site = Site::open_with(&folder, tools(), Hooks::default()).unwrap();
    let endpoint = site.start_postgres().unwrap();
    let data = psql(&endpoint.url(), "SHOW data_directory").unwrap();
    let owner = std::fs::metadata(&data).unwrap().uid();
    if closed.path().metadata().unwrap().uid() == 0 {
        assert_ne!(owner, 0, "Postgres runs unprivileged");
        assert!(!data.starts_with(folder.to_str().unwrap()), "{data} is below a closed folder");
    } else {
        assert!(data.starts_with(folder.to_str().unwrap()), "{data} is not in the site");
    }
    site.restart("postgres").unwrap();
    drop(site);
    Site::remove(&folder).unwrap();
    assert!(!std::path::Path::new(&data).exists(), "removing the site removes its data, wherever it is");
}

#[test]
fn a_service_logs_in_as_its_own_role_and_may_do_nothing_that_no_migration_gave_it() {
    let site = Site::temporary(&[Part::Postgres]).unwrap();
    let endpoint = endpoint(&site);
    psql(&endpoint.url(), "CREATE TABLE secret AS SELECT 42 AS answer").unwrap();
    for role in nsl_local_services::POSTGRES_ROLES {
        let url = endpoint.url_of(role).unwrap();
        assert_eq!(psql(&url, "SELECT current_user").unwrap(), role);
        assert!(psql(&url, "SELECT answer FROM secret").unwrap_err().contains("permission denied"));
        assert!(psql(&url, "CREATE TABLE own (x int)").unwrap_err().contains("permission denied"));
        assert!(psql(&url, "CREATE ROLE more").unwrap_err().contains("permission denied"));
    }
    assert_eq!(endpoint.url_of("nobody"), None);
}
