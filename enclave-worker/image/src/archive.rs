//! Ramdisks: cpio archives in the "newc" form that Linux unpacks
//! (`Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! An archive depends on its entries alone: they are sorted, belong to root and have no time.

use std::collections::BTreeMap;

/// Bytes of a path, by the kernel's `PATH_MAX` with the final zero.
const PATH_BYTES_MAX: usize = 4096;
/// An archive ends at such a boundary, so that the next ramdisk, which the loader puts right behind it, is aligned.
const ARCHIVE_ALIGNMENT: usize = 512;
/// Headers, names and contents begin at multiples of this.
const ALIGNMENT: usize = 4;
/// The name that ends an archive.
const TRAILER: &str = "TRAILER!!!";

/// What cannot be put into an archive.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Not a plain relative path.
    #[error("{path:?} is no plain relative path of at most {PATH_BYTES_MAX} bytes")]
    Path {
        /// The path.
        path: String,
    },
    /// A path is given twice.
    #[error("{path:?} is in the archive already")]
    Duplicate {
        /// The path.
        path: String,
    },
    /// The archive's form has 32 bits for a length.
    #[error("{path:?} has {bytes} bytes, more than a cpio archive can say")]
    TooLarge {
        /// The path.
        path: String,
        /// Its content's length.
        bytes: usize,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Folder,
    File { mode: u32, content: Vec<u8> },
    CharacterDevice { major: u32, minor: u32 },
}

/// A ramdisk in the making.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Sorted, so that a folder comes before what is in it.
    entries: BTreeMap<String, Entry>,
}

impl Archive {
    /// Adds an empty folder, and those around it.
    pub fn folder(&mut self, path: &str) -> Result<(), Error> {
        self.add(path, Entry::Folder)
    }

    /// Adds a file that everybody may read and execute and nobody may write.
    pub fn program(&mut self, path: &str, content: Vec<u8>) -> Result<(), Error> {
        self.add(path, Entry::File { mode: 0o555, content })
    }

    /// Adds a file that everybody may read and nobody may write.
    pub fn file(&mut self, path: &str, content: Vec<u8>) -> Result<(), Error> {
        self.add(path, Entry::File { mode: 0o444, content })
    }

    /// Adds a character device for root alone.
    pub fn character_device(&mut self, path: &str, major: u32, minor: u32) -> Result<(), Error> {
        self.add(path, Entry::CharacterDevice { major, minor })
    }

    fn add(&mut self, path: &str, entry: Entry) -> Result<(), Error> {
        let is_plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
        // Room for the final zero.
        if path.len() >= PATH_BYTES_MAX || !path.split('/').all(is_plain) || path == TRAILER {
            return Err(Error::Path { path: path.to_owned() });
        }
        if let Entry::File { content, .. } = &entry
            && u32::try_from(content.len()).is_err()
        {
            return Err(Error::TooLarge { path: path.to_owned(), bytes: content.len() });
        }
        for (end, _) in path.match_indices('/') {
            let folder = path.get(..end).unwrap_or_default();
            let around = self.entries.entry(folder.to_owned()).or_insert(Entry::Folder);
            if *around != Entry::Folder {
                return Err(Error::Duplicate { path: folder.to_owned() });
            }
        }
        match self.entries.get(path) {
            Some(Entry::Folder) if entry == Entry::Folder => Ok(()),
            Some(_) => Err(Error::Duplicate { path: path.to_owned() }),
            None => {
                self.entries.insert(path.to_owned(), entry);
                Ok(())
            }
        }
    }

    /// The archive's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (inode, (path, entry)) in (1..).zip(&self.entries) {
            let (mode, device, content) = match entry {
                Entry::Folder => (0o040_555, (0, 0), [].as_slice()),
                Entry::File { mode, content } => (0o100_000 | mode, (0, 0), content.as_slice()),
                Entry::CharacterDevice { major, minor } => (0o020_600, (*major, *minor), [].as_slice()),
            };
            write_entry(&mut bytes, path, inode, mode, device, content);
        }
        write_entry(&mut bytes, TRAILER, 0, 0, (0, 0), &[]);
        pad(&mut bytes, ARCHIVE_ALIGNMENT);
        bytes
    }
}

fn write_entry(
    bytes: &mut Vec<u8>,
    path: &str,
    inode: u32,
    mode: u32,
    (major, minor): (u32, u32),
    content: &[u8],
) {
    let name_bytes = path.len() + 1;
    let content_bytes = content.len();
    // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check.
    let header = format!(
        "070701{inode:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{content_bytes:08x}{:08x}{:08x}{major:08x}{minor:08x}{name_bytes:08x}{:08x}",
        0, 0, 1, 0, 0, 0, 0
    );
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(path.as_bytes());
    bytes.push(0);
    pad(bytes, ALIGNMENT);
    bytes.extend_from_slice(content);
    pad(bytes, ALIGNMENT);
}

fn pad(bytes: &mut Vec<u8>, alignment: usize) {
    bytes.resize(bytes.len().next_multiple_of(alignment), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_written_byte_for_byte_as_the_form_says() {
        let mut archive = Archive::default();
        archive.program("a/b", b"hello".to_vec()).unwrap();
        let zero = "00000000";
        let expected = [
            &format!("07070100000001{:08x}{zero}{zero}00000001{}", 0o040_555, zero.repeat(6)),
            "0000000200000000a\0",
            &format!("07070100000002{:08x}{zero}{zero}00000001{zero}00000005{}", 0o100_555, zero.repeat(4)),
            "0000000400000000a/b\0\0\0hello\0\0\0",
            &format!("070701{zero}{zero}{zero}{zero}00000001{}", zero.repeat(6)),
            "0000000b00000000TRAILER!!!\0",
        ]
        .concat();
        let bytes = archive.to_bytes();
        assert_eq!(std::str::from_utf8(&bytes[..expected.len()]).unwrap(), expected);
        assert!(bytes[expected.len()..].iter().all(|byte| *byte == 0));
        assert_eq!(bytes.len(), 512);
    }

    #[test]
    fn the_order_of_adding_does_not_matter() {
        let add = |order: [usize; 3]| {
            let mut archive = Archive::default();
            for index in order {
                match index {
                    0 => archive.file("etc/z", vec![1]).unwrap(),
                    1 => archive.program("bin/a", vec![2]).unwrap(),
                    _ => archive.folder("etc").unwrap(),
                }
            }
            archive.to_bytes()
        };
        assert_eq!(add([0, 1, 2]), add([2, 1, 0]));
    }

    #[test]
    fn odd_paths_and_second_entries_are_refused() {
        let long = "p".repeat(PATH_BYTES_MAX);
        for path in ["", "/", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\0", TRAILER, &long] {
            let refused = Archive::default().file(path, Vec::new());
            assert_eq!(refused, Err(Error::Path { path: path.to_owned() }));
        }
        let mut archive = Archive::default();
        archive.file("a", Vec::new()).unwrap();
        let twice = |path: &str| Err(Error::Duplicate { path: path.to_owned() });
        assert_eq!(archive.file("a", Vec::new()), twice("a"));
        assert_eq!(archive.folder("a"), twice("a"));
        assert_eq!(archive.file("a/b", Vec::new()), twice("a"));
        archive.folder("b").unwrap();
        assert_eq!(archive.character_device("b", 5, 1), twice("b"));
    }
}
