//! Signals to a process together with its descendants, wherever they put their process group: the backends of
//! Postgres have sessions of their own, so a group signal would miss them.

use std::collections::HashMap;
use std::io;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::identity::ProcessStat;

/// Sends `signal` to the process; one that has ended meanwhile is fine.
pub(super) fn signal_one(id: u32, signal: Signal) -> io::Result<()> {
    let id = i32::try_from(id).map_err(io::Error::other)?;
    match kill(Pid::from_raw(id), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Sends `signal` to the process and then to its descendants.
pub(super) fn signal_all(id: u32, signal: Signal) -> io::Result<()> {
    signal_one(id, signal)?;
    descendants(id).into_iter().try_for_each(|child| signal_one(child, signal))
}

/// Kills the process and its descendants. It is stopped first, so that it starts no child that we would miss.
pub(super) fn kill_all(id: u32) -> io::Result<()> {
    signal_one(id, Signal::SIGSTOP)?;
    let descendants = descendants(id);
    signal_one(id, Signal::SIGKILL)?;
    descendants.into_iter().try_for_each(|child| signal_one(child, Signal::SIGKILL))
}

fn descendants(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(stat) = ProcessStat::read(id) {
            children.entry(stat.parent).or_default().push(id);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(id) = next.pop() {
        let below = children.remove(&id).unwrap_or_default();
        found.extend_from_slice(&below);
        next.extend(below);
    }
    found
}
