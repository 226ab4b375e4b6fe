//! Signature Version 4, as the side that checks it: from the header's own words.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use time::OffsetDateTime;

use crate::http::Request;
use crate::refusal::Refusal;

/// How far a request's time may be from ours.
const SKEW_S: i64 = 300;
/// What must be signed, whatever else is.
const SIGNED: [&str; 3] = ["host", "x-amz-date", "x-amz-target"];

/// Who may ask.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Names the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: String,
    /// What goes with it.
    pub session_token: Option<String>,
}

fn incomplete() -> Refusal {
    Refusal::new("IncompleteSignature", "Authorization header is malformed")
}

fn denied(message: &str) -> Refusal {
    Refusal::new("InvalidSignatureException", message)
}

/// Checks that `caller` signed the request for KMS in this region, now.
pub(crate) fn check(request: &Request, caller: &Caller, region: &str) -> Result<(), Refusal> {
    let header = request.header("authorization").ok_or_else(incomplete)?;
    let rest = header.strip_prefix("AWS4-HMAC-SHA256 ").ok_or_else(incomplete)?;
    let part = |name: &str| rest.split(", ").find_map(|part| part.strip_prefix(name)).ok_or_else(incomplete);
    let (credential, names, signature) = (part("Credential=")?, part("SignedHeaders=")?, part("Signature=")?);
    let scope: Vec<&str> = credential.split('/').collect();
    let [id, day, found, "kms", "aws4_request"] = scope.as_slice() else { return Err(incomplete()) };
    if *id != caller.access_key_id
        || request.header("x-amz-security-token") != caller.session_token.as_deref()
    {
        return Err(Refusal::new("UnrecognizedClientException", "The security token included is invalid."));
    }
    if *found != region {
        return Err(denied("Credential should be scoped to a valid region."));
    }
    let stamp = request.header("x-amz-date").ok_or_else(incomplete)?;
    check_time(stamp, day)?;
    let names: Vec<&str> = names.split(';').collect();
    if !SIGNED.iter().all(|name| names.contains(name)) || !names.is_sorted() {
        return Err(denied("a header that must be signed is not"));
    }
    let mut canonical = vec![request.method.clone(), request.path.clone(), String::new()];
    for name in &names {
        canonical.push(format!("{name}:{}", request.header(name).ok_or_else(incomplete)?));
    }
    canonical.extend([String::new(), names.join(";"), sha256_hex(&request.body)]);
    let canonical = sha256_hex(canonical.join("\n").as_bytes());
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{day}/{region}/kms/aws4_request\n{canonical}");
    let mut key = format!("AWS4{}", caller.secret_access_key).into_bytes();
    for part in [day, region, "kms", "aws4_request"] {
        key = mac(&key, part);
    }
    if hex::encode(mac(&key, &to_sign)) == signature {
        Ok(())
    } else {
        Err(denied("The request signature we calculated does not match the signature you provided."))
    }
}

fn check_time(stamp: &str, day: &str) -> Result<(), Refusal> {
    let number = |from: usize, to: usize| stamp.get(from..to).and_then(|digits| digits.parse::<u8>().ok());
    let year = stamp.get(..4).and_then(|digits| digits.parse().ok());
    let at = (|| {
        let month = time::Month::try_from(number(4, 6)?).ok()?;
        let date = time::Date::from_calendar_date(year?, month, number(6, 8)?).ok()?;
        let clock = time::Time::from_hms(number(9, 11)?, number(11, 13)?, number(13, 15)?).ok()?;
        Some(date.with_time(clock).assume_utc())
    })();
    let at = at.ok_or_else(incomplete)?;
    let age_s = (OffsetDateTime::now_utc() - at).whole_seconds();
    if age_s.abs() > SKEW_S || !stamp.starts_with(day) {
        return Err(denied("Signature expired"));
    }
    Ok(())
}

fn mac(key: &[u8], message: &str) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA256, key), message.as_bytes()).as_ref().to_vec()
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}
