//! Is a process ready? Asked the way its users will ask it, with bounded time and bytes.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A loopback peer answers in microseconds; one that needs longer is busy starting.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Health pages and RPC answers that we look at are far smaller.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// The question whose answer says that a process can be used.
#[derive(Debug, Clone)]
pub enum Readiness {
    /// GET answers 200.
    HttpGet {
        /// Loopback port.
        port: u16,
        /// Path with its leading slash.
        path: String,
    },
    /// A JSON-RPC method without parameters answers with a result.
    JsonRpc {
        /// Loopback port.
        port: u16,
        /// Method name.
        method: &'static str,
    },
    /// A program exits with 0.
    Command {
        /// Program to run.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<OsString>,
    },
    /// A Unix socket accepts.
    UnixSocket(PathBuf),
}

impl Readiness {
    /// Asks once.
    pub fn is_ready(&self) -> bool {
        match self {
            Self::HttpGet { port, path } => http_get_status(*port, path).is_ok_and(|status| status == 200),
            Self::JsonRpc { port, method } => json_rpc_answers(*port, method),
            Self::Command { program, arguments } => command_succeeds(program, arguments),
            Self::UnixSocket(path) => UnixStream::connect(path).is_ok(),
        }
    }
}

/// The status code of a GET on a loopback port.
pub fn http_get_status(port: u16, path: &str) -> io::Result<u16> {
    // HTTP/1.0, so that the server closes the connection and the end of the answer needs no parsing.
    let answer = exchange(port, &format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"))?;
    status_code(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer"))
}

fn json_rpc_answers(port: u16, method: &str) -> bool {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":[]}}"#);
    let length = body.len();
    let head = "POST / HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json";
    exchange(port, &format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}"))
        .is_ok_and(|answer| status_code(&answer) == Some(200) && answer.contains("\"result\""))
}

fn exchange(port: u16, request: &str) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn status_code(answer: &str) -> Option<u16> {
    let mut words = answer.split_whitespace();
    words.next()?.starts_with("HTTP/1.").then(|| words.next()?.parse().ok())?
}

fn command_succeeds(program: &Path, arguments: &[OsString]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn reads_the_status_of_well_and_badly_formed_answers() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\nok", Some(200)),
            ("HTTP/1.0 503 Service Unavailable\r\n", Some(503)),
            ("HTTP/1.1 many", None),
            ("HTTP/1.1", None),
            ("SSH-2.0-OpenSSH", None),
            ("", None),
        ] {
            assert_eq!(status_code(answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn only_status_200_is_ready() {
        for (status, expected) in [("200 OK", true), ("503 Service Unavailable", false)] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 256];
                let length = stream.read(&mut request).unwrap();
                stream.write_all(format!("HTTP/1.0 {status}\r\n\r\n").as_bytes()).unwrap();
                String::from_utf8_lossy(&request[..length]).into_owned()
            });
            assert_eq!(Readiness::HttpGet { port, path: "/readyz".into() }.is_ready(), expected);
            assert!(server.join().unwrap().starts_with("GET /readyz HTTP/1.0\r\n"));
        }
    }
}
