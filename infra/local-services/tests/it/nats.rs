//! The bus: only its users come in, streams survive.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use nsl_local_services::{NatsEndpoint, Part, Site};

fn endpoint(site: &Site) -> NatsEndpoint {
    site.endpoints().nats.clone().unwrap()
}

/// Sends one request as `admin` over the plain protocol and returns the answer's payload line.
fn request(endpoint: &NatsEndpoint, password: &str, subject: &str, payload: &str) -> Result<String, String> {
    let mut stream = TcpStream::connect(("127.0.0.1", endpoint.port)).unwrap();
    let connect = format!(r#"{{"verbose":false,"user":"admin","pass":"{password}"}}"#);
    let length = payload.len();
    let operations =
        format!("CONNECT {connect}\r\nSUB answer 1\r\nPUB {subject} answer {length}\r\n{payload}\r\n");
    // The server hangs up on a stranger, perhaps before it has read everything: its answer counts.
    let _ = stream.write_all(operations.as_bytes());
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(line)) = lines.next() {
        if line.starts_with("-ERR") {
            return Err(line);
        }
        if line.starts_with("MSG ") {
            return Ok(lines.next().unwrap().unwrap());
        }
    }
    Err("connection closed".into())
}

#[test]
fn stream_survives_kill_9_and_restart() {
    let mut site = Site::temporary(&[Part::Nats]).unwrap();
    let endpoint = endpoint(&site);
    let admin = |subject: &str, payload: &str| {
        request(&endpoint, &endpoint.passwords["admin"], subject, payload).unwrap()
    };
    let created =
        admin("$JS.API.STREAM.CREATE.KEPT", r#"{"name":"KEPT","subjects":["kept.>"],"storage":"file"}"#);
    assert!(!created.contains("\"error\""), "{created}");
    assert!(admin("kept.one", "hello").contains("\"seq\":1"));

    site.kill9("nats").unwrap();
    site.restart("nats").unwrap();
    assert!(admin("$JS.API.STREAM.INFO.KEPT", "").contains("\"messages\":1"));
    site.restart("nats").unwrap();
    assert!(admin("kept.two", "again").contains("\"seq\":2"));
}

#[test]
fn wrong_password_is_refused_and_unknown_users_have_no_url() {
    let site = Site::temporary(&[Part::Nats]).unwrap();
    let endpoint = endpoint(&site);
    let refused = request(&endpoint, "wrong", "$JS.API.INFO", "").unwrap_err();
    assert!(refused.contains("Authorization Violation"), "{refused}");
    assert!(endpoint.url("commands").is_some());
    assert!(endpoint.url("nobody").is_none());
}
