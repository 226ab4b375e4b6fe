//! `cargo dev gen`: the contract of the bus, written from the types that speak it, for other languages and tools.
//!
//! The same types give the same bytes; nothing is read but the types, so a difference is always a change of theirs.

mod asyncapi;
mod errors;
mod files;
mod folder;
mod messages;
mod streams;
mod vectors;

use crate::layout::Layout;
use crate::outcome::Outcome;

use files::Files;
pub(crate) use folder::Error;

/// Where the contract is, below the workspace.
const FOLDER: &str = "bus-schemas/contract";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; exit 1 if a file is not what the types say
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(layout: &Layout, arguments: &Arguments) -> Result<Outcome, Error> {
    let folder = layout.root().join(FOLDER);
    let files = contract();
    let differences = folder::compare(&folder, &files)?;
    if !arguments.check {
        folder::write(&folder, &files, &differences)?;
        for difference in &differences {
            println!("{FOLDER}/{}", difference.path());
        }
        println!("{} files of {FOLDER}, {} of them changed.", files.len(), differences.len());
        return Ok(Outcome::Done);
    }
    if differences.is_empty() {
        println!("{} files of {FOLDER} are what the types say.", files.len());
        return Ok(Outcome::Done);
    }
    for difference in &differences {
        eprintln!("error: {FOLDER}/{difference}");
    }
    eprintln!("{} files are not what the types say; `cargo dev gen` writes them anew", differences.len());
    Ok(Outcome::Failed)
}

/// Every file of the contract.
fn contract() -> Files {
    let messages = messages::all();
    let mut files = Files::new();
    for message in &messages {
        files.add(&message.file(), &message.schema);
    }
    files.add("asyncapi.json", &asyncapi::document(&messages));
    files.add("errors.json", &errors::document());
    for (name, document) in vectors::all() {
        files.add(&format!("vectors/{name}.json"), &document);
    }
    files
}

#[cfg(test)]
mod tests;
