//! Why a command ended without its outcome, with the code, exit code and hint that follow from it.

use std::path::PathBuf;

use nsl_client::{
    ConnectError, QueryError, SendError, attestation, authority, birth, custodian, events, operators, pool,
    prepared, prices, secret, statement, wallet,
};
use nsl_schemas::errors::{self, Family};
use nsl_schemas::nkey;
use uuid::Uuid;

use crate::exit_code::ExitCode;
use crate::pages;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no context is selected")]
    ContextMissing,
    #[error("there is no context {name:?}")]
    ContextUnknown { name: String },
    #[error("there is no previous context")]
    ContextPreviousUnknown,
    #[error("there is a context {name:?} already")]
    ContextExists { name: String },
    #[error("contexts file {path}")]
    ContextsContent {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("file {path}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("file {path} is larger than {limit_bytes} bytes")]
    FileTooLarge { path: PathBuf, limit_bytes: u64 },
    #[error("payload {path} is larger than {limit_bytes} bytes")]
    PayloadTooLarge { path: PathBuf, limit_bytes: u64 },
    #[error("file {path} holds no {what}")]
    Content {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: nsl_schemas::canonical::Error,
    },
    #[error("seed file {path}")]
    Seed {
        path: PathBuf,
        #[source]
        source: nkey::Error,
    },
    #[error("neither HOME nor {variable} names a folder")]
    NoHome { variable: &'static str },
    #[error("the system gave no random bytes")]
    Randomness,
    #[error("{0}")]
    Input(String),
    #[error("no issuer key is configured")]
    IssuerMissing,
    #[error("no genesis file is configured")]
    GenesisMissing,
    #[error(transparent)]
    Authority(#[from] authority::Error),
    #[error(transparent)]
    Statement(#[from] statement::Error),
    #[error(transparent)]
    Operators(#[from] operators::Error),
    #[error(transparent)]
    Pool(#[from] pool::Error),
    #[error(transparent)]
    Attestation(#[from] attestation::Error),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Prepare(#[from] prepared::Error),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Custodian(#[from] custodian::Error),
    #[error(transparent)]
    Events(#[from] events::Error),
    #[error(transparent)]
    Prices(#[from] prices::Error),
    #[error(transparent)]
    Secret(#[from] secret::Error),
    #[error(transparent)]
    Wallet(#[from] wallet::Error),
    #[error("attested key of wallet {wallet} is no P-256 key")]
    AttestedKey {
        wallet: String,
        #[source]
        source: nsl_neo::public_key::Error,
    },
    #[error("the attestation document is refused")]
    Document(#[source] nsl_verify::attestation::Error),
    #[error("the attestation document does not pass every check")]
    DocumentRefused,
    #[error("wallet {wallet} is shown with {shown}, but its attested key has {attested}")]
    AddressMismatch { wallet: String, shown: String, attested: String },
    #[error("wallet {wallet} is {status}, not open")]
    WalletNotOpen { wallet: String, status: String },
    #[error("expected position {expected}, found {found}")]
    LogGap { expected: u64, found: u64 },
    #[error("the published events end at position {last}, before the head {head}")]
    LogShort { last: u64, head: u64 },
    #[error("event at position {position} on {subject} has version {found}, expected {expected}")]
    VersionGap { position: u64, subject: String, expected: u64, found: u64 },
    #[error("the enclave refused ({code}): {message}")]
    WorkerRefused { code: String, message: String },
    #[error("transaction {tx_hash} failed in block {block_index}: {exception}")]
    TransferFaulted { tx_hash: String, block_index: u32, exception: String },
    #[error("transaction {tx_hash} is in no block up to {block_index}: {reason}")]
    TransferExpired { tx_hash: String, block_index: u32, reason: String },
    #[error("no worker signed transaction {tx_hash} in time; it is bound by block {valid_until_block}")]
    RequestExpired { tx_hash: String, valid_until_block: u32 },
    #[error("an owner cancelled transaction {tx_hash} before it was signed")]
    RequestCancelled { tx_hash: String },
    #[error("no result is kept for command {command_id}")]
    ResultUnknown { command_id: Uuid },
    #[error("there is no error code {code:?}")]
    PageUnknown { code: String },
    #[error("output")]
    Output(#[from] std::io::Error),
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// The stable code.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::ContextMissing => pages::CONTEXT_MISSING.code,
            Self::ContextUnknown { .. } | Self::ContextPreviousUnknown => pages::CONTEXT_UNKNOWN.code,
            Self::ContextExists { .. } => pages::CONTEXT_EXISTS.code,
            Self::ContextsContent { .. } => pages::CONTEXT_INVALID.code,
            Self::File { .. }
            | Self::FileTooLarge { .. }
            | Self::Content { .. }
            | Self::NoHome { .. }
            | Self::Randomness
            | Self::Attestation(attestation::Error::Randomness)
            | Self::Output(_) => pages::FILE_UNUSABLE.code,
            Self::PayloadTooLarge { .. } => errors::PAYLOAD_TOO_LARGE.code,
            Self::Seed { .. } => pages::SEED_INVALID.code,
            Self::Input(_) => pages::INPUT_INVALID.code,
            Self::IssuerMissing => pages::ISSUER_MISSING.code,
            Self::GenesisMissing => pages::GENESIS_MISSING.code,
            Self::Authority(error) => code_of_authority(error),
            Self::Statement(_) => errors::STATEMENT_INVALID.code,
            Self::Operators(error) => code_of_operators(error),
            Self::Pool(error) | Self::Attestation(attestation::Error::Log(error)) => code_of_pool(error),
            Self::Attestation(attestation::Error::TrustRoot(_)) => pages::GENESIS_INVALID.code,
            Self::Connect(ConnectError::Denied { .. }) => pages::CONNECTION_DENIED.code,
            Self::Connect(_) | Self::Prices(prices::Error::Unavailable(_) | prices::Error::Latest(_)) => {
                pages::CONNECTION_FAILED.code
            }
            Self::Prepare(error) => code_of_prepare(error),
            Self::Send(error) => code_of_send(error),
            Self::Query(error) | Self::Attestation(attestation::Error::Query(error)) => code_of_query(error),
            Self::Attestation(_) => errors::ATTESTATION_INVALID.code,
            Self::Custodian(error) => code_of_custodian(error),
            Self::Events(error) => code_of_events(error),
            Self::Prices(_) => pages::ANSWER_INVALID.code,
            Self::Secret(error) => code_of_secret(error),
            Self::Wallet(error) => code_of_wallet(error),
            Self::AttestedKey { .. } => pages::BIRTH_INVALID.code,
            Self::Document(_) | Self::DocumentRefused => pages::DOCUMENT_INVALID.code,
            Self::AddressMismatch { .. } => pages::ADDRESS_MISMATCH.code,
            Self::WalletNotOpen { .. } => errors::WALLET_NOT_OPEN.code,
            Self::LogGap { .. } | Self::LogShort { .. } | Self::VersionGap { .. } => pages::LOG_GAP.code,
            Self::WorkerRefused { code, .. } => code,
            Self::TransferFaulted { .. } => pages::TRANSFER_FAULTED.code,
            Self::TransferExpired { .. } => pages::TRANSFER_EXPIRED.code,
            Self::RequestExpired { .. } => pages::REQUEST_EXPIRED.code,
            Self::RequestCancelled { .. } => pages::REQUEST_CANCELLED.code,
            Self::ResultUnknown { .. } => pages::RESULT_UNKNOWN.code,
            Self::PageUnknown { .. } => errors::NOT_FOUND.code,
            Self::Interrupted => pages::INTERRUPTED.code,
        }
    }

    /// How the process ends.
    pub(crate) fn exit_code(&self) -> ExitCode {
        exit_code_of(self.code())
    }

    /// What to try, where more can be said than on the code's page.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::ContextMissing => Some(
                "nsl context add local --url nats://127.0.0.1:4222 --tenant acme --issuer FILE".to_owned(),
            ),
            Self::ContextUnknown { .. } => Some("nsl context list shows the names".to_owned()),
            Self::IssuerMissing => Some("nsl key generate, then nsl context add … --issuer FILE".to_owned()),
            Self::GenesisMissing => Some("nsl context add … --genesis FILE".to_owned()),
            Self::Send(error) | Self::Wallet(wallet::Error::Send(error)) => hint_of_send(error),
            Self::Query(QueryError::Unavailable { .. }) => {
                Some("the service that answers this may be down; ask again later".to_owned())
            }
            Self::Connect(ConnectError::Unreachable { .. }) => {
                Some("is the service running? In its repository: cargo dev up".to_owned())
            }
            Self::RequestExpired { tx_hash, valid_until_block } => Some(format!(
                "ask anew after block {valid_until_block}, if the chain does not have {tx_hash} then"
            )),
            _ => None,
        }
    }

    /// The whole story in one line: the error and what lies beneath it.
    pub(crate) fn message(&self) -> String {
        with_causes(self)
    }
}

/// An error and what lies beneath it, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Transparent and foreign errors repeat their source's text.
        if !message.ends_with(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = error.source();
    }
    message
}

fn hint_of_send(error: &SendError) -> Option<String> {
    match error {
        SendError::OutcomeUnknown { command_id, .. } | SendError::Unavailable { command_id, .. } => {
            Some(format!("run the same again with --id {command_id}; nothing happens twice"))
        }
        SendError::Refused { command_id, retry_after: Some(wait), .. } => {
            Some(format!("in {} ms, run the same again with --id {command_id}", wait.as_millis()))
        }
        SendError::Refused { command_id, code, .. } if code == errors::ID_REUSED.code => {
            Some(format!("nsl command result {command_id} shows what happened under this id"))
        }
        _ => None,
    }
}

fn code_of_authority(error: &authority::Error) -> &'static str {
    match error {
        authority::Error::GenesisContent(_) | authority::Error::GenesisUnsigned => {
            pages::GENESIS_INVALID.code
        }
        _ => pages::INPUT_INVALID.code,
    }
}

fn code_of_operators(error: &operators::Error) -> &str {
    match error {
        operators::Error::Query(error) => code_of_query(error),
        _ => pages::ANSWER_INVALID.code,
    }
}

fn code_of_pool(error: &pool::Error) -> &str {
    match error {
        pool::Error::Events(error) => code_of_events(error),
        _ => pages::ANSWER_INVALID.code,
    }
}

fn code_of_prepare(error: &prepared::Error) -> &'static str {
    match error {
        prepared::Error::NoIssuer => pages::ISSUER_MISSING.code,
        prepared::Error::PayloadTooLarge { .. } => errors::PAYLOAD_TOO_LARGE.code,
        prepared::Error::Token(_) | prepared::Error::Payload(_) | prepared::Error::LifetimeTooLong { .. } => {
            pages::INPUT_INVALID.code
        }
        _ => pages::FILE_UNUSABLE.code,
    }
}

fn code_of_send(error: &SendError) -> &str {
    match error {
        SendError::Rejected { code, .. } | SendError::Refused { code, .. } => code,
        SendError::ForeignTenant { .. } => errors::NOT_AUTHORISED.code,
        SendError::Unavailable { .. } => pages::CONNECTION_FAILED.code,
        _ => pages::OUTCOME_UNKNOWN.code,
    }
}

fn code_of_query(error: &QueryError) -> &str {
    match error {
        QueryError::Answered { code, .. } => code,
        QueryError::Unavailable { .. } => errors::UNAVAILABLE.code,
        _ => pages::ANSWER_INVALID.code,
    }
}

fn code_of_custodian(error: &custodian::Error) -> &str {
    match error {
        custodian::Error::Query(error) => code_of_query(error),
        custodian::Error::Events(error) => code_of_events(error),
        custodian::Error::NoCustodian { .. } | custodian::Error::Share => errors::SEALING_SHARE_INVALID.code,
        custodian::Error::Record(_) => errors::SEALING_RECORD_INVALID.code,
        custodian::Error::Attestation(_) | custodian::Error::OtherStatement => {
            errors::ATTESTATION_INVALID.code
        }
        _ => errors::UNAVAILABLE.code,
    }
}

fn code_of_events(error: &events::Error) -> &'static str {
    match error {
        events::Error::Unavailable(_)
        | events::Error::Ended
        | events::Error::Page(QueryError::Unavailable { .. }) => errors::UNAVAILABLE.code,
        events::Error::Page(QueryError::Answered { code, .. }) => {
            errors::find(code).map_or(pages::ANSWER_INVALID.code, |known| known.code)
        }
        events::Error::TimedOut { .. } => pages::TIMED_OUT.code,
        _ => pages::ANSWER_INVALID.code,
    }
}

fn code_of_secret(error: &secret::Error) -> &str {
    match error {
        secret::Error::Query(error) => code_of_query(error),
        secret::Error::Prepare(error) => code_of_prepare(error),
        secret::Error::Events { source, .. } => code_of_events(source),
        secret::Error::Refused { code, .. } => code,
        secret::Error::TrustRoot(_) => pages::GENESIS_INVALID.code,
        secret::Error::Attestation(_) | secret::Error::OtherStatement => errors::ATTESTATION_INVALID.code,
        secret::Error::TooLong | secret::Error::Hpke(_) | secret::Error::Padding => {
            errors::SECRET_INVALID.code
        }
        secret::Error::Destroyed => errors::SECRET_DESTROYED.code,
        secret::Error::Randomness => pages::FILE_UNUSABLE.code,
        _ => errors::UNAVAILABLE.code,
    }
}

fn code_of_wallet(error: &wallet::Error) -> &str {
    match error {
        wallet::Error::Send(error) => code_of_send(error),
        wallet::Error::Operators(error) => code_of_operators(error),
        wallet::Error::Events { source, .. } => code_of_events(source),
        wallet::Error::Refused { code, .. } => code,
        wallet::Error::Birth { source: birth::Error::TrustRoot(_), .. } => pages::GENESIS_INVALID.code,
        wallet::Error::Birth { .. } => pages::BIRTH_INVALID.code,
        _ => pages::INPUT_INVALID.code,
    }
}

/// The exit code of a code, the service's or this program's. A code of a newer service says that a rule said no.
pub(crate) fn exit_code_of(code: &str) -> ExitCode {
    match code {
        "context_missing" | "input_invalid" | "context_exists" => ExitCode::Usage,
        "address_mismatch"
        | "attestation_invalid"
        | "birth_invalid"
        | "document_invalid"
        | "genesis_invalid"
        | "log_gap" => ExitCode::VerificationFailed,
        "connection_denied" | "issuer_missing" | "not_authorised" | "signature_invalid" => ExitCode::Denied,
        "context_unknown" | "result_unknown" | "not_found" | "secret_unknown" | "wallet_unknown"
        | "transfer_unknown" | "feed_unknown" | "worker_unknown" => ExitCode::NotFound,
        "connection_failed" => ExitCode::Unavailable,
        "outcome_unknown" | "timed_out" => ExitCode::OutcomeUnknown,
        "interrupted" => ExitCode::Interrupted,
        "transfer_faulted" | "transfer_expired" | "request_expired" | "request_cancelled" => {
            ExitCode::Rejected
        }
        local if pages::ALL.iter().any(|known| known.code == local) => ExitCode::Failed,
        service => match errors::find(service).map(|known| known.family) {
            Some(Family::Unavailable) => ExitCode::Unavailable,
            Some(Family::Rejected | Family::Conflict) | None => ExitCode::Rejected,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn errors_are_classified_by_what_a_script_can_do_about_them() {
        let command_id = Uuid::from_u128(7);
        let rejected = |code: &str| {
            Error::Send(SendError::Rejected {
                command_id,
                code: code.into(),
                message: "m".into(),
                position: 1,
            })
        };
        let unavailable = || SendError::Unavailable { command_id, source: "down".into() };
        for (error, code, exit_code) in [
            (Error::ContextMissing, "context_missing", ExitCode::Usage),
            (Error::ContextUnknown { name: "n".into() }, "context_unknown", ExitCode::NotFound),
            (Error::Input("no".into()), "input_invalid", ExitCode::Usage),
            (Error::IssuerMissing, "issuer_missing", ExitCode::Denied),
            (
                Error::Authority(authority::Error::GenesisUnsigned),
                "genesis_invalid",
                ExitCode::VerificationFailed,
            ),
            (rejected("wallet_exists"), "wallet_exists", ExitCode::Rejected),
            (rejected("not_authorised"), "not_authorised", ExitCode::Denied),
            (rejected("wallet_unknown"), "wallet_unknown", ExitCode::NotFound),
            (rejected("rate_limited"), "rate_limited", ExitCode::Unavailable),
            (rejected("of_a_newer_service"), "of_a_newer_service", ExitCode::Rejected),
            (Error::Send(unavailable()), "connection_failed", ExitCode::Unavailable),
            (
                Error::Wallet(wallet::Error::Send(SendError::OutcomeUnknown { command_id, attempts: 3 })),
                "outcome_unknown",
                ExitCode::OutcomeUnknown,
            ),
            (
                Error::Events(events::Error::TimedOut { limit: Duration::from_secs(1) }),
                "timed_out",
                ExitCode::OutcomeUnknown,
            ),
            (
                Error::Prepare(prepared::Error::PayloadTooLarge { bytes: 1 }),
                "payload_too_large",
                ExitCode::Rejected,
            ),
            (
                Error::RequestExpired { tx_hash: "0x".into(), valid_until_block: 7 },
                "request_expired",
                ExitCode::Rejected,
            ),
            (Error::RequestCancelled { tx_hash: "0x".into() }, "request_cancelled", ExitCode::Rejected),
            (Error::LogGap { expected: 1, found: 2 }, "log_gap", ExitCode::VerificationFailed),
            (Error::Interrupted, "interrupted", ExitCode::Interrupted),
        ] {
            assert_eq!((error.code(), error.exit_code()), (code, exit_code), "{error}");
        }
    }

    #[test]
    fn every_code_of_this_program_has_an_exit_code_of_failure() {
        for known in pages::ALL {
            assert_ne!(exit_code_of(known.code), ExitCode::Ok, "{}", known.code);
        }
    }

    #[test]
    fn an_unknown_outcome_is_answered_with_the_way_to_learn_it() {
        let command_id = Uuid::from_u128(7);
        let error = Error::Send(SendError::OutcomeUnknown { command_id, attempts: 3 });
        assert!(error.hint().unwrap().contains(&format!("--id {command_id}")));
    }

    #[test]
    fn a_message_tells_the_causes_once() {
        let source = std::io::Error::other("disk on fire");
        let error = Error::File { path: "a".into(), source };
        assert_eq!(error.message(), "file a: disk on fire");
        assert_eq!(Error::Output(std::io::Error::other("gone")).message(), "output: gone");
    }
}
