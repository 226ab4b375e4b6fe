//! The key of AWS KMS that a log's sealing keys rest on, as the genesis manifest names it.

use serde::{Deserialize, Serialize};

use crate::bytes::Base64;

/// Most trust anchors of an endpoint: the ones in use and their successors.
pub const TRUST_ANCHORS_MAX: usize = 4;
/// Longest certificate of a trust anchor: roots have under 2 KiB.
pub const TRUST_ANCHOR_BYTES_MAX: usize = 4096;
/// Longest sealing key as KMS wraps it; KMS takes no longer one.
pub const CIPHERTEXT_BYTES_MAX: usize = 6144;
/// Longest ARN: those of KMS have under 100 characters.
const ARN_BYTES_MAX: usize = 256;
/// Longest host name, by RFC 1035.
const HOST_BYTES_MAX: usize = 253;
/// Longest label of a host name.
const LABEL_BYTES_MAX: usize = 63;
/// Digits of an account.
const ACCOUNT_DIGITS: usize = 12;

/// Why a text names no key or no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not the ARN of one key; an alias leads to whatever key its account says.
    #[error("not arn:PARTITION:kms:REGION:ACCOUNT:key/ID")]
    KeyArn,
    /// Not a host name.
    #[error("not a host name in lower case")]
    HostName,
}

/// Declares a text that is parsed where it is read.
macro_rules! parsed_text {
    ($(#[$doc:meta])+ $name:ident, $is_valid:path, $error:path, $pattern:literal) => {
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses the text.
            pub fn parse(text: &str) -> Result<Self, Error> {
                if $is_valid(text) { Ok(Self(text.to_owned())) } else { Err($error) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(text: String) -> Result<Self, Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(parsed: $name) -> Self {
                parsed.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": $pattern})
            }
        }
    };
}

parsed_text! {
    /// The ARN of a key, `arn:aws:kms:REGION:ACCOUNT:key/ID`.
    KeyArn, is_key_arn, Error::KeyArn,
    "^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$"
}

parsed_text! {
    /// A host name in lower case, as a certificate names it.
    HostName, is_host_name, Error::HostName,
    "^[a-z0-9-]{1,63}(\\.[a-z0-9-]{1,63})*$"
}

impl KeyArn {
    /// The region that the key is used in.
    pub fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }
}

fn is_key_arn(text: &str) -> bool {
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    let is_id = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_account =
        |part: &str| part.len() == ACCOUNT_DIGITS && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.split(':').collect();
    let ["arn", partition, "kms", region, account, key] = parts.as_slice() else { return false };
    text.len() <= ARN_BYTES_MAX
        && is_name(partition)
        && is_name(region)
        && is_account(account)
        && key.strip_prefix("key/").is_some_and(is_id)
}

fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= HOST_BYTES_MAX && text.split('.').all(is_label)
}

/// What must not be forged about KMS: whoever could name another key, another host or another certificate authority could
/// have workers seal with a key of his own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AwsKms {
    /// The host that answers, as its certificate names it: `kms.REGION.amazonaws.com`, or a private endpoint's.
    pub endpoint: HostName,
    /// The key that wraps the log's sealing keys.
    pub key_arn: KeyArn,
    /// DER certificates of the authorities that may vouch for the endpoint; without any, Amazon's own, which each build
    /// brings along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trust_anchors: Vec<Base64>,
}

impl AwsKms {
    /// Whether its trust anchors are within bounds.
    pub fn is_bounded(&self) -> bool {
        self.trust_anchors.len() <= TRUST_ANCHORS_MAX
            && self.trust_anchors.iter().all(|one| one.0.len() <= TRUST_ANCHOR_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_arn_and_by_nothing_that_can_be_moved() {
        let arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        assert_eq!(KeyArn::parse(arn).unwrap().region(), "eu-central-1");
        for wrong in [
            "",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:eu-central-1:111122223333:alias/nsl",
            "arn:aws:s3:eu-central-1:111122223333:key/1",
            "arn:aws:kms:eu-central-1:11112222333:key/1",
            "arn:aws:kms:eu central:111122223333:key/1",
            "arn:aws:kms::111122223333:key/1",
            "arn:aws:kms:eu-central-1:111122223333:key/",
            "arn:aws:kms:eu-central-1:111122223333:key/1:2",
            &format!("arn:aws:kms:eu-central-1:111122223333:key/{}", "1".repeat(ARN_BYTES_MAX)),
        ] {
            assert_eq!(KeyArn::parse(wrong), Err(Error::KeyArn), "{wrong}");
        }
    }

    #[test]
    fn hosts_are_names_in_lower_case() {
        assert!(HostName::parse("kms.eu-central-1.amazonaws.com").is_ok());
        let (long, label) = (["a"; 128].join("."), "a".repeat(64));
        for wrong in ["", ".", "a..b", "KMS.example", "-a", "a-", "a b", "a\r\nb", "a:443", &long, &label] {
            assert_eq!(HostName::parse(wrong), Err(Error::HostName), "{wrong}");
        }
    }
}
