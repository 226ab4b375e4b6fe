//! Files and folders that only their owner may use: secrets, records, configurations, logs.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Our own records are far smaller; a larger file is not one of ours.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A private file or folder that could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file is larger than any that we write.
    #[error("{} has more than {FILE_BYTES_MAX} bytes, so it is not one of our files", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

/// Creates the folder and its missing parents with `mode`; one that exists stays as it is.
pub fn make_directory(path: &Path, mode: u32) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(io_error("create", path))
}

/// Writes a file of mode 0600 in one step: a reader, or a crash, sees the old or the new content, never a part.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), Error> {
    let staged = path.with_added_extension(format!("{}.new", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&staged)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&staged, path)
    };
    write().map_err(io_error("write", path))
}

/// Reads a text file of ours; `None` when there is none.
pub fn read_bounded(path: &Path) -> Result<Option<String>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("open", path)(error)),
    };
    let mut content = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut content).map_err(io_error("read", path))?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(Error::TooLarge { path: path.to_owned() });
    }
    Ok(Some(content))
}

/// Removes a file or a whole folder; nothing there is fine.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let result = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}

/// `bytes` random bytes of the operating system as hex digits.
pub(crate) fn random_hex(bytes: usize) -> Result<String, Error> {
    let source = Path::new("/dev/urandom");
    let mut buffer = vec![0; bytes];
    File::open(source).and_then(|mut file| file.read_exact(&mut buffer)).map_err(io_error("read", source))?;
    Ok(hex::encode(buffer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn written_file_is_private_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_private(&path, b"a longer first content").unwrap();
        write_private(&path, b"second").unwrap();
        assert_eq!(read_bounded(&path).unwrap().as_deref(), Some("second"));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no staged file stays behind");
    }

    #[test]
    fn missing_file_is_none_and_a_huge_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert!(read_bounded(&path).unwrap().is_none());
        File::create(&path).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(matches!(read_bounded(&path), Err(Error::TooLarge { .. })));
    }
}
