//! Addresses of workers: `vsock://CID:PORT`, `uds-vsock://PATH:PORT` and `unix://PATH`.
//! Parsing and display are inverse to each other; nothing is opened here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

/// The longest path that fits `sockaddr_un.sun_path` (108 bytes with its final zero).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// How [`tokio_vsock::VMADDR_CID_ANY`] is written: "listen on whatever CID this machine has".
const CID_ANY: &str = "any";

/// Where a worker listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// A native AF_VSOCK address.
    Vsock {
        /// Context id of the machine; `VMADDR_CID_ANY` for listening only.
        cid: u32,
        /// Port of the service.
        port: u32,
    },
    /// A guest's vsock port behind the Unix socket of Firecracker, Cloud Hypervisor or vhost-device-vsock.
    HybridVsock {
        /// The monitor's socket.
        path: PathBuf,
        /// Port of the service.
        port: u32,
    },
    /// A Unix socket, for development and tests.
    Unix {
        /// The socket.
        path: PathBuf,
    },
}

/// Why a text is no endpoint.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// The scheme is none of the three.
    #[error("endpoint {text:?} must begin with vsock://, uds-vsock:// or unix://")]
    UnknownScheme {
        /// The whole text.
        text: String,
    },
    /// A vsock form without its `:PORT`.
    #[error("endpoint {text:?} lacks its :PORT")]
    MissingPort {
        /// The whole text.
        text: String,
    },
    /// The port is no number below 2³²−1, which the kernel reserves for "any".
    #[error("port {port:?} is not a number from 0 to 4294967294")]
    InvalidPort {
        /// The port as given.
        port: String,
    },
    /// The context id is neither a number nor `any`.
    #[error("context id {cid:?} is neither a number of 32 bits nor \"any\"")]
    InvalidCid {
        /// The context id as given.
        cid: String,
    },
    /// The path is empty or holds a zero byte.
    #[error("socket path {path:?} is empty or holds a zero byte")]
    InvalidPath {
        /// The path as given.
        path: String,
    },
    /// The path does not fit a Unix socket address.
    #[error("socket path of {bytes} bytes exceeds the kernel's limit of {SOCKET_PATH_BYTES_MAX}")]
    PathTooLong {
        /// Length of the path.
        bytes: usize,
    },
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(rest) = text.strip_prefix("vsock://") {
            let (cid, port) = split_port(text, rest)?;
            return Ok(Self::Vsock { cid: parse_cid(cid)?, port: parse_port(port)? });
        }
        if let Some(rest) = text.strip_prefix("uds-vsock://") {
            let (path, port) = split_port(text, rest)?;
            return Ok(Self::HybridVsock { path: parse_path(path)?, port: parse_port(port)? });
        }
        if let Some(path) = text.strip_prefix("unix://") {
            return Ok(Self::Unix { path: parse_path(path)? });
        }
        Err(Error::UnknownScheme { text: text.to_owned() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vsock { cid: tokio_vsock::VMADDR_CID_ANY, port } => {
                write!(formatter, "vsock://{CID_ANY}:{port}")
            }
            Self::Vsock { cid, port } => write!(formatter, "vsock://{cid}:{port}"),
            Self::HybridVsock { path, port } => write!(formatter, "uds-vsock://{}:{port}", path.display()),
            Self::Unix { path } => write!(formatter, "unix://{}", path.display()),
        }
    }
}

/// The socket on which a monitor hands over what its guest sends to host port `port`: `PATH_PORT`, by the
/// convention of all three monitors.
pub(crate) fn guest_initiated_path(path: &Path, port: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("_{port}"));
    PathBuf::from(name)
}

fn split_port<'a>(text: &str, rest: &'a str) -> Result<(&'a str, &'a str), Error> {
    rest.rsplit_once(':').ok_or_else(|| Error::MissingPort { text: text.to_owned() })
}

