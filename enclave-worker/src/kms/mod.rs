//! AWS KMS as the keeper of sealing keys: it gives them to attested workers alone, encrypted to a key of theirs.
//!
//! The host carries bytes and says who asks; TLS ends here, at the host name and trust anchors of the manifest. What KMS
//! answers is believed only as far as it can be: which key it used, and what opens with the key that the worker attested.

mod ber;
pub mod cms;
mod exchange;
mod message;
mod recipient;
mod sigv4;
mod tls;

use std::collections::BTreeMap;

use nsl_enclave_protocol::{AwsCredentials, Endpoint, http, stream};
use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::canonical;
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::kms::{AwsKms, CIPHERTEXT_BYTES_MAX};
use tokio::sync::Mutex;

pub use self::tls::Error as AnchorError;
use crate::locked::{self, LockedBytes};
use crate::nsm::{self, AttestationRequest, NsmHandle};
use crate::seal::SEALING_SECRET_BYTES;
use message::{Decrypt, Decrypted, GenerateDataKey, Generated, Recipient, Refusal};
use recipient::RecipientKey;
use tls::Anchors;

/// What the recipient's attestation document carries as `user_data`: a worker attests other keys as well.
const RECIPIENT: &[u8] = b"nsl-kms-recipient-v1";
/// Longest words of KMS that are passed on.
const WORDS_MAX: usize = 512;

