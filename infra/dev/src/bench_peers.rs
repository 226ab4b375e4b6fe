//! Peers of the benchmarks that are no crates: fetched from their registry when they are measured, and left out aloud when
//! they cannot be.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// message-db's SQL functions. Pinned: figures are compared over time.
const MESSAGE_DB: &str = "@eventide/message-db@1.3.1";
/// What `npm pack` calls its archive.
const MESSAGE_DB_ARCHIVE: &str = "eventide-message-db-1.3.1.tgz";

/// Where SoftHSM2 finds its configuration.
pub(crate) const SOFTHSM: &str = "SOFTHSM2_CONF";

/// A configuration of SoftHSM2 with tokens below `folder`.
pub(crate) fn softhsm(folder: &Path) -> std::io::Result<PathBuf> {
    let (tokens, configuration) = (folder.join("tokens"), folder.join("softhsm2.conf"));
    fs::create_dir(&tokens)?;
    fs::write(&configuration, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display()))?;
    Ok(configuration)
}

/// The folder `database` of message-db's package, unpacked below `folder`.
pub(crate) fn message_db(folder: &Path) -> Option<PathBuf> {
    let database = folder.join("package").join("database");
    let fetched = runs(Command::new("npm").args(["pack", "--silent", MESSAGE_DB]), folder)
        && runs(Command::new("tar").args(["-xzf", MESSAGE_DB_ARCHIVE]), folder)
        && database.is_dir();
    if fetched {
        Some(database)
    } else {
        eprintln!("message-db is left out: {MESSAGE_DB} cannot be fetched with npm");
        None
    }
}

fn runs(command: &mut Command, folder: &Path) -> bool {
    let status = command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