fn parse_cid(cid: &str) -> Result<u32, Error> {
    if cid == CID_ANY {
        return Ok(tokio_vsock::VMADDR_CID_ANY);
    }
    parse_number(cid).ok_or_else(|| Error::InvalidCid { cid: cid.to_owned() })
}

fn parse_port(port: &str) -> Result<u32, Error> {
    parse_number(port)
        .filter(|number| *number != u32::MAX)
        .ok_or_else(|| Error::InvalidPort { port: port.to_owned() })
}

/// `u32::from_str` alone would take a leading `+`, and `007` would not display as it was written.
fn parse_number(digits: &str) -> Option<u32> {
    let canonical = digits == "0" || digits.starts_with(|first: char| ('1'..='9').contains(&first));
    if canonical { digits.parse().ok() } else { None }
}

fn parse_path(path: &str) -> Result<PathBuf, Error> {
    if path.is_empty() || path.contains('\0') {
        return Err(Error::InvalidPath { path: path.to_owned() });
    }
    if path.len() > SOCKET_PATH_BYTES_MAX {
        return Err(Error::PathTooLong { bytes: path.len() });
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_display_as_they_were_parsed() {
        let long = format!("unix:///{}", "p".repeat(SOCKET_PATH_BYTES_MAX - 1));
        for text in [
            "vsock://16:5005",
            "vsock://any:5005",
            "vsock://3:0",
            "vsock://4294967294:4294967294",
            "uds-vsock:///run/vm.vsock:5005",
            "uds-vsock://odd:name:7",
            "unix:///run/worker.sock",
            "unix://relative/worker.sock",
            "unix://name:7",
            &long,
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_any_cid_has_two_spellings_and_one_meaning() {
        assert_eq!("vsock://4294967295:1".parse::<Endpoint>(), "vsock://any:1".parse());
    }

    #[test]
    fn texts_that_are_no_endpoints_are_refused_by_name() {
        let text = |text: &str| text.to_owned();
        let cases = [
            ("", Error::UnknownScheme { text: text("") }),
            ("tcp://1:2", Error::UnknownScheme { text: text("tcp://1:2") }),
            ("VSOCK://1:2", Error::UnknownScheme { text: text("VSOCK://1:2") }),
            ("vsock://16", Error::MissingPort { text: text("vsock://16") }),
            ("uds-vsock:///run/vm", Error::MissingPort { text: text("uds-vsock:///run/vm") }),
            ("vsock://16:", Error::InvalidPort { port: text("") }),
            ("vsock://16:+5", Error::InvalidPort { port: text("+5") }),
            ("vsock://16:05", Error::InvalidPort { port: text("05") }),
            ("vsock://16:4294967295", Error::InvalidPort { port: text("4294967295") }),
            ("vsock://16:4294967296", Error::InvalidPort { port: text("4294967296") }),
            ("vsock://:5", Error::InvalidCid { cid: text("") }),
            ("vsock://-1:5", Error::InvalidCid { cid: text("-1") }),
            ("vsock://ANY:5", Error::InvalidCid { cid: text("ANY") }),
            ("uds-vsock://:5", Error::InvalidPath { path: text("") }),
            ("unix://", Error::InvalidPath { path: text("") }),
            ("unix://a\0b", Error::InvalidPath { path: text("a\0b") }),
        ];
        for (input, expected) in cases {
            assert_eq!(input.parse::<Endpoint>(), Err(expected), "{input:?}");
        }
        let long = format!("unix:///{}", "p".repeat(SOCKET_PATH_BYTES_MAX));
        assert_eq!(long.parse::<Endpoint>(), Err(Error::PathTooLong { bytes: SOCKET_PATH_BYTES_MAX + 1 }));
    }

    #[test]
    fn a_guest_reaches_the_host_through_the_path_with_the_port_appended() {
        assert_eq!(guest_initiated_path(Path::new("/run/vm.vsock"), 9), Path::new("/run/vm.vsock_9"));
    }
}
