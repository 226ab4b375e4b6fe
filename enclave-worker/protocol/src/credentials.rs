//! What requests to AWS are signed with. The host has it and tells it to the worker for one request: it says who asks, and
//! what may be asked is decided by the key's policy, by what the worker proves.

use serde::{Deserialize, Serialize};

/// Longest member: session tokens have some 1000 characters, and AWS sets no limit.
pub const MEMBER_BYTES_MAX: usize = 8192;

/// Credentials of an AWS principal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsCredentials {
    /// Names the key that signs.
    pub access_key_id: String,
    /// The key that signs.
    pub secret_access_key: String,
    /// Goes with temporary keys, as those of an instance's role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<String>,
}

impl AwsCredentials {
    /// Whether every member can stand in a header: visible ASCII within bounds.
    pub fn is_sound(&self) -> bool {
        let is_sound = |text: &str| {
            (1..=MEMBER_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        // A slash would move the bounds of the scope that the id stands in front of.
        is_sound(&self.access_key_id)
            && self.access_key_id.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && is_sound(&self.secret_access_key)
            && self.session_token.as_deref().is_none_or(is_sound)
    }
}

impl std::fmt::Debug for AwsCredentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "AwsCredentials({})", self.access_key_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> AwsCredentials {
        let session_token = Some("token/+==".to_owned());
        let (access_key_id, secret_access_key) = ("AKIDEXAMPLE".to_owned(), "secret/+".to_owned());
        AwsCredentials { access_key_id, secret_access_key, session_token }
    }

    #[test]
    fn what_would_break_a_header_is_not_sound() {
        assert!(credentials().is_sound());
        let token = |text: &str| AwsCredentials { session_token: Some(text.into()), ..credentials() };
        for wrong in [
            token(""),
            token("a\r\nHost: other"),
            token("a b"),
            token(&"a".repeat(MEMBER_BYTES_MAX + 1)),
            AwsCredentials { access_key_id: "AKID/20150830".into(), ..credentials() },
            AwsCredentials { secret_access_key: String::new(), ..credentials() },
        ] {
            assert!(!wrong.is_sound(), "{wrong:?}");
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert_eq!(format!("{:?}", credentials()), "AwsCredentials(AKIDEXAMPLE)");
    }
}
