//! `cargo dev logs`: what the processes write.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::interrupt;
use crate::layout::Layout;
use crate::outcome::Outcome;

const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// What is read of a log at once: bounds memory, whatever a process writes.
const CHUNK_BYTES_MAX: u64 = 256 * 1024;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The process; all of them without it
    name: Option<String>,
    /// Go on with what is written from now on
    #[arg(long, short)]
    follow: bool,
    /// Lines of each log to begin with
    #[arg(long, default_value_t = 50)]
    lines: usize,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A log and how far it was shown.
struct Log {
    path: PathBuf,
    prefix: String,
    shown_bytes: u64,
}

pub(crate) fn run(layout: &Layout, arguments: &Arguments) -> Result<Outcome, Error> {
    let mut logs = find(layout, arguments.name.as_deref());
    if logs.is_empty() {
        eprintln!("error: no such log in {}", layout.site().logs().display());
        return Ok(Outcome::NotFound);
    }
    for log in &mut logs {
        let text = log.read_tail().map_err(log.failed())?;
        let lines: Vec<&str> = text.lines().collect();
        if !log.show(&lines[lines.len().saturating_sub(arguments.lines)..]) {
            return Ok(Outcome::Done);
        }
    }
    while arguments.follow && !interrupt::was_requested() {
        for log in &mut logs {
            let text = log.read_new().map_err(log.failed())?;
            if !log.show(&text.lines().collect::<Vec<_>>()) {
                return Ok(Outcome::Done);
            }
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(Outcome::Done)
}

fn find(layout: &Layout, name: Option<&str>) -> Vec<Log> {
    let entries = std::fs::read_dir(layout.site().logs()).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .filter(|path| name.is_none_or(|name| path.file_stem().is_some_and(|stem| stem == name)))
        .collect();
    paths.sort();
    let prefix = |path: &Path| match path.file_stem() {
        Some(stem) if name.is_none() => format!("{:<17}| ", stem.to_string_lossy()),
        _ => String::new(),
    };
    paths.into_iter().map(|path| Log { prefix: prefix(&path), path, shown_bytes: 0 }).collect()
}

impl Log {
    fn read_tail(&mut self) -> io::Result<String> {
        self.shown_bytes = self.path.metadata()?.len().saturating_sub(CHUNK_BYTES_MAX);
        self.read_new()
    }

    /// The whole lines written since the last call; a line without its end waits for it.
    fn read_new(&mut self) -> io::Result<String> {
        let mut file = File::open(&self.path)?;
        if file.metadata()?.len() < self.shown_bytes {
            self.shown_bytes = 0; // set aside and begun anew
        }
        file.seek(SeekFrom::Start(self.shown_bytes))?;
        let mut bytes = Vec::new();
        file.take(CHUNK_BYTES_MAX).read_to_end(&mut bytes)?;
        let is_full = bytes.len() as u64 == CHUNK_BYTES_MAX;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        // A line longer than a chunk is shown in pieces.
        let length = if whole == 0 && is_full { bytes.len() } else { whole };
        bytes.truncate(length);
        self.shown_bytes += length as u64;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// False when nobody reads any more (`logs | head`).
    fn show(&self, lines: &[&str]) -> bool {
        let mut output = io::stdout().lock();
        lines.iter().all(|line| writeln!(output, "{}{line}", self.prefix).is_ok())
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> Error {
        let path = self.path.clone();
        |source| Error::Read { path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_whole_lines_once_and_survives_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut log = Log { path: path.clone(), prefix: String::new(), shown_bytes: 0 };
        for (content, expected) in
            [("one\ntw", "one\n"), ("one\ntwo\n", "two\n"), ("one\ntwo\n", ""), ("new\n", "new\n")]
        {
            std::fs::write(&path, content).unwrap();
            assert_eq!(log.read_new().unwrap(), expected, "{content:?}");
        }
    }
}
