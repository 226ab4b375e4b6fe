//! What is said to KMS and what it answers, in the form of its JSON protocol; members that we do not use are passed over.

use std::collections::BTreeMap;

use nsl_enclave_protocol::{AwsCredentials, http};
use nsl_schemas::bytes::Base64;
use nsl_schemas::canonical;
use nsl_schemas::kms::AwsKms;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::sigv4::{self, Scope};

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const SERVICE: &str = "kms";

/// Something that KMS is asked.
pub(super) trait Question: Serialize {
    /// As `X-Amz-Target` names it.
    const TARGET: &'static str;
    /// What is answered.
    type Answer: DeserializeOwned;
}

/// Whom KMS encrypts to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Recipient {
    pub(super) attestation_document: Base64,
    pub(super) key_encryption_algorithm: &'static str,
}

/// Make a key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GenerateDataKey<'a> {
    pub(super) encryption_context: BTreeMap<&'static str, String>,
    pub(super) key_id: &'a str,
    pub(super) key_spec: &'static str,
    pub(super) recipient: Recipient,
}

impl Question for GenerateDataKey<'_> {
    const TARGET: &'static str = "TrentService.GenerateDataKey";
    type Answer = Generated;
}

/// Unwrap a key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Decrypt<'a> {
    pub(super) ciphertext_blob: &'a Base64,
    pub(super) encryption_algorithm: &'static str,
    pub(super) encryption_context: BTreeMap<&'static str, String>,
    pub(super) key_id: &'a str,
    pub(super) recipient: Recipient,
}

impl Question for Decrypt<'_> {
    const TARGET: &'static str = "TrentService.Decrypt";
    type Answer = Decrypted;
}

/// A key, as both answers have it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Secret {
    pub(super) ciphertext_for_recipient: Option<Base64>,
    pub(super) key_id: String,
    /// Empty or absent, where a recipient was named.
    pub(super) plaintext: Option<String>,
}

/// Answer to [`GenerateDataKey`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Generated {
    pub(super) ciphertext_blob: Option<Base64>,
    #[serde(flatten)]
    pub(super) secret: Secret,
}

/// Answer to [`Decrypt`].
#[derive(Debug, Deserialize)]
pub(super) struct Decrypted {
    #[serde(flatten)]
    pub(super) secret: Secret,
}

/// KMS' no.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Refusal {
    /// `AccessDeniedException`, perhaps behind a name space and `#`.
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(alias = "Message", default)]
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn code(&self) -> String {
        self.kind.rsplit('#').next().unwrap_or_default().to_owned()
    }
}

/// The request as it is sent, signed at `now_ms`.
pub(super) fn signed<Q: Question>(
    question: &Q,
    manifest: &AwsKms,
    credentials: &AwsCredentials,
    now_ms: u64,
) -> Vec<u8> {
    let body = canonical::to_string(question);
    let timestamp = sigv4::timestamp(now_ms);
    // In the order that they are signed in.
    let mut headers = vec![
        ("content-type", CONTENT_TYPE),
        ("host", manifest.endpoint.as_str()),
        ("x-amz-date", timestamp.as_str()),
    ];
    headers.extend(credentials.session_token.as_deref().map(|token| ("x-amz-security-token", token)));
    headers.push(("x-amz-target", Q::TARGET));
    let scope = Scope { region: manifest.key_arn.region(), service: SERVICE, timestamp: &timestamp };
    let authorization = sigv4::authorization(credentials, scope, "POST", "/", &headers, body.as_bytes());
    headers.push(("authorization", authorization.as_str()));
    http::request("POST", "/", &headers, body.as_bytes())
}
