//! Signed commands: payload, signed bytes, headers, and the hash that receipts remember.

use nsl_schemas::canonical;
use nsl_schemas::command::wallet::Create;
use nsl_schemas::envelope::{
    HEADER_COMMAND_ID, HEADER_EXPIRES_AT_MS, HEADER_ISSUED_AT_MS, HEADER_ISSUER, HEADER_SIGNATURE,
    SignedCommand,
};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::subject::CommandSubject;
use serde_json::{Value, json};

use super::{COMMAND_ID, EXPIRES_AT_MS, ISSUED_AT_MS, ISSUER_SEED, key, policy, transfer};

pub(super) fn document() -> Value {
    json!({
        "about": "Signed bytes are 0xFF, nsl-command-v1, then subject, command id as hyphenated text, issued and \
            expires as big-endian u64, and the payload's SHA-256, each behind its length as a big-endian u32. \
            The request hash is the SHA-256 of the signed bytes.",
        "issuer": key(&ISSUER_SEED),
        "cases": [case(&create()), case(&request_transfer())],
    })
}

fn create() -> SignedCommand {
    sign("nsl.v1.cmd.acme.wallet.main.create", canonical::to_string(&Create { policy: policy() }))
}

/// The command of `transfers.json` and `outcomes.json`.
pub(super) fn request_transfer() -> SignedCommand {
    sign("nsl.v1.cmd.acme.wallet.main.request-transfer", canonical::to_string(&transfer()))
}

fn sign(subject: &str, payload: String) -> SignedCommand {
    let subject = CommandSubject::parse(subject).expect("the subjects of this file are command subjects");
    let issuer = SigningKey::from_seed(&ISSUER_SEED);
    SignedCommand::sign(&issuer, &subject, COMMAND_ID, ISSUED_AT_MS, EXPIRES_AT_MS, payload)
}

fn case(command: &SignedCommand) -> Value {
    let envelope = &command.envelope;
    json!({
        "subject": envelope.subject,
        "headers": {
            HEADER_COMMAND_ID: envelope.command_id,
            HEADER_ISSUER: envelope.issuer,
            HEADER_ISSUED_AT_MS: envelope.issued_at_ms.to_string(),
            HEADER_EXPIRES_AT_MS: envelope.expires_at_ms.to_string(),
            HEADER_SIGNATURE: envelope.signature,
        },
        "payload": command.payload,
        "payload_sha256": envelope.payload_sha256,
        "signed_bytes_hex": hex::encode(envelope.signed_bytes()),
        "signature": envelope.signature,
        "request_sha256": envelope.request_sha256(),
        "canonical": canonical::to_string(command),
    })
}
