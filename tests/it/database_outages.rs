//! The database stops, is lost with its machine, or has no room left, while hundreds of commands a second arrive: nothing
//! acknowledged is lost, nothing happens twice, and work goes on by itself.

mod full_disk;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nsl_local_services::{PostgresEndpoint, Site};
use tempfile::TempDir;

use crate::address::Address;
use crate::crashes::check_stream;
use crate::log;
use crate::patience::until;
use crate::senders::Senders;
use crate::system::System;

/// Between two rounds of the senders: so slow that a processor built for tests catches up with what came during an
/// outage, and recoveries are not those of a backlog.
const ROUND: Duration = Duration::from_millis(250);
/// Times that the database is stopped at once, and times that it is killed.
const STOPS: usize = 5;
/// Times that a standby takes over.
const FAILOVERS: usize = 3;
/// What `pg_ctl stop -m immediate` sends.
const IMMEDIATE: Signal = Signal::SIGQUIT;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_while_the_database_stops_at_once_again_and_again() {
    let Some(system) = System::start().await else { return };
    let senders = Senders::start(&system, ROUND).await;
    let mut recoveries = Recoveries::default();
    for signal in [IMMEDIATE, Signal::SIGKILL].repeat(STOPS) {
        // Commands are under way whenever it stops.
        senders.answered_after(Instant::now()).await;
        let began = Instant::now();
        system.end("postgres", signal).await;
        recoveries.add(senders.answered_after(began).await.duration_since(began));
    }
    senders.stop().await.check(&system).await;
    recoveries.print("immediate stops and kills");
    check_stream(&system, &system.database()).await;
    system.check_read_models();
}

/// How long it took from an outage to the first answer to a command that was sent after it.
#[derive(Default)]
struct Recoveries(Vec<Duration>);

impl Recoveries {
    fn add(&mut self, recovery: Duration) {
        self.0.push(recovery);
    }

    fn print(mut self, of: &str) {
        self.0.sort_unstable();
        let at = |percent: usize| self.0[(self.0.len() * percent).div_ceil(100) - 1].as_secs_f32();
        println!("{of}: {}, recovery p50 {:.1} s, p99 {:.1} s", self.0.len(), at(50), at(99));
    }
}

/// A further server of the database.
struct Standby {
    site: Site,
    endpoint: PostgresEndpoint,
    folder: TempDir,
}

impl Standby {
    /// A copy of the primary that follows it, in a folder which `prepare` may change before.
    async fn of(primary: &PostgresEndpoint, prepare: impl FnOnce(PathBuf)) -> Self {
        let folder = tempfile::Builder::new().prefix("nsl-standby-").tempdir().unwrap();
        let mut site = Site::open(folder.path()).unwrap();
        prepare(folder.path().join("postgres"));
        let primary = primary.clone();
        let started = tokio::task::spawn_blocking(move || {
            let endpoint = site.start_postgres_standby(&primary).unwrap();
            (site, endpoint)
        });
        let (site, endpoint) = started.await.unwrap();
        Self { site, endpoint, folder }
    }

    /// Takes over.
    async fn promote(mut self) -> Self {
        let promoted = tokio::task::spawn_blocking(move || {
            self.site.promote_postgres().unwrap();
            self
        });
        promoted.await.unwrap()
    }
}

/// From here on no commit is acknowledged before a standby has it.
async fn wait_for_standby(primary: &PostgresEndpoint) {
    let database = sqlx::PgPool::connect(&primary.url()).await.unwrap();
    for statement in ["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"] {
        sqlx::raw_sql(statement).execute(&database).await.unwrap();
    }
    until("the standby is synchronous", async || {
        const SYNCHRONOUS: &str = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        (log::count(&database, SYNCHRONOUS).await == 1).then_some(())
    })
    .await;
}

