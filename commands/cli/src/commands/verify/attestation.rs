//! `nsl verify attestation`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use jiff::Timestamp;
use nsl_verify::attestation::{
    DOCUMENT_BYTES_MAX, Expectation, NONCE_BYTES_MAX, PCR_COUNT_MAX, Pcr, TrustRoot, VerifyTime, examine,
};

use super::document;
use crate::error::Error;
use crate::files;
use crate::outcome::{ExaminedAttestation, Outcome};
use crate::session::Invocation;

/// Largest file with a document: one in hex, with room for the white space of lines.
const FILE_BYTES_MAX: u64 = 3 * DOCUMENT_BYTES_MAX as u64;
/// Largest file with a root certificate: one, in PEM with comments.
const ROOT_BYTES_MAX: u64 = 16 * 1024;

/// Check an AWS Nitro attestation document and report on each check.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0 only when every check holds. Measurements are checked where --pcr names them; \
                        compare the others in the report with what you built."
)]
pub(crate) struct Attestation {
    /// The document, raw or in hex or base64; - is standard input.
    file: PathBuf,
    /// When its certificates must be valid: when the document was made, now, or at a time as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "document|now|TIME", default_value = "document", value_parser = At::parse)]
    at: At,
    /// Accept an enclave in debug mode, whose operator reads its console.
    #[arg(long)]
    allow_debug: bool,
    /// A register that must have this value, as 0=HEX; may be repeated.
    #[arg(long, value_name = "N=HEX", value_parser = parse_pcr)]
    pcr: Vec<(u8, Pcr)>,
    /// The challenge that the document must carry.
    #[arg(long, value_name = "HEX", value_parser = parse_nonce)]
    nonce: Option<Nonce>,
    /// Trust this certificate, DER or PEM, INSTEAD of AWS's root: for a private PKI, in development builds only.
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
}

impl Attestation {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let trust = self.root.as_deref().map_or(Ok(TrustRoot::aws_nitro()), private_root)?;
        let expectation = Expectation {
            pcrs: expected_pcrs(&self.pcr)?,
            nonce: self.nonce.map(|nonce| nonce.0),
            allow_debug: self.allow_debug,
            ..Expectation::default()
        };
        let document = document::decode(files::read_or_stdin(self.file, FILE_BYTES_MAX).await?);
        let report =
            examine(&document, &expectation, &trust, self.at.resolve()).map_err(Error::Attestation)?;
        let holds = report.holds();
        let outcome = Outcome::AttestationExamined(Box::new(ExaminedAttestation::new(report, trust)));
        if holds {
            return Ok(outcome);
        }
        // The report tells what does not hold, so it is data also then.
        invocation.shell.outcome(&outcome)?;
        Err(Error::AttestationRefused)
    }
}

/// When certificates must be valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Document,
    Now,
    Time(u64),
}

impl At {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "document" => Ok(Self::Document),
            "now" => Ok(Self::Now),
            time => {
                let time: Timestamp = time.parse().map_err(|error| format!("{error}"))?;
                let unix_ms = u64::try_from(time.as_millisecond());
                unix_ms.map(Self::Time).map_err(|_| "expected a time since 1970".to_owned())
            }
        }
    }

    fn resolve(self) -> VerifyTime {
        match self {
            Self::Document => VerifyTime::Document,
            Self::Time(unix_ms) => VerifyTime::At(unix_ms),
            Self::Now => {
                // A clock before 1970 or after the year 584,000,000 finds no certificate valid, which is right.
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                VerifyTime::At(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
            }
        }
    }
}

/// A challenge; a type of its own, because clap takes a `Vec` for repeated values.
#[derive(Debug, Clone)]
struct Nonce(Vec<u8>);

fn parse_nonce(text: &str) -> Result<Nonce, String> {
    let nonce = hex::decode(text).map_err(|error| error.to_string())?;
    if nonce.len() > NONCE_BYTES_MAX {
        return Err(format!("a nonce has at most {NONCE_BYTES_MAX} bytes"));
    }
    Ok(Nonce(nonce))
}

fn parse_pcr(text: &str) -> Result<(u8, Pcr), String> {
    let (index, value) = text.split_once('=').ok_or("expected N=HEX, as 0=1f2e…")?;
    let index = index.parse().ok().filter(|index| usize::from(*index) < PCR_COUNT_MAX);
    let index = index.ok_or_else(|| format!("registers are 0 to {}", PCR_COUNT_MAX - 1))?;
    let mut pcr = [0; size_of::<Pcr>()];
    hex::decode_to_slice(value, &mut pcr)
        .map_err(|_| format!("a register is {} hex digits", 2 * pcr.len()))?;
    Ok((index, pcr))
}

fn expected_pcrs(given: &[(u8, Pcr)]) -> Result<BTreeMap<u8, Pcr>, Error> {
    let mut pcrs = BTreeMap::new();
    for (index, value) in given {
        if pcrs.insert(*index, *value).is_some() {
            return Err(Error::Input(format!("--pcr {index} is given twice")));
        }
    }
    Ok(pcrs)
}

fn private_root(path: &Path) -> Result<TrustRoot, Error> {
    let sha256 = document::certificate_sha256(&files::read(path, ROOT_BYTES_MAX)?)
        .map_err(|what| Error::Input(format!("{} {what}", path.display())))?;
    TrustRoot::from_sha256(sha256).map_err(Error::Attestation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_named_or_given() {
        for (text, expected) in [
            ("document", Some(At::Document)),
            ("now", Some(At::Now)),
            ("1970-01-01T00:00:01Z", Some(At::Time(1000))),
            ("2026-01-31T12:00:00.5+01:00", Some(At::Time(1_769_857_200_500))),
            ("1969-01-01T00:00:00Z", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(At::parse(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn registers_are_given_once_and_whole() {
        let value = "ab".repeat(48);
        assert_eq!(parse_pcr(&format!("31={value}")), Ok((31, [0xab; 48])));
        for wrong in ["", "0", "0=", "32=", "-1=ab", &value, &format!("32={value}"), &format!("0={value}ab")]
        {
            assert!(parse_pcr(wrong).is_err(), "{wrong}");
        }
        assert!(expected_pcrs(&[(0, [0; 48]), (0, [0; 48])]).is_err());
    }

    #[test]
    fn a_nonce_is_bounded_hex() {
        assert_eq!(parse_nonce("00ff").unwrap().0, [0, 0xff]);
        assert!(parse_nonce("0").is_err() && parse_nonce(&"00".repeat(NONCE_BYTES_MAX + 1)).is_err());
    }
}
