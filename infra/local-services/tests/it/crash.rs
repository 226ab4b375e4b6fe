//! The opener of a site dies by kill -9: nothing of it lives on, and the next opener goes on.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use nsl_local_services::{Hooks, Identity, Part, Site, SiteDirectory};

use crate::{await_until, tools};

const FOLDER_VARIABLE: &str = "NSL_TEST_RUNNER_FOLDER";

/// Not a test of its own: the process that `crash_of_the_opener_leaves_no_process_behind` starts and kills.
#[test]
#[ignore = "run by another test as a process of its own"]
fn opener() {
    let folder = std::env::var_os(FOLDER_VARIABLE).unwrap();
    let mut site = Site::open_with(Path::new(&folder), tools(), Hooks::default()).unwrap();
    // Started from a thread that ends: children must live as long as the process, not the thread.
    let mut site = std::thread::spawn(move || {
        for part in Part::ALL {
            site.start(part).unwrap();
        }
        site
    })
    .join()
    .unwrap();
    assert!(site.take_exits().unwrap().is_empty());
    std::fs::write(Path::new(&folder).join("ready"), "").unwrap();
    loop {
        std::thread::park();
    }
}

fn start_opener(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::opener", "--ignored"])
        .env(FOLDER_VARIABLE, folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn identities(folder: &Path) -> Vec<Identity> {
    let directory = SiteDirectory::at(folder);
    ["postgres", "nats", "neo"]
        .map(|name| std::fs::read_to_string(directory.process_record(name)).unwrap())
        .iter()
        .map(|record| Identity::from_json(record).unwrap())
        .collect()
}

#[test]
fn crash_of_the_opener_leaves_no_process_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut opener = start_opener(folder.path());
    await_until("all parts", || folder.path().join("ready").exists());
    let identities = identities(folder.path());
    assert!(identities.iter().all(Identity::is_alive));

    opener.kill().unwrap();
    opener.wait().unwrap();
    await_until("the end of every child", || !identities.iter().any(Identity::is_alive));

    // The dead opener's records are still there and must not disturb.
    let mut site = Site::open_with(folder.path(), tools(), Hooks::default()).unwrap();
    for part in Part::ALL {
        site.start(part).unwrap();
    }
    site.stop().unwrap();
    drop(site);
    Site::remove(folder.path()).unwrap();
}

#[test]
fn record_of_a_foreign_process_is_removed_and_its_process_left_alone() {
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    let identity = Identity::of(stranger.id()).unwrap();
    let mut site = Site::temporary(&[]).unwrap();
    let record = site.directory().process_record("nats");
    let reused = Identity { start_ticks: identity.start_ticks + 1, ..identity.clone() };
    std::fs::write(&record, reused.to_json()).unwrap();
    site.start(Part::Nats).unwrap();
    assert!(identity.is_alive(), "the id was reused by somebody else");
    site.stop().unwrap();

    std::fs::write(&record, identity.to_json()).unwrap();
    site.start(Part::Nats).unwrap();
    stranger.wait().unwrap();
    assert!(!identity.is_alive(), "a leftover of the site itself is ended");
}
