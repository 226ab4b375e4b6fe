//! Pages of the errors that this program itself finds; those of the service are in `nsl_schemas::errors`. A code
//! without a page does not compile.

/// One code of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LocalCode {
    /// The code as it is shown.
    pub(crate) code: &'static str,
    /// What happened, why, what to try; Markdown.
    pub(crate) page: &'static str,
}

macro_rules! local_codes {
    ($($constant:ident = $code:literal;)+) => {
        $(pub(crate) const $constant: LocalCode =
            LocalCode { code: $code, page: include_str!(concat!("pages/", $code, ".md")) };)+

        /// Every code.
        pub(crate) const ALL: &[LocalCode] = &[$($constant),+];
    };
}

local_codes! {
    ADDRESS_MISMATCH = "address_mismatch";
    ANSWER_INVALID = "answer_invalid";
    BIRTH_INVALID = "birth_invalid";
    CONNECTION_DENIED = "connection_denied";
    CONNECTION_FAILED = "connection_failed";
    CONTEXT_EXISTS = "context_exists";
    CONTEXT_INVALID = "context_invalid";
    CONTEXT_MISSING = "context_missing";
    CONTEXT_UNKNOWN = "context_unknown";
    DOCUMENT_INVALID = "document_invalid";
    FILE_UNUSABLE = "file_unusable";
    GENESIS_INVALID = "genesis_invalid";
    GENESIS_MISSING = "genesis_missing";
    INPUT_INVALID = "input_invalid";
    INTERRUPTED = "interrupted";
    ISSUER_MISSING = "issuer_missing";
    LOG_GAP = "log_gap";
    OUTCOME_UNKNOWN = "outcome_unknown";
    REQUEST_EXPIRED = "request_expired";
    RESULT_UNKNOWN = "result_unknown";
    SEED_INVALID = "seed_invalid";
    TIMED_OUT = "timed_out";
    TRANSFER_EXPIRED = "transfer_expired";
    TRANSFER_FAULTED = "transfer_faulted";
}

/// The page of a code, the service's or this program's.
pub(crate) fn find(code: &str) -> Option<&'static str> {
    let local = || ALL.iter().find(|known| known.code == code).map(|known| known.page);
    nsl_schemas::errors::find(code).map(|known| known.page).or_else(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_names_its_code_and_a_way_out() {
        for LocalCode { code, page } in ALL {
            assert!(page.starts_with(&format!("# {code}\n")), "{code}");
            assert!(page.contains("**What happened.**") && page.contains("**What to try.**"), "{code}");
            assert_eq!(find(code), Some(*page), "{code} is also a code of the service");
        }
    }

    #[test]
    fn every_page_has_a_code() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pages");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(find(name.trim_end_matches(".md")).is_some(), "{name}");
        }
    }
}
