//! From a message to a command whose signature holds: the first steps of D5, pure.
//!
//! Later steps (receipt, authorisation, expiry, limits, decide) need the log and are the processor's.

use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::command::{self, Command};
use nsl_schemas::envelope::{
    CLOCK_SKEW_MS_MAX, Envelope, HEADER_COMMAND_ID, HEADER_EXPIRES_AT_MS, HEADER_ISSUED_AT_MS, HEADER_ISSUER,
    HEADER_SIGNATURE, HEADER_TRACEPARENT, LIFETIME_MS_MAX, PAYLOAD_BYTES_MAX, SignedCommand,
};
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::{canonical, result};
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// A W3C trace parent has 55 characters; later versions may be longer.
const TRACEPARENT_BYTES_MAX: usize = 128;

/// A command whose signature holds.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Its subject.
    pub subject: CommandSubject,
    /// Envelope and payload.
    pub signed: SignedCommand,
    /// What a receipt remembers.
    pub request_sha256: Sha256,
    /// W3C trace context, if it came with one.
    pub traceparent: Option<String>,
}

/// A no at intake; nothing is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The command, where its id could be read.
    pub command_id: Option<Uuid>,
    /// Its request, where it could be read.
    pub request_sha256: Option<Sha256>,
    /// Why.
    pub code: ErrorCode,
    /// What happened.
    pub message: String,
    /// When to try again, where that can help.
    pub retry_after_ms: Option<u64>,
}

impl Refused {
    /// The message for the client.
    pub fn to_wire(&self) -> result::Refusal {
        result::Refusal {
            command_id: self.command_id,
            request_sha256: self.request_sha256,
            code: self.code.code.to_owned(),
            message: self.message.clone(),
            retry_after_ms: self.retry_after_ms,
        }
    }
}

impl Incoming {
    /// A no to this command.
    pub fn refuse(&self, code: ErrorCode, message: impl Into<String>) -> Refused {
        Refused {
            command_id: Some(self.signed.envelope.command_id),
            request_sha256: Some(self.request_sha256),
            code,
            message: message.into(),
            retry_after_ms: None,
        }
    }

    /// The step "expiry".
    pub fn check_times(&self, now_ms: u64) -> Result<(), Refused> {
        let Envelope { issued_at_ms, expires_at_ms, .. } = self.signed.envelope;
        if issued_at_ms > now_ms.saturating_add(CLOCK_SKEW_MS_MAX) {
            return Err(
                self.refuse(errors::COMMAND_FROM_FUTURE, format!("issued at {issued_at_ms}, it is {now_ms}"))
            );
        }
        if expires_at_ms <= now_ms {
            return Err(
                self.refuse(errors::COMMAND_EXPIRED, format!("expired at {expires_at_ms}, it is {now_ms}"))
            );
        }
        Ok(())
    }

    /// The step "limits" and the typed payload.
    pub fn command(&self) -> Result<Command, Refused> {
        Command::parse(&self.subject, self.signed.payload.as_bytes()).map_err(|error| {
            let code = match &error {
                command::Error::UnknownAggregate(_) => errors::AGGREGATE_UNKNOWN,
                command::Error::UnknownVerb { .. } => errors::VERB_UNKNOWN,
                command::Error::Payload(canonical::Error::TooDeep) => errors::PAYLOAD_TOO_DEEP,
                command::Error::Payload(canonical::Error::Shape(_)) => errors::PAYLOAD_INVALID,
            };
            self.refuse(code, error.to_string())
        })
    }
}

