//! The disk of the database is full: first the one of its tables, then the one of its write-ahead log. Small file systems
//! in memory stand for the disks, which only root may mount; otherwise the test is skipped, aloud.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use nsl_local_services::Site;

use super::{ROUND, Recoveries, Standby, own_endpoint};
use crate::address::Address;
use crate::admin;
use crate::crashes::check_stream;
use crate::patience::until;
use crate::senders::Senders;
use crate::system::System;

/// Room for the tables of the test, and hardly more.
const DATA_MIB: u32 = 256;
/// Room for the segments that Postgres keeps at least, and hardly more.
const LOG_MIB: u32 = 160;

/// A small disk; unmounted when it is dropped.
struct Disk {
    at: PathBuf,
}

impl Disk {
    /// `None`, said aloud, where nothing may be mounted.
    fn mount(at: &Path, mebibytes: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"]).arg(at);
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self { at: at.to_owned() });
        }
        eprintln!("SKIPPED: no small disk can be mounted at {}", at.display());
        None
    }

    /// Takes all room that is left, and again what becomes free until `free`.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.at.join("filler")).unwrap();
        let block = vec![1; 64 * 1024];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&[1]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.at.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that is about to end may still be there.
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_that_a_full_disk_did_not_take_and_work_goes_on_with_room() {
    let Some(mut system) = System::start().await else { return };
    let primary = own_endpoint(&system);
    let address = Address::of(primary.port).await;
    system.move_to_database(address.port).await;
    // The system's database is copied to the small disks, and goes on there.
    let mut disks = Vec::new();
    let server = Standby::of(&primary, |postgres| disks.extend(Disk::mount(&postgres, DATA_MIB))).await;
    let Some(data) = disks.pop() else { return };
    let Some(log) = Disk::mount(&server.site.directory().path().join("log"), LOG_MIB) else { return };
    let mut server = with_log_on(server, &log).await.promote().await;
    address.lead_to(Some(server.endpoint.port));
    let senders = Senders::start(&system, ROUND).await;
    let mut recoveries = Recoveries::default();
    for (what, disk) in [("data", &data), ("write-ahead log", &log)] {
        senders.answered_after(Instant::now()).await;
        let (admin, said) = (system.admin("commands"), refusals_for_room(&server.site));
        until(&format!("no room for {what}"), async || {
            disk.fill();
            keep_running(&mut server.site);
            let has_none = refusals_for_room(&server.site) > said;
            (has_none && admin::get(&admin, "/readyz").await.is_none()).then_some(())
        })
        .await;
        let began = Instant::now();
        disk.free();
        until("the server is there", async || keep_running(&mut server.site).then_some(())).await;
        recoveries.add(senders.answered_after(began).await.duration_since(began));
    }
    senders.stop().await.check(&system).await;
    recoveries.print("full disks");
    check_stream(&system, &system.database()).await;
    system.check_read_models();
    // A folder with a mounted disk in it cannot be removed, and a disk with a running server on it cannot be unmounted.
    let Standby { site, folder, endpoint: _ } = server;
    drop(site);
    drop((data, log));
    folder.close().unwrap();
}

/// How often the server found no room.
fn refusals_for_room(site: &Site) -> usize {
    let log = std::fs::read_to_string(site.process("postgres").unwrap().log()).unwrap();
    log.matches("No space left on device").count()
}

/// Moves the write-ahead log of a stopped server to a disk of its own and starts it again.
async fn with_log_on(mut server: Standby, log: &Disk) -> Standby {
    let (data, at) = (server.site.directory().path().join("postgres/data"), log.at.clone());
    let moved = tokio::task::spawn_blocking(move || {
        server.site.stop_process("postgres").unwrap();
        let script = "chown --reference=pg_wal \"$1\" && chmod 700 \"$1\" && cp -a pg_wal/. \"$1\" \
                      && rm -r pg_wal && ln -s \"$1\" pg_wal";
        let script = Command::new("sh").current_dir(data).args(["-ec", script, "sh"]).arg(at).status();
        assert!(script.unwrap().success());
        server.site.restart("postgres").unwrap();
        server
    });
    moved.await.unwrap()
}

/// A server whose write-ahead log has no room ends itself; as its supervisor does, it is started again. Whether it runs.
fn keep_running(site: &mut Site) -> bool {
    site.take_exits().unwrap();
    // Without room it ends again.
    site.process("postgres").unwrap().id().is_some() || site.restart("postgres").is_ok()
}
