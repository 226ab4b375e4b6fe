//! The version that a program prints about itself.

use std::fmt;

/// A version of up to three numbers; missing ones are zero, suffixes (`rc1`, `-dirty`) are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Incompatible changes.
    pub major: u32,
    /// Features.
    pub minor: u32,
    /// Corrections.
    pub patch: u32,
}

impl Version {
    /// A version from its numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// The first word of `output` that starts with a number, with or without a leading `v`.
    pub fn find_in(output: &str) -> Option<Self> {
        output.split_whitespace().find_map(Self::from_word)
    }

    fn from_word(word: &str) -> Option<Self> {
        let mut numbers = [0; 3];
        for (index, component) in word.trim_start_matches('v').split('.').take(3).enumerate() {
            let digits = component.len() - component.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            match component[..digits].parse() {
                Ok(number) => numbers[index] = number,
                Err(_) if index == 0 => return None,
                Err(_) => break,
            }
            if digits < component.len() {
                break;
            }
        }
        Some(Self::new(numbers[0], numbers[1], numbers[2]))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_version_in_what_programs_print() {
        for (output, expected) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some(Version::new(15, 18, 0))),
            ("postgres (PostgreSQL) 17beta1", Some(Version::new(17, 0, 0))),
            ("nats-server: v2.15.1", Some(Version::new(2, 15, 1))),
            ("nats-server: v2.12.0-RC.3", Some(Version::new(2, 12, 0))),
            ("NeoGo\nVersion: 0.120.0\nGoVersion: go1.26.4\n", Some(Version::new(0, 120, 0))),
            ("NeoGo\nVersion: 0.122.0-5-gdeadbeef\n", Some(Version::new(0, 122, 0))),
            ("1.2.3.4", Some(Version::new(1, 2, 3))),
            ("99999999999999.1", None),
            ("version unknown", None),
            ("", None),
        ] {
            assert_eq!(Version::find_in(output), expected, "{output:?}");
        }
    }

    #[test]
    fn orders_by_number_not_by_text() {
        assert!(Version::new(2, 9, 10) < Version::new(2, 12, 0));
        assert!(Version::new(0, 120, 0) < Version::new(0, 120, 1));
    }
}
