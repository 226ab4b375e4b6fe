//! `nsl custodian keygen`

use std::path::PathBuf;

use clap::Args;
use nsl_schemas::bytes::HpkeKey;
use nsl_verify::hpke::{KEY_BYTES, PrivateKey};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;

/// Make a custodian's key pair.
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// The new key file. Keep it, and a copy, where no worker is: without it your share is lost.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Keygen {
    pub(crate) fn run(self) -> Result<Outcome, Error> {
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        aws_lc_rs::rand::fill(secret.as_mut_slice()).map_err(|_| Error::Randomness)?;
        let key = PrivateKey::from_secret(secret.clone()).map_err(|_| Error::Randomness)?;
        let mut text = Zeroizing::new(vec![0; 2 * KEY_BYTES]);
        hex::encode_to_slice(secret.as_slice(), &mut text).map_err(|_| Error::Randomness)?;
        files::write_new_private(&self.out, &text)?;
        Ok(Outcome::CustodianKeyGenerated { public_key: HpkeKey(key.public()), key_file: self.out })
    }
}
