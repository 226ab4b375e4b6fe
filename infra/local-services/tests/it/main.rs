//! Real starts, stops, crashes and restarts of every part, each test in a site of its own.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test by panicking")]

mod crash;
mod locking;
mod nats;
mod neo;
mod postgres;
mod tenants;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nsl_local_services::Tools;

/// Far beyond what any awaited condition takes: reaching it is a failure, not a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn tools() -> Tools {
    Tools::from_environment().unwrap()
}

fn await_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn http_post(port: u16, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST / HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
