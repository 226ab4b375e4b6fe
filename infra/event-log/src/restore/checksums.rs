//! The files' checksums, as `archive` writes them and `sha256sum` reads them.

use std::collections::BTreeMap;
use std::path::Path;

use super::Error;
use crate::archive::Archive;
use crate::source;

/// Bytes of a list: tens of thousands of archives, each a million events.
const LIST_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Checksums that were kept apart from the archives: file name to SHA-256 in hex.
#[derive(Debug, Default)]
pub struct Checksums(BTreeMap<String, String>);

impl Checksums {
    /// Reads a list: lines of `HEX  NAME`, as `cat *.sha256` makes one.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        if path.metadata().map_err(failed)?.len() > LIST_BYTES_MAX {
            return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let pairs = text.lines().filter_map(|line| line.split_once("  "));
        Ok(Self(pairs.map(|(sha256, name)| (name.trim().to_owned(), sha256.to_lowercase())).collect()))
    }
}

/// That the file is the one that its checksum was made of.
pub(super) fn check(path: &Path, apart: Option<&Checksums>) -> Result<(), Error> {
    let beside;
    let checksums = if let Some(checksums) = apart {
        checksums
    } else {
        let list = path.with_extension(format!("{}.sha256", source::EXTENSION));
        if !list.exists() {
            return Err(Error::NoChecksum { path: path.to_owned() });
        }
        beside = Checksums::read(&list)?;
        &beside
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let expected =
        checksums.0.get(name.as_ref()).ok_or_else(|| Error::NoChecksum { path: path.to_owned() })?;
    let failed = |source| source::Error::Archive { path: path.to_owned(), source };
    let found = Archive::file_sha256(path).map_err(failed)?;
    if crate::hex(&found) == *expected { Ok(()) } else { Err(Error::OtherFile { path: path.to_owned() }) }
}