/// The primary is killed, and its machine with it: the address no longer leads there. The standby is promoted and takes
/// its place, time and again, each time with a new standby of its own.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_while_standbys_take_over_from_killed_primaries() {
    let Some(mut system) = System::start().await else { return };
    let mut primary = own_endpoint(&system);
    let address = Address::of(primary.port).await;
    system.move_to_database(address.port).await;
    let senders = Senders::start(&system, ROUND).await;
    let mut recoveries = Recoveries::default();
    let mut servers: Vec<Standby> = Vec::new();
    for _ in 0..FAILOVERS {
        let standby = Standby::of(&primary, |_| {}).await;
        wait_for_standby(&primary).await;
        senders.answered_after(Instant::now()).await;
        let began = Instant::now();
        match servers.last_mut() {
            None => system.end("postgres", Signal::SIGKILL).await,
            Some(server) => server.site.kill9("postgres").unwrap(),
        }
        // It comes up again by itself as a primary that waits for a standby; nobody is led to it.
        address.lead_to(None);
        let standby = standby.promote().await;
        address.lead_to(Some(standby.endpoint.port));
        recoveries.add(senders.answered_after(began).await.duration_since(began));
        primary = standby.endpoint.clone();
        servers.push(standby);
    }
    senders.stop().await.check(&system).await;
    recoveries.print("failovers");
    check_stream(&system, &system.database()).await;
    system.check_read_models();
}

/// The control: what no standby has is lost with the primary, and the check sees that.
#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_that_wait_for_no_standby_are_lost_with_the_primary_and_that_is_caught() {
    let Some(mut system) = System::start().await else { return };
    let primary = own_endpoint(&system);
    let address = Address::of(primary.port).await;
    system.move_to_database(address.port).await;
    let mut standby = Standby::of(&primary, |_| {}).await;
    let senders = Senders::start(&system, ROUND).await;
    senders.answered_after(Instant::now()).await;
    // The killed primary comes up again by itself; the standby must not hear from it before it is promoted.
    let database = sqlx::PgPool::connect(&standby.endpoint.url()).await.unwrap();
    sqlx::raw_sql("ALTER SYSTEM SET primary_conninfo = ''").execute(&database).await.unwrap();
    database.close().await;
    standby.site.kill9("postgres").unwrap();
    senders.answered_after(Instant::now()).await;
    let records = senders.stop().await;
    address.lead_to(None);
    system.end("postgres", Signal::SIGKILL).await;
    let standby = tokio::task::spawn_blocking(move || {
        standby.site.restart("postgres").unwrap();
        standby
    });
    let standby = standby.await.unwrap().promote().await;
    address.lead_to(Some(standby.endpoint.port));
    let lost = records.lost(&system).await;
    println!("planted: commits wait for no standby; caught: lost {lost}");
    assert!(lost > 0);
}

/// An address that leads to a standby: appends are refused by name, nothing is acknowledged, and work goes on once it
/// leads to a primary.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_not_written_to_and_work_goes_on_when_it_is_promoted() {
    let Some(mut system) = System::start().await else { return };
    let primary = own_endpoint(&system);
    let address = Address::of(primary.port).await;
    system.move_to_database(address.port).await;
    let senders = Senders::start(&system, ROUND).await;
    let standby = Standby::of(&primary, |_| {}).await;
    wait_for_standby(&primary).await;
    senders.answered_after(Instant::now()).await;
    let began = Instant::now();
    address.lead_to(Some(standby.endpoint.port));
    let admin = system.admin("commands");
    until("the processor names the standby", async || {
        let said = std::fs::read_to_string(system.path().join("logs/commands.log")).unwrap();
        let is_ready = crate::admin::get(&admin, "/readyz").await.is_some();
        (said.contains("read-only, perhaps a standby") && !is_ready).then_some(())
    })
    .await;
    let standby = standby.promote().await;
    let recovery = senders.answered_after(began).await.duration_since(began);
    println!("led to a standby, promoted then: {:.1} s", recovery.as_secs_f32());
    senders.stop().await.check(&system).await;
    check_stream(&system, &system.database()).await;
    drop(standby);
}

/// The site's own server, as a standby of it must know it.
fn own_endpoint(system: &System) -> PostgresEndpoint {
    let options: sqlx::postgres::PgConnectOptions = system.database_url().parse().unwrap();
    let url = system.database_url();
    let password = url.split(':').nth(2).and_then(|rest| rest.split('@').next()).unwrap();
    PostgresEndpoint {
        port: options.get_port(),
        user: "nsl",
        password: password.to_owned(),
        database: "nsl",
        roles: BTreeMap::new(),
    }
}
