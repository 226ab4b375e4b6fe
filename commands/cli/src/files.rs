//! Files that the command reads and writes: bounded reads, private writes, the folders of the XDG convention.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nsl_client::statement::Unsigned;
use nsl_schemas::authority::{Build, KeySignature};
use nsl_schemas::canonical;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::policy::Policy;
use nsl_schemas::secret::SecretPolicy;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::error::Error;

/// The file name that stands for standard input.
pub(crate) const STDIN: &str = "-";
/// Largest configuration file: contexts, policies and manifests are a few KiB each.
pub(crate) const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Largest seed or password file: both are one short line.
const SECRET_BYTES_MAX: u64 = 1024;

/// The folder of `nsl` under the one that `variable` names, or else under `fallback` in the home folder.
pub(crate) fn folder(variable: &'static str, fallback: &str) -> Result<PathBuf, Error> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = named(variable).or_else(|| named("HOME").map(|home| home.join(fallback)));
    base.map(|base| base.join("nsl")).ok_or(Error::NoHome { variable })
}

/// Reads a whole file of at most `limit_bytes`.
pub(crate) fn read(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(|source| file_error(path, source))?;
    read_from(file, path, limit_bytes)
}

/// Reads all of `reader`, at most `limit_bytes`; `path` is its name in errors.
pub(crate) fn read_from(reader: impl Read, path: &Path, limit_bytes: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = reader.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes);
    let count = read.map_err(|source| file_error(path, source))?;
    if count as u64 > limit_bytes {
        return Err(Error::FileTooLarge { path: path.to_owned(), limit_bytes });
    }
    Ok(bytes)
}

/// Reads a file, or standard input for the name `-`; on a thread of its own, because standard input may take its time
/// and Ctrl-C must not.
pub(crate) async fn read_or_stdin(path: PathBuf, limit_bytes: u64) -> Result<Vec<u8>, Error> {
    let name = path.clone();
    let read = tokio::task::spawn_blocking(move || {
        if path == Path::new(STDIN) {
            read_from(std::io::stdin().lock(), &path, limit_bytes)
        } else {
            read(&path, limit_bytes)
        }
    });
    read.await.map_err(|error| file_error(&name, std::io::Error::other(error)))?
}

/// Reads the one line of a secret file.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<String>, Error> {
    let bytes = Zeroizing::new(read(path, SECRET_BYTES_MAX)?);
    let text = std::str::from_utf8(&bytes);
    let text = text.map_err(|error| file_error(path, std::io::Error::other(error)))?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Reads a seed file.
pub(crate) fn read_seed(path: &Path) -> Result<SigningKey, Error> {
    let text = read_secret(path)?;
    SigningKey::parse_seed(&text).map_err(|source| Error::Seed { path: path.to_owned(), source })
}

/// Reads a policy as JSON.
pub(crate) fn read_policy(path: &Path) -> Result<Policy, Error> {
    read_json(path, "policy")
}

/// Reads a secret's policy as JSON.
pub(crate) fn read_secret_policy(path: &Path) -> Result<SecretPolicy, Error> {
    read_json(path, "policy of a secret")
}

/// Reads a build's name and measurements as JSON.
pub(crate) fn read_build(path: &Path) -> Result<Build, Error> {
    read_json(path, "build")
}

/// Reads a statement of authority before its signatures.
pub(crate) fn read_statement(path: &Path) -> Result<Unsigned, Error> {
    read_json(path, "statement")
}

/// Reads one signature of a statement.
pub(crate) fn read_signature(path: &Path) -> Result<KeySignature, Error> {
    read_json(path, "signature")
}

fn read_json<T: DeserializeOwned>(path: &Path, what: &'static str) -> Result<T, Error> {
    let bytes = read(path, FILE_BYTES_MAX)?;
    canonical::from_slice(&bytes).map_err(|source| Error::Content { path: path.to_owned(), what, source })
}

/// Writes a new file that only its owner can read; an existing one is left alone.
pub(crate) fn write_new_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    create_private_folder(path)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|source| file_error(path, source))
}

/// Replaces a file in one step by one that only its owner can read.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    create_private_folder(path)?;
    let unfinished = path.with_extension("unfinished");
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
    file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(|source| file_error(path, source))
}

/// Makes the folder that shall hold `path`.
pub(crate) fn create_private_folder(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| file_error(folder, source))
}

pub(crate) fn file_error(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stop_at_their_limit() {
        let path = Path::new("input");
        assert_eq!(read_from(&b"1234"[..], path, 4).unwrap(), b"1234");
        assert!(matches!(read_from(&b"12345"[..], path, 4), Err(Error::FileTooLarge { limit_bytes: 4, .. })));
    }

    #[test]
    fn a_private_file_is_made_once_and_for_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys").join("one.seed");
        write_new_private(&path, b"first").unwrap();
        assert!(matches!(write_new_private(&path, b"second"), Err(Error::File { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