/// Why KMS gave no key; the worker goes on with those that it has.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host told no credentials.
    #[error("the host sent no credentials for KMS")]
    NoCredentials,
    /// They cannot stand in a request.
    #[error("the host's credentials for KMS are malformed")]
    Credentials,
    /// No key for KMS to encrypt to.
    #[error("no RSA key could be made")]
    RecipientKey,
    /// No document about it.
    #[error("the recipient's key is not attested")]
    Nsm(#[from] nsm::Error),
    /// No place for a secret.
    #[error(transparent)]
    Locked(#[from] locked::Error),
    /// The host's relay is not there.
    #[error("cannot reach the host's relay to KMS")]
    Relay(#[from] stream::Error),
    /// Whoever answers does not prove to be the manifest's endpoint.
    #[error("who answers is not proven to be {endpoint}")]
    Tls {
        /// As the manifest names it.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Setup(#[from] tls::Error),
    /// The connection broke.
    #[error("the connection to KMS broke")]
    Stream(#[source] std::io::Error),
    /// The connection ended before the answer did.
    #[error("the connection to KMS ended before its answer did")]
    Ended,
    /// It took too long.
    #[error("KMS did not answer within {} ms", exchange::LIMIT.as_millis())]
    TimedOut,
    /// Not one plain answer.
    #[error("answer of KMS is no HTTP that is taken")]
    Http(#[from] http::Error),
    /// KMS said no.
    #[error("KMS refused with status {status}: {code}: {message}")]
    Refused {
        /// Of HTTP.
        status: u16,
        /// KMS' own code, as `AccessDeniedException`.
        code: String,
        /// Its words.
        message: String,
    },
    /// Not the JSON of this answer.
    #[error("answer of KMS cannot be read")]
    Malformed(#[source] canonical::Error),
    /// KMS used a key that the manifest does not name.
    #[error("KMS used the key {found:?}, which is not the manifest's")]
    OtherKey {
        /// Its ARN.
        found: String,
    },
    /// KMS told the key to whoever can read the answer: no recipient was demanded of it.
    #[error("KMS answered with a key that is not encrypted to the recipient")]
    Plaintext,
    /// The wrapped key is missing or too long.
    #[error("answer of KMS has no wrapped key of 1 to {CIPHERTEXT_BYTES_MAX} bytes")]
    Ciphertext,
    /// The envelope does not hold.
    #[error("envelope of KMS")]
    Envelope(#[from] cms::Error),
    /// The key is of another length.
    #[error("the key from KMS has {bytes} bytes, not {SEALING_SECRET_BYTES}")]
    SecretLength {
        /// How many.
        bytes: usize,
    },
}

impl Error {
    /// What the host hears.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Refused { .. } => errors::KMS_REFUSED,
            Self::NoCredentials
            | Self::Credentials
            | Self::RecipientKey
            | Self::Nsm(_)
            | Self::Locked(_)
            | Self::Relay(_)
            | Self::Setup(_)
            | Self::Stream(_)
            | Self::Ended
            | Self::TimedOut => errors::UNAVAILABLE,
            Self::Tls { .. }
            | Self::Http(_)
            | Self::Malformed(_)
            | Self::OtherKey { .. }
            | Self::Plaintext
            | Self::Ciphertext
            | Self::Envelope(_)
            | Self::SecretLength { .. } => errors::KMS_ANSWER_INVALID,
        }
    }
}

/// Which sealing key of which log: KMS opens a wrapped key only for the same again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyContext {
    pub(crate) genesis_sha256: Sha256,
    pub(crate) epoch: u32,
}

impl KeyContext {
    fn members(self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("nsl-epoch", self.epoch.to_string()),
            ("nsl-genesis-sha256", self.genesis_sha256.to_string()),
        ])
    }
}

/// Who asks KMS, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) nsm: &'a NsmHandle,
    pub(crate) credentials: Option<&'a AwsCredentials>,
    /// The NSM's time, Unix ms.
    pub(crate) now_ms: u64,
}

/// A key as KMS made it.
#[derive(Debug)]
pub(crate) struct DataKey {
    pub(crate) secret: LockedBytes,
    /// The key as KMS wraps it.
    pub(crate) ciphertext: Base64,
}

/// The way to the manifest's KMS.
#[derive(Debug)]
pub struct Kms {
    manifest: AwsKms,
    anchors: Anchors,
    relay: Endpoint,
    /// One request at a time: they are rare, and each costs an RSA key.
    turn: Mutex<()>,
}

impl Kms {
    /// The way by the host's relay.
    pub fn new(manifest: AwsKms, relay: Endpoint) -> Result<Self, AnchorError> {
        let anchors = Anchors::of(&manifest)?;
        Ok(Self { manifest, anchors, relay, turn: Mutex::new(()) })
    }

    /// Has KMS make a key.
    pub(crate) async fn generate(&self, context: KeyContext, asking: Asking<'_>) -> Result<DataKey, Error> {
        let _turn = self.turn.lock().await;
        let key = RecipientKey::generate()?;
        let question = GenerateDataKey {
            encryption_context: context.members(),
            key_id: self.manifest.key_arn.as_str(),
            key_spec: "AES_256",
            recipient: recipient(&key, asking.nsm).await?,
        };
        let generated: Generated = self.ask(&question, asking).await?;
        let ciphertext = generated.ciphertext_blob.ok_or(Error::Ciphertext)?;
        if !(1..=CIPHERTEXT_BYTES_MAX).contains(&ciphertext.0.len()) {
            return Err(Error::Ciphertext);
        }
        Ok(DataKey { secret: self.open(&key, generated.secret)?, ciphertext })
    }

    /// Has KMS unwrap a key.
    pub(crate) async fn decrypt(
        &self,
        ciphertext: &Base64,
        context: KeyContext,
        asking: Asking<'_>,
    ) -> Result<LockedBytes, Error> {
        let _turn = self.turn.lock().await;
        let key = RecipientKey::generate()?;
        let question = Decrypt {
            ciphertext_blob: ciphertext,
            encryption_algorithm: "SYMMETRIC_DEFAULT",
            encryption_context: context.members(),
            key_id: self.manifest.key_arn.as_str(),
            recipient: recipient(&key, asking.nsm).await?,
        };
        let decrypted: Decrypted = self.ask(&question, asking).await?;
        self.open(&key, decrypted.secret)
    }

    /// The key in the envelope, if it is one of the manifest's and encrypted to the recipient alone.
    fn open(&self, key: &RecipientKey, secret: message::Secret) -> Result<LockedBytes, Error> {
        let message::Secret { ciphertext_for_recipient, key_id, plaintext } = secret;
        if key_id != self.manifest.key_arn.as_str() {
            return Err(Error::OtherKey { found: words(&key_id) });
        }
        if plaintext.is_some_and(|plaintext| !plaintext.is_empty()) {
            return Err(Error::Plaintext);
        }
        let envelope = ciphertext_for_recipient.ok_or(Error::Plaintext)?;
        let secret = key.open(&cms::Envelope::parse(&envelope.0)?)?;
        if secret.len() == SEALING_SECRET_BYTES {
            Ok(secret)
        } else {
            Err(Error::SecretLength { bytes: secret.len() })
        }
    }

    async fn ask<Q: message::Question>(&self, question: &Q, asking: Asking<'_>) -> Result<Q::Answer, Error> {
        let credentials = asking.credentials.ok_or(Error::NoCredentials)?;
        if !credentials.is_sound() {
            return Err(Error::Credentials);
        }
        let request = message::signed(question, &self.manifest, credentials, asking.now_ms);
        let config = self.anchors.config(asking.now_ms)?;
        let answer = exchange::exchange(&self.relay, config, &self.manifest.endpoint, &request).await?;
        if answer.status != 200 {
            let refusal: Refusal = canonical::from_slice(&answer.body).unwrap_or_default();
            let (code, message) = (words(&refusal.code()), words(&refusal.message));
            return Err(Error::Refused { status: answer.status, code, message });
        }
        canonical::from_slice(&answer.body).map_err(Error::Malformed)
    }
}

async fn recipient(key: &RecipientKey, nsm: &NsmHandle) -> Result<Recipient, Error> {
    let (public_key, user_data) = (Some(key.public_der()?), Some(RECIPIENT.to_vec()));
    let request = AttestationRequest { public_key, user_data, nonce: None };
    Ok(Recipient {
        attestation_document: Base64(nsm.attest(request).await?),
        key_encryption_algorithm: "RSAES_OAEP_SHA_256",
    })
}

/// Printable, and no longer than needed.
fn words(text: &str) -> String {
    text.chars().filter(|one| !one.is_control()).take(WORDS_MAX).collect()
}
