//! AWS Signature Version 4 of one request without a query: who asks, for one day, region and service.

use std::fmt::Write as _;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use nsl_enclave_protocol::AwsCredentials;
use nsl_schemas::bytes::Sha256;
use time::OffsetDateTime;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";

/// What a signature is good for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    /// As [`timestamp`] writes it.
    pub(super) timestamp: &'a str,
}

/// `YYYYMMDDTHHMMSSZ` of a time in Unix ms; of 1970 where there is no such date.
pub(super) fn timestamp(now_ms: u64) -> String {
    let seconds = i64::try_from(now_ms / 1000).unwrap_or_default();
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute, second) = at.to_hms();
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The `Authorization` of a request. Headers have names in lower case, in alphabetical order, and values without spaces
/// around them; all of them are signed.
pub(super) fn authorization(
    credentials: &AwsCredentials,
    scope: Scope<'_>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> String {
    let mut canonical = format!("{method}\n{path}\n\n");
    for (name, value) in headers {
        // Writing to a string does not fail.
        let _ = writeln!(canonical, "{name}:{value}");
    }
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let _ = write!(canonical, "\n{names}\n{}", Sha256::of(body));
    let Scope { region, service, timestamp } = scope;
    let day = timestamp.split('T').next().unwrap_or_default();
    let bounds = format!("{day}/{region}/{service}/{TERMINATOR}");
    let to_sign = format!("{ALGORITHM}\n{timestamp}\n{bounds}\n{}", Sha256::of(canonical.as_bytes()));
    let secret = format!("AWS4{}", credentials.secret_access_key);
    let key = [day, region, service, TERMINATOR]
        .iter()
        .fold(secret.into_bytes(), |key, part| mac(&key, part.as_bytes()));
    let signature = hex::encode(mac(&key, to_sign.as_bytes()));
    let id = &credentials.access_key_id;
    format!("{ALGORITHM} Credential={id}/{bounds}, SignedHeaders={names}, Signature={signature}")
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, key), message).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the test suite that AWS publishes: its credentials, time, region and service, and the session token.
    const TIMESTAMP: &str = "20150830T123600Z";
    const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    fn signature(method: &str, more: &[(&str, &str)], body: &str) -> String {
        let credentials = AwsCredentials {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
        };
        let scope = Scope { region: "us-east-1", service: "service", timestamp: TIMESTAMP };
        let mut headers = vec![("host", "example.amazonaws.com"), ("x-amz-date", TIMESTAMP)];
        headers.extend_from_slice(more);
        headers.sort_unstable();
        let authorization = authorization(&credentials, scope, method, "/", &headers, body.as_bytes());
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let head = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={}, Signature=",
            names.join(";")
        );
        authorization.strip_prefix(&head).unwrap().to_owned()
    }

    #[test]
    fn requests_are_signed_as_the_published_test_suite_says() {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        for (name, signed, expected) in [
            (
                "get-vanilla",
                signature("GET", &[], ""),
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "post-vanilla",
                signature("POST", &[], ""),
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-sts-header-before",
                signature("POST", &[("x-amz-security-token", TOKEN)], ""),
                "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            ),
            (
                "post-x-www-form-urlencoded",
                signature("POST", &form, "Param1=value1"),
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ] {
            assert_eq!(signed, expected, "{name}");
        }
    }

    #[test]
    fn times_are_written_without_separators() {
        assert_eq!(timestamp(1_440_938_160_999), TIMESTAMP);
        assert_eq!(timestamp(0), "19700101T000000Z");
        assert_eq!(timestamp(u64::MAX), "19700101T000000Z");
    }
}
