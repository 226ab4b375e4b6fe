//! A command as bytes on the bus, with every part open to be spoilt.

use async_nats::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::envelope::{
    Envelope, HEADER_COMMAND_ID, HEADER_EXPIRES_AT_MS, HEADER_ISSUED_AT_MS, HEADER_ISSUER, HEADER_SIGNATURE,
};
use nsl_schemas::nkey::SigningKey;
use uuid::Uuid;

/// How long a command lives, unless a test says otherwise.
const LIFETIME_MS: u64 = 60_000;

/// What a client is about to sign.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) subject: String,
    pub(crate) command_id: Uuid,
    pub(crate) issued_at_ms: u64,
    pub(crate) expires_at_ms: u64,
    pub(crate) payload: Vec<u8>,
}

impl Draft {
    pub(crate) fn new(subject: String, payload: String) -> Self {
        let now_ms = nsl_client::prepared::unix_now_ms();
        Self {
            subject,
            command_id: Uuid::now_v7(),
            issued_at_ms: now_ms,
            expires_at_ms: now_ms + LIFETIME_MS,
            payload: payload.into_bytes(),
        }
    }

    /// Signs it, whatever it says.
    pub(crate) fn sign(self, key: &SigningKey) -> Message {
        let mut envelope = Envelope {
            command_id: self.command_id,
            subject: self.subject.clone(),
            issuer: key.public(),
            issued_at_ms: self.issued_at_ms,
            expires_at_ms: self.expires_at_ms,
            payload_sha256: Sha256::of(&self.payload),
            signature: Base64::default(),
        };
        envelope.signature = Base64(key.sign(&envelope.signed_bytes()).to_vec());
        let headers = headers_of(&envelope);
        Message { subject: self.subject, command_id: self.command_id, headers, payload: self.payload }
    }
}

/// The documented headers of a signed command.
pub(crate) fn headers_of(envelope: &Envelope) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HEADER_COMMAND_ID, envelope.command_id.to_string());
    headers.insert(HEADER_ISSUER, envelope.issuer.to_string());
    headers.insert(HEADER_ISSUED_AT_MS, envelope.issued_at_ms.to_string());
    headers.insert(HEADER_EXPIRES_AT_MS, envelope.expires_at_ms.to_string());
    headers.insert(HEADER_SIGNATURE, STANDARD.encode(&envelope.signature.0));
    headers
}

/// What is published.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) subject: String,
    /// As it was signed; the header may say otherwise.
    pub(crate) command_id: Uuid,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Vec<u8>,
}

impl Message {
    pub(crate) fn set(mut self, header: &str, value: &str) -> Self {
        self.headers.insert(header, value);
        self
    }

    /// The headers again, with `header` left out or there twice.
    pub(crate) fn with_copies(mut self, header: &str, copies: usize) -> Self {
        let mut headers = HeaderMap::new();
        for (name, values) in self.headers.iter() {
            let name: &str = name.as_ref();
            let copies = if name == header { copies } else { 1 };
            for value in values.iter().flat_map(|value| std::iter::repeat_n(value, copies)) {
                headers.append(name, value.as_str());
            }
        }
        self.headers = headers;
        self
    }
}
