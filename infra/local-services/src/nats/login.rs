//! Whether the server lets a user in, asked in its plain protocol.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::json;

use super::NatsEndpoint;

/// A server on this machine answers within milliseconds; while it starts or reloads, perhaps not at all.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Lines before the verdict: the server's greeting, and a ping of its own.
const LINES_MAX: usize = 8;

/// True when `user` got in; an error says as much as a refusal to whoever asks again.
pub(crate) fn is_let_in(endpoint: &NatsEndpoint, user: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, endpoint.port))?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let options = json!({ "verbose": false, "user": user, "pass": endpoint.passwords.get(user) });
    stream.write_all(format!("CONNECT {options}\r\nPING\r\n").as_bytes())?;
    for line in BufReader::new(stream).lines().take(LINES_MAX) {
        let line = line?;
        if line.starts_with("PONG") {
            return Ok(true);
        }
        if line.starts_with("-ERR") {
            break;
        }
    }
    Ok(false)
}
