//! The boot message: the files that an image cannot contain, because they name its measurements.
//!
//! The enclave listens on [`PORT`] and speaks first ([`GREETING`]); the parent answers with one message ([`encode`]):
//! the number of files, then for each the length of its name, its name, the length of its content (four bytes,
//! big-endian) and its content. The enclave answers [`ACCEPTED`], or one line that says why not, and then it waits for
//! the next parent. A build takes exactly the files of [`FILES`].

use std::collections::BTreeMap;
use std::io::{self, Read};

/// Where the enclave waits for its files.
pub const PORT: u32 = 5006;
/// Where the worker listens once it runs.
pub const WORKER_PORT: u32 = 5005;
/// Where the parent relays to AWS KMS, for workers that seal by it.
pub const KMS_RELAY_PORT: u32 = 5007;
/// What the enclave says first: whoever speaks first to some vsock monitors may lose what he said.
pub const GREETING: &[u8; 11] = b"nsl-boot-1\n";
/// What the enclave answers to files that it takes.
pub const ACCEPTED: &str = "accepted";
/// Longest line of an answer.
pub const ANSWER_BYTES_MAX: u64 = 512;
/// Largest file: a manifest is far smaller, and has a limit of its own.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// One file that a worker is started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootFile {
    /// Its name, in the message and in the enclave's folder of boot files.
    pub name: &'static str,
    /// The worker's flag that takes its path.
    pub flag: &'static str,
}

/// The signed genesis manifest.
pub const GENESIS: BootFile = BootFile { name: "genesis.json", flag: "--genesis" };
/// Key and certificate of the development root, which signs what the emulated device measured.
#[cfg(feature = "development")]
pub const DEVELOPMENT_ROOT: BootFile =
    BootFile { name: "development-root.pem", flag: "--development-attester-root" };
/// What a development worker derives its sealing key from.
#[cfg(feature = "development")]
pub const DEVELOPMENT_SEALING_KEY: BootFile =
    BootFile { name: "development-sealing.key", flag: "--development-sealing-key" };

/// The files that this build takes: all of them, each once.
#[cfg(not(feature = "development"))]
pub const FILES: &[BootFile] = &[GENESIS];
/// The files that this build takes: all of them, each once.
#[cfg(feature = "development")]
pub const FILES: &[BootFile] = &[GENESIS, DEVELOPMENT_ROOT, DEVELOPMENT_SEALING_KEY];

/// Why a boot message is not taken, or cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The parent stopped sending.
    #[error("boot message ends early or cannot be read")]
    Read(#[from] io::Error),
    /// A file that this build does not take.
    #[error("this build takes no boot file {name:?}")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// A file was there before.
    #[error("boot file {name} comes twice")]
    Twice {
        /// Its name.
        name: &'static str,
    },
    /// A file is not there.
    #[error("boot file {name} is missing")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// A file is too large.
    #[error("boot file {name} has {bytes} bytes, more than {FILE_BYTES_MAX}")]
    TooLarge {
        /// Its name.
        name: &'static str,
        /// Its length.
        bytes: usize,
    },
}

/// The contents of the boot files by their names.
pub type Contents = BTreeMap<&'static str, Vec<u8>>;

/// The message with these files.
pub fn encode(contents: &Contents) -> Result<Vec<u8>, Error> {
    let mut message = vec![u8::try_from(FILES.len()).unwrap_or(u8::MAX)];
    for BootFile { name, .. } in FILES {
        let content = contents.get(name).ok_or(Error::Missing { name })?;
        let bytes = content.len();
        let length = u32::try_from(bytes).ok().filter(|_| bytes <= FILE_BYTES_MAX);
        let length = length.ok_or(Error::TooLarge { name, bytes })?;
        message.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        message.extend_from_slice(name.as_bytes());
        message.extend(length.to_be_bytes());
        message.extend_from_slice(content);
    }
    Ok(message)
}

/// Reads one message; what is longer than this build's files can be is never read.
pub fn decode(from: &mut impl Read) -> Result<Contents, Error> {
    let mut contents = Contents::new();
    for _ in 0..byte(from)? {
        let mut name = vec![0; usize::from(byte(from)?)];
        from.read_exact(&mut name)?;
        let known = FILES.iter().find(|file| file.name.as_bytes() == name);
        let name =
            known.ok_or_else(|| Error::Unknown { name: String::from_utf8_lossy(&name).into_owned() })?.name;
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let bytes = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if bytes > FILE_BYTES_MAX {
            return Err(Error::TooLarge { name, bytes });
        }
        let mut content = vec![0; bytes];
        from.read_exact(&mut content)?;
        if contents.insert(name, content).is_some() {
            return Err(Error::Twice { name });
        }
    }
    match FILES.iter().find(|file| !contents.contains_key(file.name)) {
        Some(BootFile { name, .. }) => Err(Error::Missing { name }),
        None => Ok(contents),
    }
}

fn byte(from: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    from.read_exact(&mut byte)?;
    Ok(u8::from_be_bytes(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contents() -> Contents {
        FILES.iter().map(|file| (file.name, file.flag.as_bytes().to_vec())).collect()
    }

    #[test]
    fn files_arrive_as_they_were_sent() {
        let message = encode(&contents()).unwrap();
        assert_eq!(decode(&mut message.as_slice()).unwrap(), contents());
    }

    #[test]
    fn a_message_cut_anywhere_is_not_taken() {
        let message = encode(&contents()).unwrap();
        for end in 1..message.len() {
            assert!(matches!(decode(&mut &message[..end]), Err(Error::Read(_))), "{end}");
        }
    }

    #[test]
    fn a_message_with_other_files_is_refused_by_name() {
        let genesis = b"\x0cgenesis.json\0\0\0\x01x";
        let decode = |parts: &[&[u8]]| decode(&mut parts.concat().as_slice()).unwrap_err().to_string();
        assert_eq!(decode(&[b"\0"]), "boot file genesis.json is missing");
        assert_eq!(decode(&[b"\x02", genesis, genesis]), "boot file genesis.json comes twice");
        assert_eq!(decode(&[b"\x01\x02hi"]), "this build takes no boot file \"hi\"");
        let huge = decode(&[b"\x01\x0cgenesis.json\xff\xff\xff\xff"]);
        assert_eq!(huge, "boot file genesis.json has 4294967295 bytes, more than 1048576");
        let large = Contents::from([(GENESIS.name, vec![0; FILE_BYTES_MAX + 1])]);
        assert!(matches!(encode(&large), Err(Error::TooLarge { name: "genesis.json", .. })));
        assert!(matches!(encode(&Contents::new()), Err(Error::Missing { name: "genesis.json" })));
    }

    #[cfg(not(feature = "development"))]
    #[test]
    fn a_distribution_takes_no_development_secrets() {
        for name in ["development-root.pem", "development-sealing.key"] {
            let message = [&[1, u8::try_from(name.len()).unwrap()], name.as_bytes(), &[0; 4]].concat();
            assert!(matches!(decode(&mut message.as_slice()), Err(Error::Unknown { .. })));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&mut bytes.as_slice());
        }
    }
}
