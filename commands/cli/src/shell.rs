//! The only place that writes: outcomes and streamed lines to stdout, everything else to stderr.

use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

use crate::arguments::{Color, Format, Globals};
use crate::error::Error;
use crate::outcome::Outcome;
use crate::pages;

/// How this run writes.
pub(crate) struct Shell {
    format: Format,
    is_quiet: bool,
    is_verbose: bool,
    is_coloured: bool,
}

/// What a script reads when a command failed.
#[derive(Serialize)]
struct CommandError<'a> {
    reason: &'static str,
    code: &'a str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    exit_code: u8,
}

impl Shell {
    pub(crate) fn new(globals: &Globals) -> Self {
        let format = if globals.json { Format::Json } else { globals.output };
        Self {
            format,
            is_quiet: globals.quiet,
            is_verbose: globals.verbose,
            is_coloured: is_coloured(globals.color),
        }
    }

    /// Whether a script reads along.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Tells how the command ended.
    pub(crate) fn outcome(&self, outcome: &Outcome) -> std::io::Result<()> {
        match self.format {
            Format::Json if matches!(outcome, Outcome::Streamed) => Ok(()),
            Format::Json => Self::line(&serde_json::to_string(outcome)?),
            Format::Human => {
                let text = outcome.human();
                if text.is_empty() { Ok(()) } else { Self::line(text.trim_end()) }
            }
        }
    }

    /// Writes one line of data.
    pub(crate) fn line(line: &str) -> std::io::Result<()> {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{line}")?;
        stdout.flush()
    }

    /// Writes data as it is.
    pub(crate) fn bytes(bytes: &[u8]) -> std::io::Result<()> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    /// Says what is being done.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_quiet {
            say(text);
        }
    }

    /// Says more, when asked to.
    pub(crate) fn detail(&self, text: &str) {
        if self.is_verbose {
            say(text);
        }
    }

    /// Tells why the command failed.
    pub(crate) fn error(&self, error: &Error) {
        let (code, message, hint) = (error.code(), error.message(), error.hint());
        if self.is_json() {
            let exit_code = error.exit_code().number();
            let line = CommandError { reason: "command_error", code, message, hint, exit_code };
            // Nobody is left to be told when stdout is gone; the exit code still speaks.
            let _ = serde_json::to_string(&line).map(|line| Self::line(&line));
            return;
        }
        let (red, cyan, reset) =
            if self.is_coloured { ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") } else { ("", "", "") };
        say(&format!("{red}error[{code}]{reset}: {message}"));
        if let Some(hint) = hint {
            say(&format!("{cyan}hint{reset}: {hint}"));
        }
        if pages::find(code).is_some() {
            say(&format!("{cyan}see{reset}: nsl error {code}"));
        }
    }
}

/// Writes a line for people; when nobody reads stderr any more, there is nobody to tell.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn is_coloured(color: Color) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if is_set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|term| term == "dumb") => {
            false
        }
        Color::Auto => is_set("CLICOLOR_FORCE") || std::io::stderr().is_terminal(),
    }
}
