//! What the process that owns the site writes about itself, for `up`, `down`, `status` and `doctor`.

use std::path::Path;

use nsl_local_services::{Identity, PrivateFileError, read_bounded, write_private};
use serde::{Deserialize, Serialize};

/// How far the runner is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(crate) enum State {
    Starting { phase: String },
    Ready { lines: Vec<Line> },
    Failed { error: String },
}

/// Something that a person wants to know about the running site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) value: String,
}

/// The runner and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunnerRecord {
    pub(crate) identity: Identity,
    #[serde(flatten)]
    pub(crate) state: State,
}

impl RunnerRecord {
    pub(crate) fn write(&self, path: &Path) -> Result<(), PrivateFileError> {
        write_private(path, serde_json::json!(self).to_string().as_bytes())
    }

    /// The record of the last runner, alive or not; `None` when there is none that we can read.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, PrivateFileError> {
        Ok(read_bounded(path)?.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// The record of the runner that is alive.
    pub(crate) fn read_alive(path: &Path) -> Result<Option<Self>, PrivateFileError> {
        Ok(Self::read(path)?.filter(|record| record.identity.is_alive()))
    }
}

/// Labels and values in two columns.
pub(crate) fn table(lines: &[Line]) -> String {
    let width = lines.iter().map(|line| line.label.len()).max().unwrap_or_default();
    let rows: Vec<String> =
        lines.iter().map(|line| format!("  {:width$}  {}", line.label, line.value)).collect();
    rows.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_of_a_dead_runner_is_read_but_not_alive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runner.json");
        assert_eq!(RunnerRecord::read(&path).unwrap(), None);
        let lines = vec![Line { label: "bus".into(), value: "nats://127.0.0.1".into() }];
        let alive = Identity::of(std::process::id()).unwrap();
        let dead = Identity { start_ticks: alive.start_ticks + 1, ..alive.clone() };
        for (identity, is_alive) in [(alive, true), (dead, false)] {
            let record = RunnerRecord { identity, state: State::Ready { lines: lines.clone() } };
            record.write(&path).unwrap();
            assert_eq!(RunnerRecord::read(&path).unwrap(), Some(record));
            assert_eq!(RunnerRecord::read_alive(&path).unwrap().is_some(), is_alive);
        }
        write_private(&path, b"{").unwrap();
        assert_eq!(RunnerRecord::read(&path).unwrap(), None);
    }
}
