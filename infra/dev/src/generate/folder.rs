//! The contract's folder: how it differs from what it shall be, and bringing it there. All of it is generated, but
//! what was released and the golden samples are not generated again.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::files::Files;

/// The contract has folders of files and no deeper; stops at a cycle of links.
const DEPTH_MAX: usize = 4;
/// Folders below it that are only added to, each by a rule of its own.
const APPEND_ONLY: [&str; 2] = [super::golden::FOLDER, super::compatibility::FOLDER];

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
}

/// A file that is not as it shall be, by its path below the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Difference {
    Changed(String),
    Missing(String),
    /// Nothing makes it any more.
    Surplus(String),
}

impl Difference {
    pub(super) fn path(&self) -> &str {
        let (Self::Changed(path) | Self::Missing(path) | Self::Surplus(path)) = self;
        path
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(path) => write!(formatter, "{path} (changed)"),
            Self::Missing(path) => write!(formatter, "{path} (missing)"),
            Self::Surplus(path) => write!(formatter, "{path} (no longer made)"),
        }
    }
}

/// How the folder differs from `files`.
pub(super) fn compare(folder: &Path, files: &Files) -> Result<Vec<Difference>, Error> {
    let mut differences = Vec::new();
    for (path, text) in files.iter() {
        let full = folder.join(path);
        match std::fs::read(&full) {
            Ok(found) if found == text.as_bytes() => {}
            Ok(_) => differences.push(Difference::Changed(path.to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                differences.push(Difference::Missing(path.to_owned()));
            }
            Err(source) => return Err(Error::Read { path: full, source }),
        }
    }
    let mut found = Vec::new();
    collect(folder, "", DEPTH_MAX, &mut found)?;
    found.sort();
    let surplus = found.into_iter().filter(|path| files.get(path).is_none());
    differences.extend(surplus.map(Difference::Surplus));
    Ok(differences)
}

/// Writes what differs, and removes what nothing makes any more.
pub(super) fn write(folder: &Path, files: &Files, differences: &[Difference]) -> Result<(), Error> {
    for difference in differences {
        let path = difference.path();
        let full = folder.join(path);
        let written = match files.get(path) {
            Some(text) => write_file(&full, text),
            None => std::fs::remove_file(&full),
        };
        written.map_err(|source| Error::Write { path: full, source })?;
    }
    Ok(())
}

pub(super) fn write_file(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, text)
}

fn collect(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<String>) -> Result<(), Error> {
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed(source)),
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if APPEND_ONLY.contains(&path.as_str()) {
            continue;
        }
        if !entry.file_type().map_err(failed)?.is_dir() {
            found.push(path);
        } else if depth > 0 {
            collect(&entry.path(), &format!("{path}/"), depth - 1, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(entries: &[(&str, &str)]) -> Files {
        let mut files = Files::new();
        for (path, text) in entries {
            files.add(path, text);
        }
        files
    }

    #[test]
    fn what_differs_is_named_and_writing_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let earlier = files(&[("a.json", "1"), ("sub/b.json", "1"), ("sub/c.json", "1")]);
        let now = files(&[("a.json", "1"), ("sub/b.json", "2"), ("sub/d.json", "1")]);
        let missing = compare(folder.path(), &earlier).unwrap();
        assert_eq!(missing.len(), 3);
        write(folder.path(), &earlier, &missing).unwrap();
        assert_eq!(compare(folder.path(), &earlier).unwrap(), []);

        let differences = compare(folder.path(), &now).unwrap();
        assert_eq!(
            differences,
            [
                Difference::Changed("sub/b.json".to_owned()),
                Difference::Missing("sub/d.json".to_owned()),
                Difference::Surplus("sub/c.json".to_owned()),
            ]
        );
        write(folder.path(), &now, &differences).unwrap();
        assert_eq!(compare(folder.path(), &now).unwrap(), []);
        assert!(!folder.path().join("sub/c.json").exists());
    }
}
