//! The frame as a user meets it: the minimal service as a process of its own.

#![allow(clippy::unwrap_used, reason = "helpers of a test stop it by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Cargo puts examples beside the folder of the test binaries.
fn minimal() -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples/minimal"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(address: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_service_starts_answers_probes_and_ends_with_zero_on_sigterm() {
    let mut service = Killed(minimal().spawn().unwrap());
    let mut lines = BufReader::new(service.0.stderr.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<serde_json::Value>(&lines.next().unwrap().unwrap()).unwrap();

    let started = next();
    assert_eq!(started["service.name"], "minimal");
    let address = started["admin.address"].as_str().unwrap().to_owned();
    assert_eq!(next()["message"], "ready");
    assert!(get(&address, "/livez").starts_with("HTTP/1.1 200"));
    assert!(get(&address, "/readyz?verbose").contains("[+] startup ok"));
    assert!(get(&address, "/metrics").contains("nsl_build_info{name=\"minimal\""));

    kill(Pid::from_raw(i32::try_from(service.0.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(service.0.wait().unwrap().code(), Some(0));
}

#[test]
fn print_config_shows_origins_and_starts_nothing() {
    let output = minimal().args(["--print-config", "--set", "telemetry.log_filter=debug"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(text.contains("telemetry.log_filter = \"debug\" # flag --set"), "{text}");
    assert!(text.contains("telemetry.shutdown_deadline_ms = 5000 # default"), "{text}");
}

#[test]
fn mistakes_are_named_with_the_exit_code_of_their_kind() {
    for (argument, code, words) in [
        ("telemetry.log_format=xml", 2, "`telemetry.log_format` (from flag --set)"),
        ("telemetry.log_filter=[", 2, "log filter"),
        ("telemetry.admin_address=192.0.2.1:1", 1, "192.0.2.1:1"),
    ] {
        let output = minimal().args(["--set", argument]).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(words), "{text}");
    }
}
