//! `nsl completions SHELL`

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::outcome::Outcome;

/// Write the completions of a shell.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "nsl", &mut script);
        Outcome::CompletionsWritten { script: String::from_utf8_lossy(&script).into_owned() }
    }
}
