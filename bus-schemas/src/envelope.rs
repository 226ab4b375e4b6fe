//! A signed command: the headers and bytes that a client publishes, and what its signature covers (D7).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bytes::{Base64, Sha256};
use crate::canonical;
use crate::nkey::{PublicKey, SigningKey};
use crate::subject::CommandSubject;

/// Largest payload: the largest command of ours is an outcome with an attestation document (24 KiB, a third more in
/// base64); 64 KiB leaves room and keeps 512 commands a batch under 32 MiB.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// Longest life of a command between issue and expiry: what a client may still resend; one day.
pub const LIFETIME_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// How far a command's issue time may lie in the future: clocks of honest machines differ by less.
pub const CLOCK_SKEW_MS_MAX: u64 = 30_000;

/// Header with the command id (a UUID in hyphenated lower case).
pub const HEADER_COMMAND_ID: &str = "Nsl-Command-Id";
/// Header with the issuer's public key (`U…`).
pub const HEADER_ISSUER: &str = "Nsl-Issuer";
/// Header with the issue time in Unix milliseconds.
pub const HEADER_ISSUED_AT_MS: &str = "Nsl-Issued-At-Ms";
/// Header with the expiry time in Unix milliseconds.
pub const HEADER_EXPIRES_AT_MS: &str = "Nsl-Expires-At-Ms";
/// Header with the Ed25519 signature in standard base64.
pub const HEADER_SIGNATURE: &str = "Nsl-Signature";
/// W3C trace context, carried into the events' metadata.
pub const HEADER_TRACEPARENT: &str = "traceparent";

/// The first signed byte: no connection nonce of NATS can begin with it, so a signature over one is never a command.
const DOMAIN_BYTE: u8 = 0xFF;
const COMMAND_TAG: &[u8] = b"nsl-command-v1";

/// What a signature over a command covers, apart from the payload's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Envelope {
    /// Made by the client and kept until the result arrived; a resend has the same.
    pub command_id: Uuid,
    /// After this it is not accepted as a new command, Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub expires_at_ms: u64,
    /// When it was signed, Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub issued_at_ms: u64,
    /// Who asks.
    pub issuer: PublicKey,
    /// SHA-256 of the payload as sent.
    pub payload_sha256: Sha256,
    /// Ed25519 over [`Envelope::signed_bytes`].
    pub signature: Base64,
    /// The published subject.
    pub subject: String,
}

impl Envelope {
    /// 0xFF ‖ `nsl-command-v1` ‖ subject ‖ command id ‖ issued ‖ expires ‖ payload hash, each part behind its length
    /// as a big-endian u32, times as big-endian u64.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        out.push(DOMAIN_BYTE);
        out.extend_from_slice(COMMAND_TAG);
        push_part(&mut out, self.subject.as_bytes());
        push_part(&mut out, self.command_id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
        push_part(&mut out, &self.issued_at_ms.to_be_bytes());
        push_part(&mut out, &self.expires_at_ms.to_be_bytes());
        push_part(&mut out, &self.payload_sha256.0);
        out
    }

    /// What a receipt remembers of the request: equal for a resend, different for another command under the same id.
    pub fn request_sha256(&self) -> Sha256 {
        Sha256::of(&self.signed_bytes())
    }

    /// Whether the signature is the issuer's.
    pub fn is_signed_by_issuer(&self) -> bool {
        self.issuer.verifies(&self.signed_bytes(), &self.signature.0)
    }
}

fn push_part(out: &mut Vec<u8>, part: &[u8]) {
    let length =
        u32::try_from(part.len()).expect("parts are subjects, ids, times and hashes: far below 4 GiB");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(part);
}

/// A command as it travels inside jobs: the envelope and the payload's exact text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignedCommand {
    /// The signed part.
    pub envelope: Envelope,
    /// The payload as sent.
    pub payload: String,
}

/// Why a carried command does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The payload is not the one that was signed.
    #[error("payload hash differs from the signed one")]
    PayloadHash,
    /// Not signed by its issuer.
    #[error("signature is not the issuer's")]
    Signature,
    /// The subject cannot be parsed.
    #[error("signed subject is malformed")]
    Subject,
}

impl SignedCommand {
    /// Signs a command.
    pub fn sign(
        key: &SigningKey,
        subject: &CommandSubject,
        command_id: Uuid,
        issued_at_ms: u64,
        expires_at_ms: u64,
        payload: String,
    ) -> Self {
        let mut envelope = Envelope {
            command_id,
            subject: subject.to_string(),
            issuer: key.public(),
            issued_at_ms,
            expires_at_ms,
            payload_sha256: Sha256::of(payload.as_bytes()),
            signature: Base64::default(),
        };
        envelope.signature = Base64(key.sign(&envelope.signed_bytes()).to_vec());
        Self { envelope, payload }
    }

    /// Checks payload hash and signature and returns the parsed subject.
    pub fn verify(&self) -> Result<CommandSubject, Error> {
        if Sha256::of(self.payload.as_bytes()) != self.envelope.payload_sha256 {
            return Err(Error::PayloadHash);
        }
        if !self.envelope.is_signed_by_issuer() {
            return Err(Error::Signature);
        }
        CommandSubject::parse(&self.envelope.subject).map_err(|_| Error::Subject)
    }
}

/// A statement signed by one or more keys: the bytes are 0xFF ‖ tag ‖ canonical JSON.
pub fn statement_bytes<T: Serialize>(tag: &str, statement: &T) -> Vec<u8> {
    let mut out = vec![DOMAIN_BYTE];
    push_part(&mut out, tag.as_bytes());
    out.extend_from_slice(canonical::to_string(statement).as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> SignedCommand {
        let subject = CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.create").unwrap();
        let key = SigningKey::from_seed(&[1; 32]);
        SignedCommand::sign(&key, &subject, Uuid::from_u128(7), 1000, 2000, "{\"a\":1}".to_owned())
    }

    #[test]
    fn signed_bytes_are_the_documented_ones() {
        let bytes = command().envelope.signed_bytes();
        assert_eq!(&bytes[..15], b"\xFFnsl-command-v1");
        assert_eq!(&bytes[15..19], &34_u32.to_be_bytes());
        assert_eq!(&bytes[19..53], b"nsl.v1.cmd.acme.wallet.main.create");
        assert_eq!(bytes.len(), 15 + 4 + 34 + 4 + 36 + 4 + 8 + 4 + 8 + 4 + 32);
    }

    #[test]
    fn any_change_breaks_the_signature() {
        assert!(command().verify().is_ok());
        let changes: [fn(&mut SignedCommand); 7] = [
            |c| c.payload.push(' '),
            |c| c.envelope.command_id = Uuid::from_u128(8),
            |c| c.envelope.subject = "nsl.v1.cmd.acme.wallet.other.create".to_owned(),
            |c| c.envelope.issued_at_ms += 1,
            |c| c.envelope.expires_at_ms += 1,
            |c| c.envelope.issuer = SigningKey::from_seed(&[2; 32]).public(),
            |c| c.envelope.signature.0[5] ^= 1,
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut changed = command();
            change(&mut changed);
            assert!(changed.verify().is_err(), "change {index}");
        }
    }
}
