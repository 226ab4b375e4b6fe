//! `nsl authority sign`

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use nsl_schemas::canonical;

use crate::error::Error;
use crate::files;
use crate::outcome::{Outcome, StatementShown};

/// Sign a statement; needs no connection.
#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The statement, as another verb wrote it with --out. Read what is shown: it is what you sign.
    #[arg(value_name = "STATEMENT")]
    statement: PathBuf,
    /// The seed file of your key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The new file for the signature; by default beside the statement, named by your key.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Sign {
    pub(crate) fn run(self) -> Result<Outcome, Error> {
        let statement = files::read_statement(&self.statement)?;
        let signature = statement.sign(&files::read_seed(&self.key)?);
        let file = self.out.unwrap_or_else(|| {
            let mut name = OsString::from(&self.statement);
            name.push(format!(".{}.signature", signature.key));
            name.into()
        });
        files::write_new_private(&file, canonical::to_string(&signature).as_bytes())?;
        let key = signature.key;
        Ok(Outcome::StatementSigned { file, key, statement: StatementShown::of(statement) })
    }
}
