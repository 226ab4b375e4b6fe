//! Transaction attributes: priority, oracle answers, validity windows, conflicts and notary assistance.

use std::mem;

use crate::binary::{self, Reader, write_bytes};
use crate::hash::Hash256;

/// Longest answer of an oracle (protocol).
pub const ORACLE_RESULT_BYTES_LIMIT: usize = 65_535;

mod kind {
    pub(super) const HIGH_PRIORITY: u8 = 0x01;
    pub(super) const ORACLE_RESPONSE: u8 = 0x11;
    pub(super) const NOT_VALID_BEFORE: u8 = 0x20;
    pub(super) const CONFLICTS: u8 = 0x21;
    pub(super) const NOTARY_ASSISTED: u8 = 0x22;
}

/// Why an attribute is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not an encoding of an attribute.
    #[error("attribute: {0}")]
    Binary(#[from] binary::Error),
    /// The attribute's kind is unknown.
    #[error("unknown attribute {0:#04x}")]
    Unknown(u8),
    /// The oracle's code is unknown.
    #[error("unknown oracle response code {0:#04x}")]
    UnknownOracleCode(u8),
    /// Only a successful oracle answer has a result.
    #[error("an oracle response that failed carries a result")]
    ResultOfFailure,
    /// The result is over the limit.
    #[error("an oracle result has at most 65535 bytes, not {0}")]
    ResultTooLong(usize),
}

/// Something that changes how a transaction is treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// The committee's transactions go first.
    HighPriority,
    /// The answer to an oracle request.
    OracleResponse {
        /// The request.
        id: u64,
        /// How it ended.
        code: OracleCode,
        /// The answer; empty unless it succeeded.
        result: Vec<u8>,
    },
    /// Invalid before this height.
    NotValidBefore(u32),
    /// Excludes this transaction and is excluded by it.
    Conflicts(Hash256),
    /// A notary collects the missing signatures.
    NotaryAssisted {
        /// Keys whose signatures are to be collected.
        key_count: u8,
    },
}

/// How an oracle request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum OracleCode {
    /// An answer was found.
    Success = 0x00,
    /// The URL's protocol is not supported.
    ProtocolNotSupported = 0x10,
    /// The nodes did not agree.
    ConsensusUnreachable = 0x12,
    /// There is no such resource.
    NotFound = 0x14,
    /// The resource did not answer in time.
    Timeout = 0x16,
    /// The resource refused.
    Forbidden = 0x18,
    /// The answer is too large.
    ResponseTooLarge = 0x1A,
    /// The request's gas does not cover the answer.
    InsufficientFunds = 0x1C,
    /// The answer's content type is not supported.
    ContentTypeNotSupported = 0x1F,
    /// Anything else.
    Error = 0xFF,
}

impl OracleCode {
    const ALL: [Self; 10] = [
        Self::Success,
        Self::ProtocolNotSupported,
        Self::ConsensusUnreachable,
        Self::NotFound,
        Self::Timeout,
        Self::Forbidden,
        Self::ResponseTooLarge,
        Self::InsufficientFunds,
        Self::ContentTypeNotSupported,
        Self::Error,
    ];

    fn from_byte(byte: u8) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|code| *code as u8 == byte).ok_or(Error::UnknownOracleCode(byte))
    }
}

impl Attribute {
    /// Whether two attributes may not stand in one transaction: only conflicts may be given several times.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        !matches!(self, Self::Conflicts(_)) && mem::discriminant(self) == mem::discriminant(other)
    }

    /// Refuses what a node would refuse.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        match self {
            Self::OracleResponse { code, result, .. }
                if *code != OracleCode::Success && !result.is_empty() =>
            {
                Err(Error::ResultOfFailure)
            }
            Self::OracleResponse { result, .. } if result.len() > ORACLE_RESULT_BYTES_LIMIT => {
                Err(Error::ResultTooLong(result.len()))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::HighPriority => out.push(kind::HIGH_PRIORITY),
            Self::OracleResponse { id, code, result } => {
                out.push(kind::ORACLE_RESPONSE);
                out.extend(id.to_le_bytes());
                out.push(*code as u8);
                write_bytes(out, result);
            }
            Self::NotValidBefore(height) => {
                out.push(kind::NOT_VALID_BEFORE);
                out.extend(height.to_le_bytes());
            }
            Self::Conflicts(hash) => {
                out.push(kind::CONFLICTS);
                out.extend_from_slice(hash.as_le_bytes());
            }
            Self::NotaryAssisted { key_count } => out.extend([kind::NOTARY_ASSISTED, *key_count]),
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let attribute = match reader.byte("attribute")? {
            kind::HIGH_PRIORITY => Self::HighPriority,
            kind::ORACLE_RESPONSE => Self::OracleResponse {
                id: reader.u64("oracle request")?,
                code: OracleCode::from_byte(reader.byte("oracle response code")?)?,
                result: reader.bytes("oracle result", ORACLE_RESULT_BYTES_LIMIT)?.to_vec(),
            },
            kind::NOT_VALID_BEFORE => Self::NotValidBefore(reader.u32("not-valid-before height")?),
            kind::CONFLICTS => {
                Self::Conflicts(Hash256::from_le_bytes(reader.array("conflicting transaction")?))
            }
            kind::NOTARY_ASSISTED => Self::NotaryAssisted { key_count: reader.byte("notary key count")? },
            other => return Err(Error::Unknown(other)),
        };
        attribute.validate()?;
        Ok(attribute)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn any_attribute() -> impl Strategy<Value = Attribute> {
        let code = (0..OracleCode::ALL.len()).prop_map(|index| OracleCode::ALL[index]);
        let result = proptest::collection::vec(any::<u8>(), 0..300);
        prop_oneof![
            Just(Attribute::HighPriority),
            (any::<u64>(), code, result).prop_map(|(id, code, result)| {
                let result = if code == OracleCode::Success { result } else { Vec::new() };
                Attribute::OracleResponse { id, code, result }
            }),
            any::<u32>().prop_map(Attribute::NotValidBefore),
            any::<[u8; 32]>().prop_map(|hash| Attribute::Conflicts(Hash256::from_le_bytes(hash))),
            any::<u8>().prop_map(|key_count| Attribute::NotaryAssisted { key_count }),
        ]
    }

    #[test]
    fn malformed_attributes_are_refused_by_name() {
        for (text, error) in [
            ("02", Error::Unknown(2)),
            ("11010000000000000001", Error::UnknownOracleCode(1)),
            ("110100000000000000140101", Error::ResultOfFailure),
        ] {
            let bytes = hex::decode(text).unwrap();
            assert_eq!(Attribute::decode(&mut Reader::new(&bytes)), Err(error), "{text}");
        }
    }

    #[test]
    fn only_conflicts_may_be_given_several_times() {
        let conflict = |byte| Attribute::Conflicts(Hash256::from_le_bytes([byte; 32]));
        assert!(!conflict(1).excludes(&conflict(2)));
        assert!(Attribute::NotValidBefore(1).excludes(&Attribute::NotValidBefore(2)));
        assert!(!Attribute::NotValidBefore(1).excludes(&Attribute::HighPriority));
    }

    proptest! {
        #[test]
        fn attributes_read_back(attribute in any_attribute()) {
            let mut out = Vec::new();
            attribute.encode(&mut out);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(Attribute::decode(&mut reader).unwrap(), attribute);
            prop_assert!(reader.finish().is_ok());
        }
    }
}
