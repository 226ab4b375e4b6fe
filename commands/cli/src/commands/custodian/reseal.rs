//! `nsl custodian reseal`

use clap::Args;
use nsl_client::SendError;
use nsl_schemas::command::wallet::ResealKey;
use nsl_schemas::errors;

use super::record_of;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// Have every wallet's key sealed with a sealing key.
#[derive(Debug, Args)]
pub(crate) struct Reseal {
    /// With which; by default the newest.
    #[arg(long)]
    epoch: Option<u32>,
}

impl Reseal {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let sealing_key_id = record_of(&session, self.epoch).await?.statement.key_id;
        let (mut asked, mut pending) = (0, 0);
        for subject in session.client.wallets_sealed_otherwise(&sealing_key_id).await? {
            let payload = ResealKey { sealing_key_id: sealing_key_id.clone() };
            let command = session.client.prepare(&subject, &payload)?;
            match session.client.send(&command).await {
                Ok(_) => asked += 1,
                Err(SendError::Rejected { code, .. }) if code == errors::KEY_RESEAL_PENDING.code => {
                    pending += 1;
                }
                // Somebody else was faster.
                Err(SendError::Rejected { code, .. }) if code == errors::KEY_SEALED_ALREADY.code => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Outcome::ResealRequested { sealing_key_id, asked, pending })
    }
}
