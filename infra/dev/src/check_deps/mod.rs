//! `cargo dev check-deps`: the dependency law, checked on what cargo itself says about the workspace.

mod file_length;
mod graph;
mod law;
mod manifest;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::layout::Layout;
use crate::outcome::Outcome;

use graph::Metadata;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot run cargo metadata")]
    Run(#[source] std::io::Error),
    #[error("cargo metadata failed: {0}")]
    Metadata(String),
    #[error("cargo metadata is not what it used to be")]
    Parse(#[source] serde_json::Error),
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is not a manifest", path.display())]
    Manifest {
        path: PathBuf,
        #[source]
        source: toml::de::Error,
    },
}

pub(crate) fn run(layout: &Layout) -> Result<Outcome, Error> {
    let metadata = metadata(layout.root())?;
    let mut violations = graph::violations(&metadata);
    for package in &metadata.packages {
        let text = read(&package.manifest_path)?;
        let parsed: toml::Table =
            text.parse().map_err(|source| Error::Manifest { path: package.manifest_path.clone(), source })?;
        violations.extend(manifest::violations(&package.name, &parsed));
    }
    violations.extend(file_length::violations(layout.root())?);
    for violation in &violations {
        eprintln!("error: {violation}");
    }
    if !violations.is_empty() {
        eprintln!("{} violations of the dependency law (infra/dev/src/check_deps/law.rs)", violations.len());
        return Ok(Outcome::Failed);
    }
    println!("{} crates keep the dependency law.", metadata.packages.len());
    Ok(Outcome::Done)
}

fn metadata(root: &Path) -> Result<Metadata, Error> {
    let mut command = Command::new("cargo");
    command.args(["metadata", "--format-version", "1", "--no-deps"]).current_dir(root);
    let output = command.output().map_err(Error::Run)?;
    if !output.status.success() {
        return Err(Error::Metadata(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(Error::Parse)
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}
