//! KMS makes a sealing key and gives it again, to whichever worker proves a measurement that the key's policy allows.
//!
//! A host may have KMS wrap a key of its own, with the right context too. So a wrapped key counts with its record alone:
//! a worker of an allowed build attested that KMS made the key for it.

use nsl_schemas::authority::Signed;
use nsl_schemas::sealing::{SealingOrder, SealingRecord, SealingStatement};

use super::{Error, Judging, Sealing, name};
use crate::kms::{Asking, KeyContext, Kms};

impl Sealing {
    /// Has KMS make the key that was ordered.
    pub(super) async fn found_by_kms(
        &self,
        order: Signed<SealingOrder>,
        judging: Judging<'_>,
    ) -> Result<SealingStatement, Error> {
        let made = self.kms()?.generate(self.context(&order.statement), self.asking(judging)).await?;
        let key_id = self.key_id(&made.secret)?;
        Ok(SealingStatement { ciphertext: Some(made.ciphertext), key_id, order, shares: vec![] })
    }

    /// Has KMS unwrap the key of a record, and takes it.
    pub(super) async fn open_by_kms(&self, record: SealingRecord, judging: Judging<'_>) -> Result<(), Error> {
        let kms = self.kms()?;
        let statement = self.judge(record, judging.operators)?;
        let name = name(&statement);
        if self.keyring.has(&name) {
            return Ok(());
        }
        let ciphertext = statement.ciphertext.as_ref().ok_or(Error::NoKms)?;
        let context = self.context(&statement.order.statement);
        let secret = kms.decrypt(ciphertext, context, self.asking(judging)).await?;
        self.restore(&name, &secret, "kms")
    }

    fn kms(&self) -> Result<&Kms, Error> {
        self.kms.as_ref().ok_or(Error::NoKms)
    }

    fn context(&self, order: &SealingOrder) -> KeyContext {
        KeyContext { genesis_sha256: self.genesis.sha256(), epoch: order.epoch }
    }

    fn asking<'a>(&'a self, judging: Judging<'a>) -> Asking<'a> {
        Asking { nsm: &self.nsm, credentials: judging.credentials, now_ms: judging.now_ms }
    }
}
