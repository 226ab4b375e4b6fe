//! Looking for secrets where none may be: in every file of a folder, in every form in which a program might write one.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem::Finder;
use nsl_neo::PrivateKey;

/// Read at a time.
const CHUNK_BYTES: usize = 1024 * 1024;
/// Characters of base64 that a part of the secret decides alone, whatever stands before and behind it.
const BASE64_MARGIN: usize = 4;

/// A secret in its forms.
pub(crate) struct Secret {
    name: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Secret {
    /// 32 secret bytes: as they are, backwards (as Neo's numbers are), hex, base64, and WIF where they are a private key.
    pub(crate) fn new(name: &str, bytes: &[u8; 32]) -> Self {
        let backwards: Vec<u8> = bytes.iter().rev().copied().collect();
        let mut forms = vec![
            ("raw", bytes.to_vec()),
            ("raw, backwards", backwards.clone()),
            ("hex", hex::encode(bytes).into_bytes()),
            ("upper-case hex", hex::encode_upper(bytes).into_bytes()),
            ("hex, backwards", hex::encode(backwards).into_bytes()),
        ];
        for (offset, form) in
            ["base64", "base64 behind one byte", "base64 behind two bytes"].into_iter().enumerate()
        {
            let padded = [&vec![0; offset], bytes.as_slice()].concat();
            for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
                let inner = &text[BASE64_MARGIN..text.len() - BASE64_MARGIN];
                forms.push((form, inner.as_bytes().to_vec()));
            }
        }
        if let Ok(key) = PrivateKey::from_bytes((*bytes).into()) {
            forms.push(("wif", nsl_neo::wif::encode(&key).as_bytes().to_vec()));
        }
        Self { name: name.to_owned(), forms }
    }

    /// What a file holds that has every form of the secret.
    pub(crate) fn planted(&self) -> Vec<u8> {
        self.forms.iter().flat_map(|(_, bytes)| [bytes.as_slice(), b"\n"]).flatten().copied().collect()
    }

    /// How many forms are looked for.
    pub(crate) fn forms(&self) -> usize {
        self.forms.len()
    }
}

/// A secret where it must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hit {
    pub(crate) secret: String,
    pub(crate) form: &'static str,
    pub(crate) file: PathBuf,
}

/// What a search came to.
#[derive(Debug, Default)]
pub(crate) struct Searched {
    pub(crate) hits: Vec<Hit>,
    pub(crate) files: usize,
    pub(crate) bytes: usize,
}

/// Searches all files below `folder` but those in `except`.
pub(crate) fn search(folder: &Path, except: &[PathBuf], secrets: &[Secret]) -> Searched {
    let mut searched = Searched::default();
    let finders: Vec<_> = secrets
        .iter()
        .flat_map(|secret| secret.forms.iter().map(move |(form, bytes)| (secret, *form, Finder::new(bytes))))
        .collect();
    let overlap = finders.iter().map(|(_, _, finder)| finder.needle().len()).max().unwrap_or_default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // What vanishes while we look was a process's temporary file.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                _ if except.contains(&path) => {}
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() => {
                    searched.files += 1;
                    searched.bytes += search_file(&path, overlap, |chunk| {
                        for (secret, form, finder) in &finders {
                            if finder.find(chunk).is_some() {
                                let (secret, file) = (secret.name.clone(), path.clone());
                                searched.hits.push(Hit { secret, form, file });
                            }
                        }
                    });
                }
                _ => {}
            }
        }
    }
    searched.hits.sort();
    searched.hits.dedup();
    searched
}

/// Looks at a file a chunk at a time, each with the end of the one before; returns the file's size.
fn search_file(path: &Path, overlap: usize, mut look: impl FnMut(&[u8])) -> usize {
    let Ok(mut file) = File::open(path) else { return 0 };
    let (mut chunk, mut kept, mut size) = (vec![0; overlap + CHUNK_BYTES], 0, 0);
    loop {
        match file.read(&mut chunk[kept..]) {
            Ok(0) => return size,
            Ok(read) => {
                size += read;
                let end = kept + read;
                look(&chunk[..end]);
                kept = end.min(overlap);
                chunk.copy_within(end - kept..end, 0);
            }
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
}

#[test]
fn every_form_of_a_secret_is_found_wherever_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let secret = Secret::new("planted", &std::array::from_fn(|index| 100 + u8::try_from(index).unwrap()));
    let other = Secret::new("other", &[0x11; 32]);
    let deep = folder.path().join("a/b");
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("control"), secret.planted()).unwrap();
    // Across the border of two chunks.
    let mut long = vec![b'.'; CHUNK_BYTES - 16];
    long.extend_from_slice(&secret.forms[0].1);
    std::fs::write(folder.path().join("long"), long).unwrap();
    // Within other base64 text.
    let inside = STANDARD.encode([b"key: ".as_slice(), &secret.forms[0].1, b" and more"].concat());
    std::fs::write(folder.path().join("inside"), inside).unwrap();

    let secrets = [secret, other];
    let searched = search(folder.path(), &[], &secrets);
    let in_file = |name: &str| searched.hits.iter().filter(|hit| hit.file.ends_with(name)).count();
    let control: std::collections::BTreeSet<_> =
        searched.hits.iter().filter(|hit| hit.file.ends_with("control")).map(|hit| hit.form).collect();
    assert_eq!(control.len(), 9, "{control:?}");
    assert_eq!((in_file("long"), searched.files), (1, 3));
    assert!(in_file("inside") >= 1);
    assert!(searched.hits.iter().all(|hit| hit.secret == "planted"));
    assert_eq!(search(&deep, &[deep.join("control")], &secrets).files, 0);
}
