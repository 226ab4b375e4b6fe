//! One-shot helper programs (initdb, pip, apt-get): run to the end, output captured, failure explained.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::user::User;

/// Lines of a failed program's output that its error carries: enough to see the cause, short enough to print.
const ERROR_LINES_MAX: usize = 12;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot run {program}")]
    Run {
        program: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{program} failed with {status}:\n{output}")]
    Failed { program: String, status: ExitStatus, output: String },
}

/// Prepares `program`, run as `user` when one is given, in a folder which that user can enter.
pub(crate) fn prepare(program: &Path, user: Option<&User>, working_directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(working_directory);
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// Runs to the end with `input` as standard input; returns standard output.
pub(crate) fn run(mut command: Command, input: &str) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |source| Error::Run { program: program.clone(), source };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading its input reports its own failure below.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let output_tail = last_lines(&format!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    Err(Error::Failed { program, status: output.status, output: output_tail })
}

/// The last lines of `text`, as an error shows them.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(ERROR_LINES_MAX)..].join("\n")
}

/// The first executable file called `name` in the folders of `PATH`.
pub(crate) fn find_on_path(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| is_executable(candidate))
}

pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
