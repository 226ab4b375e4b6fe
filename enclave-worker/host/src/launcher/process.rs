//! The process of one worker.
//!
//! The contract with what is started: it runs as long as its worker does, and ends its worker on SIGTERM and when its
//! standard input ends. We never write there; that it ends says that we are gone, kill -9 included.

use std::io;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, Command};

/// A running, or ended, process.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    input: Option<ChildStdin>,
}

impl Process {
    /// Starts it, in a group of its own: a Ctrl-C at a terminal is for us, and the order of stopping stays ours.
    pub(super) fn start(program: &str, arguments: &[String]) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        Ok(Self { child, input })
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Tells it to end in good order.
    pub(super) fn stop(&mut self) {
        self.input = None;
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended by itself; then nothing is left to tell.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }

    /// Ends it at once.
    pub(super) fn kill(&mut self) {
        self.input = None;
        // An error means that it has ended.
        let _ = self.child.start_kill();
    }
}
