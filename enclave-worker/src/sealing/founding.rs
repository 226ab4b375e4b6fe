//! A sealing key is born, split for its custodians or wrapped by KMS, and forgotten; what remains is its record.

use nsl_schemas::authority::{SealingProvider, Signed};
use nsl_schemas::bytes::Base64;
use nsl_schemas::sealing::{
    Custodian, EncryptedShare, SHARE_TO_CUSTODIAN, SealingOrder, SealingRecord, SealingStatement,
    share_commitment,
};
use nsl_verify::hpke;
use zeroize::Zeroizing;

use super::{Error, Judging, Sealing, shamir};
use crate::entropy;
use crate::nsm::AttestationRequest;
use crate::refusal::Unavailable;
use crate::seal::SealingKey;

impl Sealing {
    /// Founds a key as the operators' present quorum ordered.
    pub(super) async fn found(
        &self,
        order: Signed<SealingOrder>,
        judging: Judging<'_>,
    ) -> Result<SealingRecord, Error> {
        order.check_new(judging.operators)?;
        let statement = match judging.operators.sealing_provider() {
            SealingProvider::AwsKms(_) => self.found_by_kms(order, judging).await?,
            SealingProvider::CustodianQuorum | SealingProvider::Development => self.split(order).await?,
        };
        let user_data = Some(statement.user_data().0.to_vec());
        let request = AttestationRequest { user_data, ..AttestationRequest::default() };
        let document = Base64(self.nsm.attest(request).await.map_err(Unavailable::Nsm)?);
        tracing::info!(
            key_id = statement.key_id,
            epoch = statement.order.statement.epoch,
            "sealing key founded"
        );
        Ok(SealingRecord { document, statement })
    }

    /// Draws a key and splits it for its custodians.
    async fn split(&self, order: Signed<SealingOrder>) -> Result<SealingStatement, Error> {
        let secret = self.draw("nsl-sealing-secret").await?;
        let mut coefficients = Vec::new();
        for _ in 1..order.statement.threshold {
            coefficients.push(self.draw("nsl-sealing-coefficient").await?);
        }
        let mut shares = Vec::new();
        for (number, custodian) in (1..).zip(&order.statement.custodians) {
            let share = shamir::share(&secret, &coefficients, number);
            shares.push(self.encrypt(&share, custodian, &order.statement).await?);
        }
        let key_id = self.key_id(secret.as_slice())?;
        Ok(SealingStatement { ciphertext: None, key_id, order, shares })
    }

    /// Names the key that `secret` makes.
    pub(super) fn key_id(&self, secret: &[u8]) -> Result<String, Error> {
        let key = SealingKey::derive(secret, self.genesis.sha256()).map_err(Unavailable::Seal)?;
        Ok(key.id().to_owned())
    }

    async fn encrypt(
        &self,
        share: &shamir::Share,
        custodian: &Custodian,
        order: &SealingOrder,
    ) -> Result<EncryptedShare, Error> {
        let ephemeral = self.draw("nsl-share-ephemeral").await?;
        let (key, aad) = (&custodian.key.0, order.sha256().0);
        let message = hpke::seal(key, SHARE_TO_CUSTODIAN, &aad, share.as_slice(), ephemeral)?;
        Ok(EncryptedShare { commitment: share_commitment(share), message: Base64(message) })
    }

    pub(super) async fn draw(
        &self,
        purpose: &'static str,
    ) -> Result<Zeroizing<[u8; entropy::SECRET_BYTES]>, Error> {
        Ok(entropy::draw(&self.nsm, purpose).await.map_err(Unavailable::Entropy)?)
    }
}
