//! What a certificate says of itself, read from its DER for reports. No verdict rests on it: paths are webpki's.

use aws_lc_rs::digest::{SHA256, digest};

/// DER tags (X.690 §8) of the parts that are read.
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// The context tag of the version, which certificates of version 1 leave out.
const VERSION: u8 = 0xa0;
/// `id-at-commonName`, 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
/// Two-digit years below this one are of the 21st century (RFC 5280 §4.1.2.5.1).
const UTC_TIME_PIVOT_YEAR: i64 = 50;

/// One certificate of a chain, as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The common name of its subject, if it has a readable one.
    pub subject: Option<String>,
    /// When it is valid, if it says so readably.
    pub validity: Option<Validity>,
    /// SHA-256 of its DER.
    pub sha256: [u8; 32],
    /// Whether the time of verification is within its validity.
    pub is_valid: bool,
}

/// When a certificate is valid, in seconds since the Unix epoch, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before_s: i64,
    /// The last second.
    pub not_after_s: i64,
}

impl Validity {
    fn contains(self, time_ms: u64) -> bool {
        i64::try_from(time_ms / 1000)
            .is_ok_and(|time_s| (self.not_before_s..=self.not_after_s).contains(&time_s))
    }
}

impl Link {
    /// Reads as much as can be read.
    pub(super) fn read(der: &[u8], time_ms: u64) -> Self {
        let (validity, subject) = read_certificate(der).unwrap_or_default();
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, der).as_ref());
        Self {
            subject,
            validity,
            sha256,
            is_valid: validity.is_some_and(|validity| validity.contains(time_ms)),
        }
    }
}

/// Reads elements of definite length from the front of a byte slice.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next element's tag and content.
    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let [tag, length] = *self.take(2)?.first_chunk()?;
        let length = match length {
            0..=0x7f => usize::from(length),
            0x81 => usize::from(*self.take(1)?.first()?),
            0x82 => usize::from(u16::from_be_bytes(*self.take(2)?.first_chunk()?)),
            // A certificate in a document has no elements of 64 KiB.
            _ => return None,
        };
        Some((tag, self.take(length)?))
    }

    fn element(&mut self, expected: u8) -> Option<&'a [u8]> {
        self.any().filter(|(tag, _)| *tag == expected).map(|(_, content)| content)
    }

    fn inner(&mut self, expected: u8) -> Option<Self> {
        self.element(expected).map(Self)
    }
}

/// Walks RFC 5280's `TBSCertificate` up to its subject.
fn read_certificate(der: &[u8]) -> Option<(Option<Validity>, Option<String>)> {
    let mut certificate = Reader(der).inner(SEQUENCE)?.inner(SEQUENCE)?;
    if certificate.0.first() == Some(&VERSION) {
        certificate.element(VERSION)?;
    }
    certificate.element(INTEGER)?; // serial number
    certificate.element(SEQUENCE)?; // signature algorithm
    certificate.element(SEQUENCE)?; // issuer
    let mut validity = certificate.inner(SEQUENCE)?;
    let validity = read_time(&mut validity).zip(read_time(&mut validity));
    let validity = validity.map(|(not_before_s, not_after_s)| Validity { not_before_s, not_after_s });
    let subject = certificate.inner(SEQUENCE)?;
    Some((validity, common_name(subject)))
}

fn common_name(mut subject: Reader<'_>) -> Option<String> {
    loop {
        let mut attribute = subject.inner(SET)?.inner(SEQUENCE)?;
        if attribute.element(OBJECT_IDENTIFIER)? == COMMON_NAME {
            let (_kind_of_string, name) = attribute.any()?;
            return String::from_utf8(name.to_vec()).ok();
        }
    }
}

fn read_time(validity: &mut Reader<'_>) -> Option<i64> {
    let (tag, text) = validity.any()?;
    let digits = text.strip_suffix(b"Z")?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year = number(year)?;
            (if year < UTC_TIME_PIVOT_YEAR { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    let (fields, []) = rest.as_chunks::<2>() else { return None };
    let fields: Option<Vec<_>> = fields.iter().map(|digits| number(digits)).collect();
    let [month, day, hour, minute, second] = fields?.try_into().ok()?;
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    let is_time = hour < 24 && minute < 60 && second < 60;
    (is_date && is_time)
        .then(|| ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

fn number(digits: &[u8]) -> Option<i64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// Days of the proleptic Gregorian calendar: years begin in March here, so that the leap day is a year's last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month < 3 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(tag: u8, text: &str) -> Option<i64> {
        let length = u8::try_from(text.len()).unwrap();
        read_time(&mut Reader(&[&[tag, length], text.as_bytes()].concat()))
    }

    #[test]
    fn reads_both_forms_of_time() {
        assert_eq!(time(UTC_TIME, "191028132805Z"), Some(1_572_269_285));
        assert_eq!(time(UTC_TIME, "500101000000Z"), Some(-631_152_000));
        assert_eq!(time(GENERALIZED_TIME, "20491028142805Z"), Some(2_519_044_085));
        assert_eq!(time(GENERALIZED_TIME, "20240229235959Z"), Some(1_709_251_199));
        for unreadable in ["", "Z", "191028132805", "19102813280Z", "191328132805Z", "1910281328+5Z"] {
            assert_eq!(time(UTC_TIME, unreadable), None, "{unreadable}");
        }
        assert_eq!(time(SEQUENCE, "191028132805Z"), None);
    }
}
