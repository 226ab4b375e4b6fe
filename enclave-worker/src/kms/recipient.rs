//! The RSA key that KMS encrypts to: made for one answer, and gone with it.

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};

use super::Error;
use super::cms::{self, Envelope};
use crate::locked::LockedBytes;

/// What KMS takes as a recipient's key.
const SIZE: KeySize = KeySize::Rsa2048;

pub(super) struct RecipientKey(PrivateDecryptingKey);

impl RecipientKey {
    pub(super) fn generate() -> Result<Self, Error> {
        PrivateDecryptingKey::generate(SIZE).map(Self).map_err(|_| Error::RecipientKey)
    }

    #[cfg(test)]
    pub(super) fn of_pkcs8(pkcs8: &[u8]) -> Self {
        Self(PrivateDecryptingKey::from_pkcs8(pkcs8).unwrap())
    }

    /// SubjectPublicKeyInfo in DER, as an attestation document carries it for KMS.
    pub(super) fn public_der(&self) -> Result<Vec<u8>, Error> {
        let der = self.0.public_key().as_der().map_err(|_| Error::RecipientKey)?;
        Ok(der.as_ref().to_vec())
    }

    /// What is in an envelope that was closed for this key.
    pub(super) fn open(&self, envelope: &Envelope) -> Result<LockedBytes, Error> {
        let key = OaepPrivateDecryptingKey::new(self.0.clone()).map_err(|_| Error::RecipientKey)?;
        let mut room = LockedBytes::zeroed(key.min_output_size())?;
        let content_key = key
            .decrypt(&OAEP_SHA256_MGF1SHA256, &envelope.encrypted_key, &mut room, None)
            .map_err(|_| cms::Error::OtherRecipient)?;
        let content_key = UnboundCipherKey::new(&AES_256, content_key).map_err(|_| cms::Error::NotOpened)?;
        let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(content_key).map_err(|_| cms::Error::NotOpened)?;
        let mut content = LockedBytes::zeroed(envelope.content.len())?;
        content.copy_from_slice(&envelope.content);
        let context = DecryptionContext::Iv128(FixedLength::from(envelope.iv));
        let opened = cipher.decrypt(&mut content, context).map_err(|_| cms::Error::NotOpened)?;
        let mut secret = LockedBytes::zeroed(opened.len())?;
        secret.copy_from_slice(opened);
        Ok(secret)
    }
}
