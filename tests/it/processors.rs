//! Command processors beside the one of the site.

use std::net::TcpListener;
use std::process::Child;

use nix::sys::signal::Signal;

use crate::admin;
use crate::patience::until;
use crate::system::{System, signal};

/// A command processor that a test started; killed when it is dropped.
pub(crate) struct Processor {
    child: Child,
    /// Its admin address.
    pub(crate) admin: String,
}

impl Processor {
    /// Starts one, and returns at once.
    pub(crate) fn start(system: &System, name: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let settings = [format!("telemetry.admin_address={free}"), format!("processor.name={name}")];
        let log = std::fs::File::create(system.path().join(format!("{name}.log"))).unwrap();
        let mut command = system.further("nsl-commands", "commands.toml", &settings);
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Self { child, admin: free.to_string() }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, by: Signal) {
        signal(self.child.id(), by);
    }

    /// Waits for its end after a signal that ends it.
    pub(crate) async fn ended(mut self) -> std::process::ExitStatus {
        until("the processor ends", async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        // It may have ended before; there is nothing to learn either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Partitions that a processor says it holds; none when it does not answer.
pub(crate) async fn held(admin: &str) -> Option<u64> {
    admin::metric(admin, "nsl_partitions_held", "").await
}

/// Waits until each of these processors holds so many partitions.
pub(crate) async fn until_held(admins: &[&str], each: &[u64]) {
    until(&format!("the processors hold {each:?}"), async || {
        let mut found = Vec::new();
        for admin in admins {
            found.push(held(admin).await?);
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        (found == each).then_some(())
    })
    .await;
}
