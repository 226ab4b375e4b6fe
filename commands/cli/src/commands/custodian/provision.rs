//! `nsl custodian provision`

use std::path::PathBuf;

use clap::Args;
use nsl_schemas::sealing::SealingAnswer;
use nsl_verify::hpke::{KEY_BYTES, PrivateKey};
use zeroize::Zeroizing;

use super::record_of;
use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Give your share to a worker.
#[derive(Debug, Args)]
pub(crate) struct Provision {
    /// Your key file, as `keygen` made it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Of which sealing key; by default the newest.
    #[arg(long)]
    epoch: Option<u32>,
    /// Which worker, as `status` shows it; by default any. All custodians give their shares to the same one.
    #[arg(long, value_name = "MODULE")]
    worker: Option<String>,
}

impl Provision {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let key = self.read_key()?;
        let session = invocation.connect().await?;
        let genesis = session.genesis()?.statement;
        let record = record_of(&session, self.epoch).await?;
        let reply = session.client.provision(&genesis, self.worker, &record, &key).await?;
        let SealingAnswer::Status { status } = reply.answer else {
            return Err(Error::Custodian(nsl_client::custodian::Error::Unexpected));
        };
        Ok(Outcome::ShareProvided { worker: reply.worker, status })
    }

    fn read_key(&self) -> Result<PrivateKey, Error> {
        let text = files::read_secret(&self.key)?;
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        let decoded = hex::decode_to_slice(text.as_str(), secret.as_mut_slice());
        let key = decoded.ok().and_then(|()| PrivateKey::from_secret(secret).ok());
        key.ok_or_else(|| Error::Input(format!("{} holds no custodian's key", self.key.display())))
    }
}
