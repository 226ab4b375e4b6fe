//! Starts children so that the kernel kills them when this process ends, kill -9 included.
//!
//! The kernel binds the parent-death signal to the *thread* that started the child: a child started from a
//! worker thread of an async runtime or of a test would die with that thread. So one thread, which lives as
//! long as the process, starts all of them.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError, mpsc};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

type Request = (Command, mpsc::Sender<io::Result<Child>>);

static SPAWNER: Mutex<Option<mpsc::Sender<Request>>> = Mutex::new(None);

/// Starts `command` in a process group of its own, so that a Ctrl-C at the terminal reaches only us and the
/// order of stopping stays ours.
pub(super) fn spawn(mut command: Command) -> io::Result<Child> {
    command.process_group(0);
    die_with_parent(&mut command);
    let (answer, result) = mpsc::channel();
    let gone = |_| io::Error::other("the spawner thread has ended");
    queue()?.send((command, answer)).map_err(|_| io::Error::other("the spawner thread has ended"))?;
    result.recv().map_err(gone)?
}

fn queue() -> io::Result<mpsc::Sender<Request>> {
    let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(queue) = &*spawner {
        return Ok(queue.clone());
    }
    let (queue, requests) = mpsc::channel::<Request>();
    std::thread::Builder::new().name("spawner".into()).spawn(move || {
        for (mut command, answer) in requests {
            // The requester waits for the answer, so it is there to receive it.
            let _ = answer.send(command.spawn());
        }
    })?;
    *spawner = Some(queue.clone());
    Ok(queue)
}

#[allow(unsafe_code, reason = "the parent-death signal can only be set in the child, between fork and exec")]
fn die_with_parent(command: &mut Command) {
    let parent = Pid::this();
    let in_child = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died between the fork and the line above: then no signal would ever come.
        if getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: the closure runs in the forked child, where only async-signal-safe calls are allowed: it makes
    // two system calls (prctl, getppid) and builds errors that do not allocate.
    unsafe {
        command.pre_exec(in_child);
    }
}
