//! The report on an attestation document, for scripts and for people.

use jiff::Timestamp;
use nsl_verify::attestation::{AttestationDocument, Check, Link, Report, TrustRoot, Verdict};
use serde::Serialize;

use super::human::facts;
use crate::error::with_causes;

/// What every check of a document said. Nothing in it counts unless it holds.
#[derive(Debug, Serialize)]
pub(crate) struct ExaminedAttestation {
    holds: bool,
    mode: &'static str,
    judged_at: String,
    root_sha256: String,
    is_private_root: bool,
    verdicts: Vec<JudgedCheck>,
    chain: Vec<ShownLink>,
    document: AttestationDocument,
}

#[derive(Debug, Serialize)]
struct JudgedCheck {
    check: String,
    holds: bool,
    /// What was found.
    finding: String,
}

#[derive(Debug, Serialize)]
struct ShownLink {
    subject: Option<String>,
    not_before: Option<String>,
    not_after: Option<String>,
    is_valid: bool,
    sha256: String,
}

impl ExaminedAttestation {
    pub(crate) fn new(report: Report, trust: TrustRoot) -> Self {
        let holds = report.holds();
        let is_private_root = trust != TrustRoot::aws_nitro();
        let Report { document, judged_at_ms, chain, verdicts } = report;
        Self {
            holds,
            mode: match document.is_debug() {
                Ok(false) => "production",
                Ok(true) => "debug",
                Err(_) => "unknown",
            },
            judged_at: show_ms(judged_at_ms),
            root_sha256: hex::encode(trust.sha256()),
            is_private_root,
            verdicts: verdicts.iter().map(|verdict| judged(verdict, is_private_root)).collect(),
            chain: chain.into_iter().map(shown).collect(),
            document,
        }
    }

    /// The report for people; everything in it that a stranger wrote is escaped.
    pub(crate) fn human(&self) -> String {
        let document = self.document_facts();
        let chain: Vec<_> = self.chain.iter().map(ShownLink::human).collect();
        let checks: Vec<_> = self.verdicts.iter().map(JudgedCheck::human).collect();
        let verdict = match (self.holds, self.is_private_root) {
            (false, _) => "the document does NOT hold: trust nothing in it",
            (true, false) => "the document holds",
            (true, true) => "the document holds under a PRIVATE ROOT: AWS vouches for nothing in it",
        };
        format!(
            "{document}\n\nchain, judged at {}\n{}\n\nchecks\n{}\n\n{verdict}",
            self.judged_at,
            chain.join("\n"),
            checks.join("\n")
        )
    }

    fn document_facts(&self) -> String {
        let document = &self.document;
        let bytes = |bytes: &Option<Vec<u8>>| match bytes.as_deref() {
            None => "none".to_owned(),
            Some([]) => "empty".to_owned(),
            Some(bytes) => hex::encode(bytes),
        };
        let set = document.pcrs.iter().filter(|(_, value)| value.iter().any(|byte| *byte != 0));
        let set: Vec<_> = set.map(|(index, value)| (format!("PCR{index}"), hex::encode(value))).collect();
        let zero = document.pcrs.len() - set.len();
        let mut rows = vec![
            ("made at", show_ms(document.timestamp_ms)),
            ("module", escaped(&document.module_id)),
            ("mode", self.mode.to_owned()),
        ];
        rows.extend(set.iter().map(|(label, value)| (label.as_str(), value.clone())));
        rows.extend([
            ("zero PCRs", zero.to_string()),
            ("public key", bytes(&document.public_key)),
            ("user data", bytes(&document.user_data)),
            ("nonce", bytes(&document.nonce)),
        ]);
        facts(&rows)
    }
}

impl JudgedCheck {
    fn human(&self) -> String {
        format!("{} {:9}  {}", mark(self.holds), self.check, self.finding)
    }
}

impl ShownLink {
    fn human(&self) -> String {
        let subject = self.subject.as_deref().map_or_else(|| "(no readable name)".to_owned(), escaped);
        let validity = match (&self.not_before, &self.not_after) {
            (Some(from), Some(until)) => format!("{from} to {until}"),
            _ => "no readable validity".to_owned(),
        };
        format!("{} {validity}  {subject}", mark(self.is_valid))
    }
}

fn mark(holds: bool) -> char {
    if holds { '✓' } else { '✗' }
}

fn judged(verdict: &Verdict, is_private_root: bool) -> JudgedCheck {
    let finding = match (&verdict.refusal, verdict.check) {
        (Some(refusal), _) => with_causes(refusal),
        (None, Check::Root) if is_private_root => "the PRIVATE ROOT that you gave, not AWS's".to_owned(),
        (None, Check::Root) => "the root of AWS Nitro Enclaves".to_owned(),
        (None, Check::Signature) => "the leaf's key signed this document".to_owned(),
        (None, Check::Path) => "the root vouches for the leaf at that time".to_owned(),
        (None, Check::Mode) => "as demanded".to_owned(),
        (None, Check::Build) => "an allowed build".to_owned(),
        (None, Check::Pcr(_)) => "the expected value".to_owned(),
        (None, Check::Nonce) => "no other than asked for".to_owned(),
    };
    JudgedCheck { check: verdict.check.to_string(), holds: verdict.refusal.is_none(), finding }
}

fn shown(link: Link) -> ShownLink {
    let Link { subject, validity, sha256, is_valid } = link;
    ShownLink {
        subject,
        not_before: validity.map(|validity| show_seconds(validity.not_before_s)),
        not_after: validity.map(|validity| show_seconds(validity.not_after_s)),
        is_valid,
        sha256: hex::encode(sha256),
    }
}

fn show_ms(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(|unix_ms| Timestamp::from_millisecond(unix_ms).ok());
    time.map_or_else(|| format!("{unix_ms} ms since 1970"), |time| time.to_string())
}

fn show_seconds(unix_s: i64) -> String {
    Timestamp::from_second(unix_s).map_or_else(|_| format!("{unix_s} s since 1970"), |time| time.to_string())
}

/// A stranger's text without what a terminal would obey.
fn escaped(text: &str) -> String {
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_wrote_cannot_speak_to_the_terminal() {
        assert_eq!(escaped("i-0\x1b[31m\u{202e}é"), "i-0\\u{1b}[31m\\u{202e}é");
    }

    #[test]
    fn times_beyond_the_calendar_are_numbers() {
        assert_eq!(show_ms(1_766_678_659_346), "2025-12-25T16:04:19.346Z");
        assert_eq!(show_ms(u64::MAX), format!("{} ms since 1970", u64::MAX));
        assert_eq!(show_seconds(i64::MIN), format!("{} s since 1970", i64::MIN));
    }
}
