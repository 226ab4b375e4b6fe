//! The service as a process.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running nsl-commands, killed when dropped.
pub(crate) struct Service {
    process: Child,
    admin: SocketAddr,
}

impl Service {
    pub(crate) fn start(folder: &Path, database: &str, bus: &str, settings: &[String]) -> Self {
        let file = |name: &str| folder.join(name).display().to_string();
        // Free a moment ago; with a port of its own choice nobody would know where the admin pages are.
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_nsl-commands"));
        for setting in [
            format!("telemetry.admin_address={admin}"),
            "telemetry.log_filter=info".to_owned(),
            format!("bus.url={bus}"),
            format!("log.owner_url={database}"),
            format!("log.url={database}"),
            format!("reactor.url={database}"),
            format!("processor.genesis_file={}", file("genesis.json")),
            // Short, so that another life of the process takes over at once.
            "processor.lease_ttl_ms=500".to_owned(),
            format!("issuer.seed_file={}", file("reactor.seed")),
        ] {
            command.args(["--set", &setting]);
        }
        for setting in settings {
            command.args(["--set", setting]);
        }
        let log = std::fs::File::options().append(true).create(true).open(file("service.log")).unwrap();
        let process = command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        Self { process: process.spawn().unwrap(), admin }
    }

    /// An admin page with its status; `None` while nobody answers.
    pub(crate) fn get(&self, page: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.admin).ok()?;
        stream.write_all(format!("GET {page} HTTP/1.0\r\nHost: admin\r\n\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Ends it at once, as a crash does.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
