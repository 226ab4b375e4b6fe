//! `cargo dev gen`: the contract of the bus, written from the types that speak it, for other languages and tools.
//!
//! The same types give the same bytes; nothing is read but the types, so a difference is always a change of theirs.

mod asyncapi;
mod compatibility;
mod errors;
mod files;
mod folder;
mod golden;
mod messages;
mod streams;
mod vectors;

use std::path::Path;

use crate::layout::Layout;
use crate::outcome::Outcome;

use compatibility::Schemas;
use files::Files;
use messages::Message;

/// Where the contract is, below the workspace.
const FOLDER: &str = "bus-schemas/contract";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; exit 1 if a file is not what the types say
    #[arg(long, group = "mode")]
    check: bool,
    /// Write nothing; exit 1 if whoever speaks the released contract cannot speak with this build
    #[arg(long, group = "mode")]
    compat: bool,
    /// With --compat: the contract to compare with, a folder or a commit, instead of the released one
    #[arg(long, requires = "compat", value_name = "FOLDER|COMMIT")]
    against: Option<String>,
    /// Make this contract the released one, if it breaks nobody
    #[arg(long, group = "mode")]
    release: bool,
}

/// Why there is no contract, or nothing to compare it with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Folder(#[from] folder::Error),
    #[error(transparent)]
    Compatibility(#[from] compatibility::Error),
}

pub(crate) fn run(layout: &Layout, arguments: &Arguments) -> Result<Outcome, Error> {
    let folder = layout.root().join(FOLDER);
    if arguments.check {
        return check(&folder);
    }
    if arguments.compat {
        return is_compatible(layout.root(), arguments.against.as_deref());
    }
    if arguments.release {
        return release(layout.root(), &folder);
    }
    let files = contract();
    let differences = folder::compare(&folder, &files)?;
    folder::write(&folder, &files, &differences)?;
    let samples = golden::add(&folder)?;
    for path in differences.iter().map(folder::Difference::path).chain(samples.iter().map(String::as_str)) {
        println!("{FOLDER}/{path}");
    }
    println!(
        "{} files of {FOLDER}, {} of them changed; {} golden samples added.",
        files.len(),
        differences.len(),
        samples.len()
    );
    Ok(Outcome::Done)
}

fn check(folder: &Path) -> Result<Outcome, Error> {
    let files = contract();
    let differences = folder::compare(folder, &files)?;
    let missing = golden::missing(folder)?;
    for difference in &differences {
        eprintln!("error: {FOLDER}/{difference}");
    }
    for path in &missing {
        eprintln!("error: {FOLDER}/golden/{path} has no sample");
    }
    if differences.is_empty() && missing.is_empty() {
        println!("{} files of {FOLDER} are what the types say.", files.len());
        return Ok(Outcome::Done);
    }
    let count = differences.len() + missing.len();
    eprintln!("{count} files are not what the types say; `cargo dev gen` writes them anew");
    Ok(Outcome::Failed)
}

fn is_compatible(root: &Path, against: Option<&str>) -> Result<Outcome, Error> {
    let released = compatibility::load(root, FOLDER, against)?;
    let breaches = compatibility::compare(&released, &schemas(&messages::all()));
    if breaches.is_empty() {
        println!("Whoever speaks one of {} released messages can speak with this build.", released.len());
        return Ok(Outcome::Done);
    }
    for breach in &breaches {
        eprintln!("error: {breach}\n  way out: {}", breach.way_out());
    }
    eprintln!("{} changes break whoever speaks the released contract", breaches.len());
    Ok(Outcome::Failed)
}

/// The first release has nothing before it to break.
fn release(root: &Path, folder: &Path) -> Result<Outcome, Error> {
    if folder.join(compatibility::FOLDER).exists() && is_compatible(root, None)? == Outcome::Failed {
        return Ok(Outcome::Failed);
    }
    let files = contract();
    let schema =
        |message: &Message| files.get(&message.file()).map(|text| (message.kind.name(), text.to_owned()));
    let texts: Vec<_> = messages::all().iter().filter_map(schema).collect();
    compatibility::release(folder, &texts)?;
    println!("{} messages are released.", texts.len());
    Ok(Outcome::Done)
}

/// The messages' schemas by name.
fn schemas(messages: &[Message]) -> Schemas {
    messages.iter().map(|message| (message.kind.name(), message.schema.clone())).collect()
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
