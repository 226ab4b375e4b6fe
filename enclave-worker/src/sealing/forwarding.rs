//! A worker gives its keys to another: each proves to the other, by a fresh document, that it committed to the same
//! manifest and is of a build that the operators allow now, as far as either was shown. The host carries the messages and can read none.

use std::sync::Arc;

use nsl_schemas::authority::Operators;
use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::sealing::PROVISIONING_KEY;
use nsl_verify::attestation::{self, AttestationDocument, VerifyTime};
use nsl_verify::hpke;
use zeroize::Zeroizing;

use super::{Error, Sealing};
use crate::nsm::AttestationRequest;
use crate::refusal::Unavailable;
use crate::seal::{SEALING_SECRET_BYTES, SealingKey};

/// What the message is sealed for; bound to the manifest's hash.
const KEYS_TO_WORKER: &[u8] = b"nsl-sealing-keys-to-worker-v1";
/// What the hash in the giver's document begins with.
const MESSAGE_TAG: &[u8] = b"nsl-sealing-keys-v1";
/// Challenges that wait for their answer; a pool that starts at once has fewer workers. The oldest is forgotten.
const CHALLENGES_MAX: usize = 64;

/// A key on its way: its epoch, big-endian, and its secret.
const KEY_BYTES: usize = 4 + SEALING_SECRET_BYTES;

impl Sealing {
    /// A challenge for a worker that wants the keys.
    pub(super) async fn challenge(&self) -> Result<Base64, Error> {
        let nonce = self.draw("nsl-forward-challenge").await?.to_vec();
        let mut challenges = self.challenges();
        if challenges.len() >= CHALLENGES_MAX {
            challenges.pop_front();
        }
        challenges.push_back(nonce.clone());
        Ok(Base64(nonce))
    }

    /// Seals all keys to the worker that the document proves, and proves who sealed them.
    pub(super) async fn forward(
        &self,
        document: &Base64,
        operators: &Operators,
        now_ms: u64,
    ) -> Result<(Base64, Base64), Error> {
        let peer = self.judge_peer(document, operators, now_ms)?;
        if peer.user_data.as_deref() != Some(PROVISIONING_KEY) {
            return Err(Error::OtherStatement);
        }
        self.spend_challenge(peer.nonce.as_deref())?;
        let recipient: [u8; hpke::KEY_BYTES] =
            peer.public_key.as_deref().and_then(|key| key.try_into().ok()).ok_or(Error::NoPeerKey)?;
        let keys = self.keyring.all();
        if keys.is_empty() {
            return Err(Unavailable::NoSealingKey.into());
        }
        // With room for all, or growing would leave copies behind.
        let mut plaintext = Zeroizing::new(Vec::with_capacity(keys.len() * KEY_BYTES));
        for (epoch, key) in &keys {
            plaintext.extend_from_slice(&epoch.to_be_bytes());
            plaintext.extend_from_slice(key.secret());
        }
        let (ephemeral, aad) = (self.draw("nsl-forward-ephemeral").await?, self.genesis.sha256().0);
        let message = hpke::seal(&recipient, KEYS_TO_WORKER, &aad, &plaintext, ephemeral)?;
        let request = AttestationRequest {
            user_data: Some(message_sha256(&message).0.to_vec()),
            nonce: Some(recipient.to_vec()),
            ..AttestationRequest::default()
        };
        let document = self.nsm.attest(request).await.map_err(Unavailable::Nsm)?;
        tracing::info!(to = peer.module_id, keys = keys.len(), "sealing keys forwarded");
        Ok((Base64(document), Base64(message)))
    }

    /// Takes the keys that a proven worker sealed to this one.
    pub(super) fn accept(
        &self,
        document: &Base64,
        message: &Base64,
        operators: &Operators,
        now_ms: u64,
    ) -> Result<(), Error> {
        let giver = self.judge_peer(document, operators, now_ms)?;
        // The key was drawn by this process, so a document that names it is an answer to nobody else.
        let is_for_us = giver.nonce.as_deref() == Some(self.key.public().as_slice())
            && giver.user_data.as_deref() == Some(message_sha256(&message.0).0.as_slice());
        if !is_for_us {
            return Err(Error::OtherStatement);
        }
        let plaintext = self.key.open(KEYS_TO_WORKER, &self.genesis.sha256().0, &message.0)?;
        let (keys, []) = plaintext.as_chunks::<KEY_BYTES>() else { return Err(Error::Keys) };
        for key in keys {
            let (epoch, secret) = key.split_first_chunk::<4>().ok_or(Error::Keys)?;
            let epoch = u32::from_be_bytes(*epoch);
            let key = SealingKey::derive(secret, self.genesis.sha256()).map_err(Unavailable::Seal)?;
            tracing::info!(from = giver.module_id, epoch, key_id = key.id(), "sealing key taken over");
            self.keyring.insert(epoch, Arc::new(key));
        }
        Ok(())
    }

    /// A worker of the same manifest and an allowed build, as of now.
    fn judge_peer(
        &self,
        document: &Base64,
        operators: &Operators,
        now_ms: u64,
    ) -> Result<AttestationDocument, Error> {
        let (expectation, root) = (self.expectation(operators), self.genesis.root());
        Ok(attestation::verify(&document.0, &expectation, root, VerifyTime::At(now_ms))?)
    }

    fn spend_challenge(&self, nonce: Option<&[u8]>) -> Result<(), Error> {
        let mut challenges = self.challenges();
        let known = challenges.iter().position(|one| Some(one.as_slice()) == nonce);
        known.and_then(|index| challenges.remove(index)).map(drop).ok_or(Error::OtherStatement)
    }
}

fn message_sha256(message: &[u8]) -> Sha256 {
    Sha256::of(&[MESSAGE_TAG, message].concat())
}
