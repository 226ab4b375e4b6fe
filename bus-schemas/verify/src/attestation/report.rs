//! What the checks of a document said, each for itself.

use core::fmt;

use super::{AttestationDocument, Error, Link};

/// One check of a document that could be read; they are made in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The first certificate of the bundle is the trusted root.
    Root,
    /// The leaf's key signed the payload.
    Signature,
    /// The root vouches for the leaf, link by link, and each link is valid at the time of verification.
    Path,
    /// The enclave is not in debug mode, or may be.
    Mode,
    /// The measurements are those of an allowed build.
    Build,
    /// A register has the value that is demanded of it.
    Pcr(u8),
    /// The document answers the challenge, if one is demanded.
    Nonce,
}

impl fmt::Display for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => formatter.write_str("root"),
            Self::Signature => formatter.write_str("signature"),
            Self::Path => formatter.write_str("path"),
            Self::Mode => formatter.write_str("mode"),
            Self::Build => formatter.write_str("build"),
            Self::Pcr(index) => write!(formatter, "pcr{index}"),
            Self::Nonce => formatter.write_str("nonce"),
        }
    }
}

/// What one check said.
#[derive(Debug)]
pub struct Verdict {
    /// The check.
    pub check: Check,
    /// Why the document fails it; `None` when it passes.
    pub refusal: Option<Error>,
}

/// What a document says, and what every check of it said.
#[derive(Debug)]
pub struct Report {
    /// What the document says; worth nothing unless the report holds.
    pub document: AttestationDocument,
    /// The time at which the certificates were judged, in milliseconds since the Unix epoch.
    pub judged_at_ms: u64,
    /// The certificates in the document, from the root to the leaf.
    pub chain: Vec<Link>,
    /// The checks in their order.
    pub verdicts: Vec<Verdict>,
}

impl Report {
    /// Whether the document passes every check.
    pub fn holds(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.refusal.is_none())
    }
}
