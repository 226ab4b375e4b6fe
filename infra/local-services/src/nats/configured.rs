//! When the server last took up its configuration, as its monitoring page says.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde::Deserialize;

use super::NatsEndpoint;

/// A server on this machine answers within milliseconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// The page has a few KiB.
const PAGE_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Deserialize)]
struct Variables {
    config_load_time: String,
}

/// Changes with every reload.
pub(crate) fn configured_at(endpoint: &NatsEndpoint) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, endpoint.monitoring_port))?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    // HTTP/1.0: the answer ends with the connection and is not chunked.
    stream.write_all(b"GET /varz HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(PAGE_BYTES_MAX).read_to_string(&mut answer)?;
    let (_, page) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let Variables { config_load_time } = serde_json::from_str(page)?;
    Ok(config_load_time)
}
