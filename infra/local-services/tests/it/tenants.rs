//! Accounts of tenants: each hears and asks only what is its own, also when it is added while the bus runs.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nsl_local_services::{Hooks, NatsEndpoint, Site, add_tenant};

use crate::tools;

/// Logs in and does `operations`; returns what the server says up to its PONG.
fn say(endpoint: &NatsEndpoint, user: &str, operations: &str) -> Vec<String> {
    let password = &endpoint.passwords[user];
    let mut stream = TcpStream::connect(("127.0.0.1", endpoint.port)).unwrap();
    let text = format!(
        "CONNECT {{\"verbose\":false,\"user\":\"{user}\",\"pass\":\"{password}\"}}\r\n{operations}PING\r\n"
    );
    // The server hangs up on a stranger, perhaps before it has read everything: its answer counts.
    let _ = stream.write_all(text.as_bytes());
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.skip(1).take_while(|line| !line.starts_with("PONG")).collect()
}

/// Waits until a question of `user` reaches who answers it in the service's account.
fn await_service(endpoint: &NatsEndpoint, user: &str, subject: &str) {
    let connect = |user: &str, operations: &str| {
        let options = serde_json::json!({
            "verbose": false, "user": user, "pass": endpoint.passwords[user], "headers": true, "no_responders": true,
        });
        let mut stream = TcpStream::connect(("127.0.0.1", endpoint.port)).unwrap();
        stream.write_all(format!("CONNECT {options}\r\n{operations}").as_bytes()).unwrap();
        stream
    };
    let _service = connect("admin", "SUB nsl.v1.qry.*.probe 1\r\n");
    let deadline = Instant::now() + Duration::from_secs(30);
    let ask = format!("SUB _INBOX.probe 1\r\nPUB {subject} _INBOX.probe 0\r\n\r\nPING\r\n");
    loop {
        let lines = BufReader::new(connect(user, &ask)).lines().map_while(Result::ok);
        let answers: Vec<String> = lines.skip(1).take_while(|line| !line.starts_with("PONG")).collect();
        // The server itself answers when nobody else is there to.
        if !answers.iter().any(|line| line.contains("503")) {
            return;
        }
        assert!(Instant::now() < deadline, "the account's services are connected: {answers:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_refused(lines: &[String]) -> bool {
    lines.iter().any(|line| line.starts_with("-ERR"))
}

#[test]
fn a_tenant_that_is_added_to_a_running_bus_gets_in_and_stays_within_its_account() {
    let folder = tempfile::tempdir().unwrap();
    let mut site = Site::open_with(folder.path(), tools(), Hooks::default()).unwrap();
    site.add_tenant("acme").unwrap();
    let endpoint = site.start_nats().unwrap();
    assert!(!is_refused(&say(&endpoint, "tenant-acme", "SUB nsl.v1.res.acme.> 1\r\n")));

    // As another process does it: this one holds the site.
    let endpoint = add_tenant(folder.path(), "other").unwrap().unwrap();
    assert!(!is_refused(&say(&endpoint, "tenant-other", "")), "it is let in at once");
    await_service(&endpoint, "tenant-other", "nsl.v1.qry.other.probe");
    for (operations, refused) in [
        ("SUB nsl.v1.res.other.> 1\r\n", false),
        ("SUB nsl.v1.res.acme.> 1\r\n", true),
        ("SUB nsl.v1.res.> 1\r\n", true),
        ("SUB > 1\r\n", true),
        ("PUB nsl.v1.cmd.acme.wallet.main.create 0\r\n\r\n", true),
        ("PUB $JS.API.CONSUMER.CREATE.NSL_EVT 0\r\n\r\n", true),
        ("PUB nsl.v1.cmd.other.wallet.main.create 0\r\n\r\n", false),
    ] {
        assert_eq!(is_refused(&say(&endpoint, "tenant-other", operations)), refused, "{operations:?}");
    }
    assert!(!is_refused(&say(&endpoint, "tenant-acme", "")), "the one before is still there");
}