/// Reads a message. `header` gives a header's only value, or `Err` where it is repeated.
pub fn read<'a>(
    subject: CommandSubject,
    header: impl Fn(&'static str) -> Result<Option<&'a str>, String>,
    payload: &[u8],
) -> Result<Incoming, Refused> {
    let anonymous = |code, message: String| Refused {
        command_id: None,
        request_sha256: None,
        code,
        message,
        retry_after_ms: None,
    };
    let required = |name| match header(name) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(anonymous(errors::HEADER_MISSING, format!("header {name} is missing"))),
        Err(message) => Err(anonymous(errors::HEADER_INVALID, message)),
    };
    let command_id = parse_uuid(required(HEADER_COMMAND_ID)?).ok_or_else(|| {
        anonymous(errors::COMMAND_ID_INVALID, "expected a UUID in hyphenated lower case".into())
    })?;
    let named = |refused: Refused| Refused { command_id: Some(command_id), ..refused };
    if payload.len() > PAYLOAD_BYTES_MAX {
        let message = format!("{} bytes, at most {PAYLOAD_BYTES_MAX}", payload.len());
        return Err(named(anonymous(errors::PAYLOAD_TOO_LARGE, message)));
    }
    let invalid = |name: &str, expected: &str| {
        named(anonymous(errors::HEADER_INVALID, format!("header {name}: expected {expected}")))
    };
    let issuer = PublicKey::parse(required(HEADER_ISSUER).map_err(named)?)
        .map_err(|_| invalid(HEADER_ISSUER, "a user NKEY, U…"))?;
    let issued_at_ms = parse_ms(required(HEADER_ISSUED_AT_MS).map_err(named)?)
        .ok_or_else(|| invalid(HEADER_ISSUED_AT_MS, "Unix milliseconds"))?;
    let expires_at_ms = parse_ms(required(HEADER_EXPIRES_AT_MS).map_err(named)?)
        .ok_or_else(|| invalid(HEADER_EXPIRES_AT_MS, "Unix milliseconds"))?;
    if expires_at_ms <= issued_at_ms || expires_at_ms - issued_at_ms > LIFETIME_MS_MAX {
        return Err(invalid(HEADER_EXPIRES_AT_MS, "a time after the issue, by at most a day"));
    }
    let signature = parse_signature(required(HEADER_SIGNATURE).map_err(named)?)
        .ok_or_else(|| invalid(HEADER_SIGNATURE, "64 bytes in standard base64"))?;
    let payload_sha256 = Sha256::of(payload);
    let envelope = Envelope {
        command_id,
        subject: subject.to_string(),
        issuer,
        issued_at_ms,
        expires_at_ms,
        payload_sha256,
        signature,
    };
    let request_sha256 = envelope.request_sha256();
    let of_request = |code, message: &str| Refused {
        request_sha256: Some(request_sha256),
        ..named(anonymous(code, message.into()))
    };
    if !envelope.is_signed_by_issuer() {
        return Err(of_request(
            errors::SIGNATURE_INVALID,
            "the signature is not the issuer's over these bytes",
        ));
    }
    let Ok(payload) = String::from_utf8(payload.to_vec()) else {
        return Err(of_request(errors::PAYLOAD_INVALID, "not UTF-8"));
    };
    let traceparent = header(HEADER_TRACEPARENT)
        .ok()
        .flatten()
        .filter(|text| text.len() <= TRACEPARENT_BYTES_MAX && text.is_ascii());
    Ok(Incoming {
        subject,
        signed: SignedCommand { envelope, payload },
        request_sha256,
        traceparent: traceparent.map(str::to_owned),
    })
}

fn parse_uuid(text: &str) -> Option<Uuid> {
    // Other spellings of the same UUID would be other signed bytes under the same receipt.
    Uuid::parse_str(text).ok().filter(|id| id.hyphenated().to_string() == text)
}

fn parse_ms(text: &str) -> Option<u64> {
    // Above 2^53 the number would not survive JSON.
    text.parse().ok().filter(|ms: &u64| *ms < 1 << 53 && ms.to_string() == text)
}

fn parse_signature(text: &str) -> Option<Base64> {
    // 64 bytes are 88 characters of base64.
    (text.len() == 88)
        .then(|| from_text::<Base64>(text))
        .flatten()
        .filter(|signature| signature.0.len() == 64)
}

fn from_text<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}

#[cfg(test)]
mod tests;
