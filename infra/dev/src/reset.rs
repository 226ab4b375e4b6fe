//! `cargo dev reset`: remove all data of the local site, after asking.

use std::io::{self, BufRead, IsTerminal, Write};

use nsl_local_services::{PrivateFileError, Site};

use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::runner_record::RunnerRecord;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot ask on this terminal")]
    Ask(#[source] io::Error),
    #[error(transparent)]
    Site(#[from] nsl_local_services::Error),
    #[error(transparent)]
    File(#[from] PrivateFileError),
}

pub(crate) fn run(layout: &Layout, arguments: &Arguments) -> Result<Outcome, Error> {
    let site = layout.site();
    let folder = site.path().display();
    if RunnerRecord::read_alive(&layout.runner_record())?.is_some() {
        eprintln!("error: it is running; stop it first: cargo dev down");
        return Ok(Outcome::Conflict);
    }
    if !site.path().exists() {
        println!("Nothing to remove.");
        return Ok(Outcome::Done);
    }
    if !arguments.yes && !io::stdin().is_terminal() {
        eprintln!("error: this removes all data in {folder}; say --yes");
        return Ok(Outcome::Conflict);
    }
    if !arguments.yes && !confirmed(&format!("Remove all data in {folder}? [y/N] "))? {
        println!("Nothing was removed.");
        return Ok(Outcome::Conflict);
    }
    Site::remove(site.path())?;
    println!("Removed. Installed tools stay.");
    Ok(Outcome::Done)
}

fn confirmed(question: &str) -> Result<bool, Error> {
    print!("{question}");
    io::stdout().flush().map_err(Error::Ask)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(Error::Ask)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
