//! What was released: schemas kept in the contract, in another folder, or in a commit.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Schemas;

/// Where the released schemas are, below the contract; a copy of `schemas/` as it was.
pub(in super::super) const FOLDER: &str = "released";
/// Where a contract has its schemas.
const SCHEMAS: &str = "schemas";

/// Why there is nothing to compare with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{what} is not JSON")]
    Json {
        what: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("{} has no schemas", what)]
    Empty { what: String },
    #[error("cannot run git")]
    Git(#[source] std::io::Error),
    #[error("{revision:?} is neither a folder with a contract nor a commit that git has: {message}")]
    Revision { revision: String, message: String },
}

/// The schemas that `against` names: a contract's folder, or a commit; the released ones where it is none.
pub(in super::super) fn load(root: &Path, contract: &str, against: Option<&str>) -> Result<Schemas, Error> {
    let schemas = match against {
        None => from_folder(&root.join(contract).join(FOLDER))?,
        Some(folder) if Path::new(folder).is_dir() => from_folder(Path::new(folder))?,
        Some(revision) => from_revision(root, contract, revision)?,
    };
    if schemas.is_empty() {
        let what = against.map_or_else(|| format!("{contract}/{FOLDER}"), str::to_owned);
        return Err(Error::Empty { what });
    }
    Ok(schemas)
}

/// Makes the present schemas the released ones.
pub(in super::super) fn release(contract: &Path, texts: &[(String, String)]) -> Result<(), Error> {
    let folder = contract.join(FOLDER).join(SCHEMAS);
    std::fs::create_dir_all(&folder).map_err(|source| Error::Write { path: folder.clone(), source })?;
    for (name, text) in texts {
        let path = folder.join(format!("{name}.json"));
        std::fs::write(&path, text).map_err(|source| Error::Write { path, source })?;
    }
    Ok(())
}

fn from_folder(contract: &Path) -> Result<Schemas, Error> {
    let folder = contract.join(SCHEMAS);
    let failed = |source| Error::Read { path: folder.clone(), source };
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Schemas::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut schemas = Schemas::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let Some(name) = message(&path) else { continue };
        let text = std::fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        schemas.insert(name, parse(&path.display().to_string(), &text)?);
    }
    Ok(schemas)
}

fn from_revision(root: &Path, contract: &str, revision: &str) -> Result<Schemas, Error> {
    let folder = format!("{contract}/{SCHEMAS}");
    let listed =
        git(root, revision, &["ls-tree", "-r", "--name-only", "--end-of-options", revision, "--", &folder])?;
    let mut schemas = Schemas::new();
    for path in String::from_utf8_lossy(&listed).lines() {
        let Some(name) = message(Path::new(path)) else { continue };
        let object = format!("{revision}:{path}");
        let text = git(root, revision, &["show", "--end-of-options", &object])?;
        schemas.insert(name, parse(&object, &text)?);
    }
    Ok(schemas)
}

fn git(root: &Path, revision: &str, arguments: &[&str]) -> Result<Vec<u8>, Error> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().map_err(Error::Git)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Revision { revision: revision.to_owned(), message })
}

/// The message whose schema the file is.
fn message(path: &Path) -> Option<String> {
    let is_schema = path.extension().is_some_and(|extension| extension == "json");
    is_schema.then(|| path.file_stem()?.to_str().map(str::to_owned)).flatten()
}

fn parse(what: &str, text: &[u8]) -> Result<serde_json::Value, Error> {
    serde_json::from_slice(text).map_err(|source| Error::Json { what: what.to_owned(), source })
}
