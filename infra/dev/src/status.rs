//! `cargo dev status`: what runs, and whether it is ready.

use nsl_local_services::{Identity, PrivateFileError, read_bounded};

use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::runner_record::{Line, RunnerRecord, State, table};

pub(crate) fn run(layout: &Layout) -> Result<Outcome, PrivateFileError> {
    let Some(record) = RunnerRecord::read_alive(&layout.runner_record())? else {
        println!("Not running. Start it: cargo dev up");
        return Ok(Outcome::NotFound);
    };
    let id = record.identity.id;
    let lines = match record.state {
        State::Starting { phase } => {
            println!("Starting (process {id}): {phase}");
            return Ok(Outcome::Done);
        }
        State::Failed { error } => {
            println!("Failed (process {id}): {error}");
            return Ok(Outcome::Failed);
        }
        State::Ready { lines } => lines,
    };
    println!("Running (process {id}).\n{}", table(&lines));
    let processes = processes(layout)?;
    println!("Processes:\n{}", table(&processes));
    let all_alive = processes.iter().all(|process| process.value.starts_with("running"));
    Ok(if all_alive { Outcome::Done } else { Outcome::Failed })
}

/// Every recorded process of the site and whether it lives.
pub(crate) fn processes(layout: &Layout) -> Result<Vec<Line>, PrivateFileError> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(layout.site().run()).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_record = path.extension().is_some_and(|extension| extension == "pid");
        let Some(name) = path.file_stem().and_then(|name| name.to_str()).filter(|_| is_record) else {
            continue;
        };
        let identity = read_bounded(&path)?.and_then(|text| Identity::from_json(&text));
        let value = match identity.filter(Identity::is_alive) {
            Some(identity) => format!("running, process {}", identity.id),
            None => "ended; see `cargo dev logs`".to_owned(),
        };
        lines.push(Line { label: name.to_owned(), value });
    }
    lines.sort_by(|a, b| a.label.cmp(&b.label));
    Ok(lines)
}
