//! The log's beginning: event 1 is the manifest that is expected.

use std::path::Path;

use nsl_schemas::authority::{GenesisManifest, Signed};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::canonical;
use nsl_schemas::event::authority::AuthorityEvent;

use super::Error;
use crate::archive::{Archive, Error as ArchiveError, LogId};
use crate::source;

/// A manifest is a few kilobytes; more is a mistaken path.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// The hash of the manifest in a file, which its own quorum must have signed.
pub fn expected_genesis(path: &Path) -> Result<Sha256, Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    if path.metadata().map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let signed: Option<Signed<GenesisManifest>> = canonical::from_slice(&bytes).ok();
    signed
        .filter(|signed| signed.is_signed_by(&signed.statement.quorum))
        .map(|signed| signed.statement.sha256())
        .ok_or_else(|| Error::NoManifest { path: path.to_owned() })
}

/// That the archive's first event is the manifest of this hash; answers the name of the log that it begins.
pub(super) fn check_beginning(path: &Path, first: &Archive, expected: Sha256) -> Result<LogId, Error> {
    let failed = |source| Error::from(source::Error::Archive { path: path.to_owned(), source });
    let page = first.block(0).map_err(failed)?;
    let event = page.get(0).ok_or(Error::NoArchive)?;
    if !event.is_intact() {
        return Err(failed(ArchiveError::Altered { position: event.position }));
    }
    let decoded = event.to_recorded().stored().decode::<AuthorityEvent>();
    let found = match decoded {
        Ok(AuthorityEvent::GenesisRecorded(event)) => event.manifest.statement.sha256().to_string(),
        _ => "of no manifest".to_owned(),
    };
    if found == expected.to_string() {
        Ok(LogId(event.content_hash))
    } else {
        Err(Error::OtherGenesis { found, expected })
    }
}
