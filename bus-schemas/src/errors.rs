//! Stable error codes with their family and page. A code without a page does not compile.

/// What kind of no it is; the families stay apart to the very edge (DESIGN §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A rule said no. Not retried.
    Rejected,
    /// Somebody was first, or something else is under way.
    Conflict,
    /// Try again later with the same id.
    Unavailable,
}

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode {
    /// The code as it stands on the wire.
    pub code: &'static str,
    /// Its family.
    pub family: Family,
    /// What happened, why, what to try; Markdown.
    pub page: &'static str,
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.code)
    }
}

macro_rules! error_codes {
    ($($constant:ident = $code:literal, $family:ident;)+) => {
        $(
            #[doc = include_str!(concat!("errors/", $code, ".md"))]
            pub const $constant: ErrorCode = ErrorCode {
                code: $code,
                family: Family::$family,
                page: include_str!(concat!("errors/", $code, ".md")),
            };
        )+

        /// Every code.
        pub const ALL: &[ErrorCode] = &[$($constant),+];
    };
}

/// The code of this name.
pub fn find(code: &str) -> Option<ErrorCode> {
    ALL.iter().copied().find(|known| known.code == code)
}

error_codes! {
    COMMAND_ID_INVALID = "command_id_invalid", Rejected;
    HEADER_MISSING = "header_missing", Rejected;
    HEADER_INVALID = "header_invalid", Rejected;
    SUBJECT_INVALID = "subject_invalid", Rejected;
    AGGREGATE_UNKNOWN = "aggregate_unknown", Rejected;
    VERB_UNKNOWN = "verb_unknown", Rejected;
    PAYLOAD_TOO_LARGE = "payload_too_large", Rejected;
    PAYLOAD_TOO_DEEP = "payload_too_deep", Rejected;
    PAYLOAD_INVALID = "payload_invalid", Rejected;
    SIGNATURE_INVALID = "signature_invalid", Rejected;
    ID_REUSED = "id_reused", Conflict;
    NOT_AUTHORISED = "not_authorised", Rejected;
    COMMAND_EXPIRED = "command_expired", Rejected;
    COMMAND_FROM_FUTURE = "command_from_future", Rejected;
    RATE_LIMITED = "rate_limited", Unavailable;
    QUOTA_EXCEEDED = "quota_exceeded", Unavailable;
    UNAVAILABLE = "unavailable", Unavailable;
    EVENT_FROM_FUTURE = "event_from_future", Unavailable;
    AGGREGATE_UNREADABLE = "aggregate_unreadable", Unavailable;
    LIMIT_EXCEEDED = "limit_exceeded", Rejected;
    ROOT_EXISTS = "root_exists", Rejected;
    ROOT_MISSING = "root_missing", Rejected;
    STATEMENT_INVALID = "statement_invalid", Rejected;
    ATTESTATION_INVALID = "attestation_invalid", Rejected;
    WORKER_EXISTS = "worker_exists", Rejected;
    WORKER_UNKNOWN = "worker_unknown", Rejected;
    OUTCOME_INVALID = "outcome_invalid", Rejected;
    OUTCOME_UNEXPECTED = "outcome_unexpected", Rejected;
    WALLET_EXISTS = "wallet_exists", Rejected;
    WALLET_UNKNOWN = "wallet_unknown", Rejected;
    WALLET_NOT_OPEN = "wallet_not_open", Rejected;
    POLICY_INVALID = "policy_invalid", Rejected;
    POLICY_CHANGE_PENDING = "policy_change_pending", Conflict;
    POLICY_PREVIOUS_MISMATCH = "policy_previous_mismatch", Rejected;
    POLICY_NOT_APPROVED = "policy_not_approved", Rejected;
    NETWORK_NOT_ALLOWED = "network_not_allowed", Rejected;
    ASSET_NOT_ALLOWED = "asset_not_allowed", Rejected;
    AMOUNT_NOT_ALLOWED = "amount_not_allowed", Rejected;
    RECIPIENT_NOT_ALLOWED = "recipient_not_allowed", Rejected;
    FEE_NOT_ALLOWED = "fee_not_allowed", Rejected;
    CONTRACT_NOT_ALLOWED = "contract_not_allowed", Rejected;
    METHOD_NOT_ALLOWED = "method_not_allowed", Rejected;
    SCOPE_NOT_ALLOWED = "scope_not_allowed", Rejected;
    LAST_BLOCK_NOT_ALLOWED = "last_block_not_allowed", Rejected;
    APPROVALS_MISSING = "approvals_missing", Rejected;
    APPROVAL_INVALID = "approval_invalid", Rejected;
    APPROVAL_NOT_AWAITED = "approval_not_awaited", Rejected;
    APPROVAL_REPEATED = "approval_repeated", Rejected;
    CANCELLATION_INVALID = "cancellation_invalid", Rejected;
    REQUEST_NOT_HELD = "request_not_held", Rejected;
    AMOUNT_WINDOW_EXCEEDED = "amount_window_exceeded", Rejected;
    SIGNATURE_RATE_EXCEEDED = "signature_rate_exceeded", Rejected;
    SIGNATURES_USED_UP = "signatures_used_up", Rejected;
    WITHHELD_MODE_REQUIRED = "withheld_mode_required", Rejected;
    POOL_NOT_ESTABLISHED = "pool_not_established", Unavailable;
    POOL_VIEW_INVALID = "pool_view_invalid", Rejected;
    ENDORSEMENT_REFUSED = "endorsement_refused", Conflict;
    RESERVATION_OUT_OF_TURN = "reservation_out_of_turn", Conflict;
    RESERVATION_INVALID = "reservation_invalid", Rejected;
    RESERVATION_MISMATCH = "reservation_mismatch", Rejected;
    RESERVATION_EXPIRED = "reservation_expired", Rejected;
    RESERVATION_NOT_ENDORSED = "reservation_not_endorsed", Unavailable;
    TRANSFER_INVALID = "transfer_invalid", Rejected;
    TOO_MANY_OPEN_TRANSFERS = "too_many_open_transfers", Conflict;
    TRANSFER_UNKNOWN = "transfer_unknown", Rejected;
    DEADLINE_NOT_PASSED = "deadline_not_passed", Rejected;
    FEED_EXISTS = "feed_exists", Rejected;
    FEED_UNKNOWN = "feed_unknown", Rejected;
    FEED_RULES_INVALID = "feed_rules_invalid", Rejected;
    ROUND_OUT_OF_ORDER = "round_out_of_order", Conflict;
    ROUND_TIME_IMPLAUSIBLE = "round_time_implausible", Rejected;
    ROUND_VENUE_REPEATED = "round_venue_repeated", Rejected;
    ROUND_WITHOUT_QUORUM = "round_without_quorum", Rejected;
    WORKER_AUTHORITY_DENIED = "worker_authority_denied", Rejected;
    WORKER_POLICY_DENIED = "worker_policy_denied", Rejected;
    WORKER_STATE_INVALID = "worker_state_invalid", Rejected;
    WORKER_COMMAND_INVALID = "worker_command_invalid", Rejected;
    KEY_RESEAL_PENDING = "key_reseal_pending", Conflict;
    KEY_SEALED_ALREADY = "key_sealed_already", Rejected;
    SECRET_UNKNOWN = "secret_unknown", Rejected;
    SECRET_NOT_STORED = "secret_not_stored", Rejected;
    SECRET_DESTROYED = "secret_destroyed", Rejected;
    SECRET_INVALID = "secret_invalid", Rejected;
    SECRET_POLICY_INVALID = "secret_policy_invalid", Rejected;
    SECRET_POLICY_MISMATCH = "secret_policy_mismatch", Rejected;
    SECRET_VERSION_MISMATCH = "secret_version_mismatch", Rejected;
    SECRET_CHANGE_PENDING = "secret_change_pending", Conflict;
    SECRET_NOT_APPROVED = "secret_not_approved", Rejected;
    SECRET_READING_DENIED = "secret_reading_denied", Rejected;
    SECRET_REQUEST_UNKNOWN = "secret_request_unknown", Rejected;
    TOO_MANY_OPEN_READINGS = "too_many_open_readings", Conflict;
    SEALING_KEY_MISSING = "sealing_key_missing", Unavailable;
    SEALING_RECORD_INVALID = "sealing_record_invalid", Rejected;
    SEALING_SHARE_INVALID = "sealing_share_invalid", Rejected;
    KMS_REFUSED = "kms_refused", Unavailable;
    KMS_ANSWER_INVALID = "kms_answer_invalid", Unavailable;
    NOT_FOUND = "not_found", Rejected;
    QUERY_INVALID = "query_invalid", Rejected;
    PROJECTION_FAILED = "projection_failed", Unavailable;
    PROJECTION_PARKED = "projection_parked", Unavailable;
    NODE_REJECTED = "node_rejected", Rejected;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_names_its_code_and_a_way_out() {
        for code in ALL {
            assert!(code.page.starts_with(&format!("# {}\n", code.code)), "{code}");
            assert!(
                code.page.contains("**What happened.**") && code.page.contains("**What to try.**"),
                "{code}"
            );
            assert_eq!(find(code.code), Some(*code));
        }
    }

    #[test]
    fn every_page_has_a_code() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/errors");
        for entry in std::fs::read_dir(directory).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(find(name.trim_end_matches(".md")).is_some(), "{name}");
        }
    }
}
