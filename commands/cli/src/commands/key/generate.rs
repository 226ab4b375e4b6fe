//! `nsl key generate`

use std::path::PathBuf;

use clap::Args;
use nsl_schemas::nkey::SigningKey;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Make a key pair.
#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// The new seed file; by default in the folder of the contexts, named by its public key.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Generate {
    pub(crate) fn run(self) -> Result<Outcome, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(seed.as_mut_slice()).map_err(|_| Error::Randomness)?;
        let public_key = SigningKey::from_seed(&seed).public();
        let seed_file = match self.out {
            Some(path) => path,
            None => Invocation::config_folder()?.join("keys").join(format!("{public_key}.seed")),
        };
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str(&SigningKey::seed_text(&seed));
        text.push('\n');
        files::write_new_private(&seed_file, text.as_bytes())?;
        Ok(Outcome::KeyGenerated { public_key, seed_file })
    }
}
