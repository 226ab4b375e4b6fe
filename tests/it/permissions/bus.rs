//! The bus: a plain connection for each role says SUB and PUB and hears what the server thinks of it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::document::{Cell, Document, Tried};
use crate::system::System;

/// A stream that is not there: whatever stream takes the subject refuses the message, so that a probe that is allowed
/// leaves no trace.
const HEADERS: &str = "NATS/1.0\r\nNats-Expected-Stream: PERMISSIONS_PROBE\r\n\r\n";
/// Not empty and not JSON: no request of JetStream's interface accepts it.
const PAYLOAD: &str = "x";
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection of one user.
struct Connection {
    writer: TcpStream,
    reader: BufReader<TcpStream>,
    subscription: u32,
}

impl Connection {
    fn open(port: u16, user: &str, password: &str) -> Self {
        let writer = TcpStream::connect(("127.0.0.1", port)).unwrap();
        writer.set_read_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::new(writer.try_clone().unwrap());
        let mut connection = Self { writer, reader, subscription: 0 };
        let options = serde_json::json!({
            "verbose": false, "user": user, "pass": password, "headers": true, "no_responders": true,
        });
        assert!(!connection.is_refused(&format!("CONNECT {options}\r\n")), "{user} is let in");
        connection
    }

    /// Whether the server objects to what is said.
    fn is_refused(&mut self, operations: &str) -> bool {
        self.writer.write_all(format!("{operations}PING\r\n").as_bytes()).unwrap();
        let mut refused = false;
        loop {
            let mut line = String::new();
            assert_ne!(self.reader.read_line(&mut line).unwrap(), 0, "the server hung up: {operations}");
            match line.trim_end() {
                "PONG" => return refused,
                "PING" => self.writer.write_all(b"PONG\r\n").unwrap(),
                line if line.starts_with("-ERR") => {
                    assert!(line.contains("Permissions Violation"), "{line}: {operations}");
                    refused = true;
                }
                _ => {}
            }
        }
    }

    fn may_subscribe(&mut self, subject: &str) -> bool {
        self.subscription += 1;
        let id = self.subscription;
        // Ended at once: what is published meanwhile is not for us.
        !self.is_refused(&format!("SUB {subject} {id}\r\nUNSUB {id}\r\n"))
    }

    fn may_publish(&mut self, subject: &str) -> bool {
        let (headers, total) = (HEADERS.len(), HEADERS.len() + PAYLOAD.len());
        !self.is_refused(&format!("HPUB {subject} {headers} {total}\r\n{HEADERS}{PAYLOAD}\r\n"))
    }
}

/// Tries every cell of the table `Bus`.
pub(super) async fn try_all(system: &System, document: &Document) -> Tried {
    let cells = document.cells("Bus");
    let port = system.bus_port();
    let mut users: Vec<String> = cells.iter().map(|cell| cell.role.clone()).collect();
    users.sort();
    users.dedup();
    let passwords: Vec<String> = users.iter().map(|user| system.password(user)).collect();
    tokio::task::spawn_blocking(move || {
        let mut tried = Tried::default();
        for (user, password) in users.iter().zip(&passwords) {
            let mut connection = Connection::open(port, user, password);
            for cell in cells.iter().filter(|cell| cell.role == *user) {
                try_cell(&mut connection, cell, &mut tried);
            }
        }
        tried
    })
    .await
    .unwrap()
}

fn try_cell(connection: &mut Connection, cell: &Cell, tried: &mut Tried) {
    let subject = &cell.object;
    tried.add(cell, "subscribes to", cell.allowed.contains('S'), connection.may_subscribe(subject));
    // Nobody can publish to a pattern.
    if !subject.contains(['*', '>']) {
        tried.add(cell, "publishes to", cell.allowed.contains('P'), connection.may_publish(subject));
    }
}

/// Whether the server refuses a message of `user`.
pub(super) async fn publish_is_refused(system: &System, user: &str, subject: &str) -> bool {
    let (port, password) = (system.bus_port(), system.password(user));
    let (user, subject) = (user.to_owned(), subject.to_owned());
    let publish = move || !Connection::open(port, &user, &password).may_publish(&subject);
    tokio::task::spawn_blocking(publish).await.unwrap()
}
