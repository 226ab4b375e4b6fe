//! One child process: started in a group of its own, logged, awaited until ready, stopped within a bound.
//!
//! Invariant: no child outlives this process, however it ends (see [`spawner`]), and a record in `run/` lets
//! the next opener of the site recognise one that did so all the same.

mod identity;
mod spawner;
mod tree;

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

pub use identity::Identity;

use crate::cancellation::Hooks;
use crate::command::{last_lines, prepare};
use crate::private_file::{self, io_error};
use crate::probe::Readiness;
use crate::site::SiteDirectory;
use crate::user::User;

/// A first start on a slow machine (recovery of Postgres included) takes seconds; a minute means it hangs.
const READY_TIMEOUT: Duration = Duration::from_mins(1);
/// Graceful stops flush and close within a second or two; then the process is killed, which loses nothing
/// because everything acknowledged is already on disk.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// Fine enough to be invisible in a start-up of tenths of seconds, coarse enough to cost nothing.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// A log larger than this is set aside (one generation) at the next start.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// A process that could not be started, signalled or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started.
    #[error("cannot start {name} ({})", program.display())]
    Start {
        /// Process name.
        name: String,
        /// Program file.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ended before it was ready.
    #[error("{name} ended with {status} before it was ready; the end of its log:\n{log_tail}")]
    EndedEarly {
        /// Process name.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines it wrote.
        log_tail: String,
    },
    /// It did not become ready in time.
    #[error("{name} was not ready within {} s; the end of its log:\n{log_tail}", READY_TIMEOUT.as_secs())]
    NotReady {
        /// Process name.
        name: String,
        /// The last lines it wrote.
        log_tail: String,
    },
    /// The wait was cancelled.
    #[error("start of {name} was cancelled")]
    Cancelled {
        /// Process name.
        name: String,
    },
    /// The process is not running.
    #[error("{name} is not running")]
    NotRunning {
        /// Process name.
        name: String,
    },
    /// The kernel refused a signal or a wait.
    #[error("cannot {action} {name}")]
    Control {
        /// What was tried.
        action: &'static str,
        /// Process name.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its log or record could not be used.
    #[error(transparent)]
    File(#[from] private_file::Error),
}

/// The signal that asks a process to end in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM.
    Terminate,
    /// SIGINT: Postgres' fast shutdown, which does not wait for clients.
    Interrupt,
}

/// Everything needed to start a process, and to start it again.
#[derive(Debug, Clone)]
pub struct Specification {
    /// Unique in its site; names the log and the record.
    pub name: String,
    /// Program file.
    pub program: PathBuf,
    /// Arguments.
    pub arguments: Vec<OsString>,
    /// Variables added to our own environment.
    pub environment: Vec<(String, String)>,
    /// Folder it runs in.
    pub working_directory: PathBuf,
    /// How it is asked to end.
    pub stop_signal: StopSignal,
    /// How it says that it is ready.
    pub readiness: Readiness,
}

/// A started process and how to start it again.
#[derive(Debug)]
pub struct Process {
    specification: Specification,
    user: Option<User>,
    log: PathBuf,
    record: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// A process that is not started yet; one that an earlier owner of the site left behind is ended.
    pub(crate) fn new(
        specification: Specification,
        user: Option<User>,
        directory: &SiteDirectory,
    ) -> Result<Self, Error> {
        let log = directory.log(&specification.name);
        let record = directory.process_record(&specification.name);
        let process = Self { specification, user, log, record, child: None };
        process.end_leftover()?;
        Ok(process)
    }

    /// Its name in the site.
    pub fn name(&self) -> &str {
        &self.specification.name
    }

    /// Its process id while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Starts it and returns when it is ready.
    pub fn start(&mut self, hooks: &Hooks) -> Result<(), Error> {
        if self.child.is_some() {
            return Ok(());
        }
        let output = self.open_log()?;
        let errors = output.try_clone().map_err(io_error("duplicate", &self.log))?;
        let specification = &self.specification;
        let mut command =
            prepare(&specification.program, self.user.as_ref(), &specification.working_directory);
        command
            .args(&specification.arguments)
            .envs(specification.environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        let child = spawner::spawn(command).map_err(|source| Error::Start {
            name: specification.name.clone(),
            program: specification.program.clone(),
            source,
        })?;
        let identity = Identity::of(child.id());
        self.child = Some(child);
        if let Some(identity) = identity {
            private_file::write_private(&self.record, identity.to_json().as_bytes())?;
        }
        self.wait_ready(hooks).inspect_err(|_| self.kill_quietly())
    }

    /// `Some` when it has ended without being asked; it can then be started again.
    pub fn take_exit(&mut self) -> Result<Option<ExitStatus>, Error> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let exited = child.try_wait().map_err(|source| self.control("wait for", source))?;
        if exited.is_some() {
            self.child = None;
            private_file::remove(&self.record)?;
        }
        Ok(exited)
    }

    /// Asks it to end, and kills it when it does not within the bound.
    pub fn stop(&mut self) -> Result<(), Error> {
        let Some(id) = self.id() else { return Ok(()) };
        let signal = match self.specification.stop_signal {
            StopSignal::Terminate => Signal::SIGTERM,
            StopSignal::Interrupt => Signal::SIGINT,
        };
        tree::signal_one(id, signal).map_err(|source| self.control("stop", source))?;
        // A paused process acts on the signal only once it runs again.
        tree::signal_all(id, Signal::SIGCONT).map_err(|source| self.control("resume", source))?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if self.take_exit()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        self.kill()
    }

    /// SIGKILL to it and all its descendants, as a power cut would end them.
    pub fn kill(&mut self) -> Result<(), Error> {
        let id = self.running_id()?;
        tree::kill_all(id).map_err(|source| self.control("kill", source))?;
        if let Some(mut child) = self.child.take() {
            child.wait().map_err(|source| self.control("wait for", source))?;
        }
        Ok(private_file::remove(&self.record)?)
    }

    /// SIGSTOP to it and all its descendants.
    pub fn pause(&self) -> Result<(), Error> {
        tree::signal_all(self.running_id()?, Signal::SIGSTOP).map_err(|source| self.control("pause", source))
    }

    /// SIGCONT to it and all its descendants.
    pub fn resume(&self) -> Result<(), Error> {
        tree::signal_all(self.running_id()?, Signal::SIGCONT).map_err(|source| self.control("resume", source))
    }

    /// Ends it when nobody can be told of a failure (drop, or a failure that is being reported already).
    pub(crate) fn kill_quietly(&mut self) {
        if self.child.is_some() {
            let _ = self.kill();
        }
    }

    fn running_id(&self) -> Result<u32, Error> {
        self.id().ok_or_else(|| Error::NotRunning { name: self.name().to_owned() })
    }

    fn control(&self, action: &'static str, source: std::io::Error) -> Error {
        Error::Control { action, name: self.name().to_owned(), source }
    }

    fn wait_ready(&mut self, hooks: &Hooks) -> Result<(), Error> {
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            if let Some(status) = self.take_exit()? {
                let name = self.name().to_owned();
                return Err(Error::EndedEarly { name, status, log_tail: self.log_tail() });
            }
            if self.specification.readiness.is_ready() {
                return Ok(());
            }
            if hooks.is_cancelled() {
                return Err(Error::Cancelled { name: self.name().to_owned() });
            }
            if Instant::now() >= deadline {
                return Err(Error::NotReady { name: self.name().to_owned(), log_tail: self.log_tail() });
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn open_log(&self) -> Result<File, Error> {
        if self.log.metadata().is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
            let previous = self.log.with_extension("log.1");
            std::fs::rename(&self.log, previous).map_err(io_error("rename", &self.log))?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        Ok(options.open(&self.log).map_err(io_error("open", &self.log))?)
    }

    fn log_tail(&self) -> String {
        use std::io::{Read, Seek, SeekFrom};
        const TAIL_BYTES: u64 = 8 * 1024; // the dozen lines that an error shows
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.log)?;
            let start = file.metadata()?.len().saturating_sub(TAIL_BYTES);
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_or_else(|_| String::new(), |bytes| last_lines(&String::from_utf8_lossy(&bytes)))
    }

    /// A record of a living process that is the very one we started means that an earlier owner died and its
    /// child did not. Any other record (dead process, reused id, earlier boot) is only removed.
    fn end_leftover(&self) -> Result<(), Error> {
        let Some(text) = private_file::read_bounded(&self.record)? else { return Ok(()) };
        if let Some(identity) = Identity::from_json(&text).filter(Identity::is_alive) {
            tree::kill_all(identity.id).map_err(|source| self.control("kill", source))?;
            let deadline = Instant::now() + STOP_TIMEOUT;
            while identity.is_alive() && Instant::now() < deadline {
                std::thread::sleep(POLL_INTERVAL);
            }
        }
        Ok(private_file::remove(&self.record)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_quietly();
    }
}
