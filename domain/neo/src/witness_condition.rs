//! Witness rules: when a signer's witness counts inside a transaction.

use crate::binary::{self, Reader, write_length};
use crate::hash::Hash160;
use crate::public_key::{self, PUBLIC_KEY_BYTES, PublicKey};

/// Most conditions inside one `And` or `Or` (protocol).
pub const CONDITION_OPERANDS_LIMIT: usize = 16;

/// Levels of conditions, the innermost counted (protocol).
pub const CONDITION_DEPTH_LIMIT: usize = 3;

mod kind {
    pub(super) const BOOLEAN: u8 = 0x00;
    pub(super) const NOT: u8 = 0x01;
    pub(super) const AND: u8 = 0x02;
    pub(super) const OR: u8 = 0x03;
    pub(super) const SCRIPT_HASH: u8 = 0x18;
    pub(super) const GROUP: u8 = 0x19;
    pub(super) const CALLED_BY_ENTRY: u8 = 0x20;
    pub(super) const CALLED_BY_CONTRACT: u8 = 0x28;
    pub(super) const CALLED_BY_GROUP: u8 = 0x29;
}

/// Why a rule is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not an encoding of a rule.
    #[error("witness rule: {0}")]
    Binary(#[from] binary::Error),
    /// The action is neither deny nor allow.
    #[error("unknown witness rule action {0:#04x}")]
    UnknownAction(u8),
    /// The condition's kind is unknown.
    #[error("unknown witness condition {0:#04x}")]
    UnknownCondition(u8),
    /// A truth value is neither 0 nor 1.
    #[error("a boolean condition is 0 or 1, not {0}")]
    NotBoolean(u8),
    /// Conditions are nested too deeply.
    #[error("witness conditions have at most 3 levels")]
    TooDeep,
    /// `And` or `Or` has no or too many operands.
    #[error("a combined condition has 1 to 16 operands, not {0}")]
    OperandCount(usize),
    /// A group is not a public key.
    #[error("group of a witness condition")]
    Group(#[source] public_key::Error),
}

/// What a rule does when its condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleAction {
    /// The witness does not count.
    Deny,
    /// The witness counts.
    Allow,
}

/// A condition and what follows from it; the first rule that holds decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessRule {
    /// What follows.
    pub action: RuleAction,
    /// When it follows.
    pub condition: WitnessCondition,
}

/// A condition on who is executing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessCondition {
    /// Always or never.
    Boolean(bool),
    /// The opposite.
    Not(Box<WitnessCondition>),
    /// All of them.
    And(Vec<WitnessCondition>),
    /// One of them.
    Or(Vec<WitnessCondition>),
    /// The executing contract is this one.
    ScriptHash(Hash160),
    /// The executing contract belongs to this group.
    Group(PublicKey),
    /// The executing contract is the entry script or was called by it.
    CalledByEntry,
    /// The caller is this contract.
    CalledByContract(Hash160),
    /// The caller belongs to this group.
    CalledByGroup(PublicKey),
}

impl WitnessRule {
    /// Refuses what a node would refuse.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.condition.validate(CONDITION_DEPTH_LIMIT)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self.action {
            RuleAction::Deny => 0,
            RuleAction::Allow => 1,
        });
        self.condition.encode(out);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let action = match reader.byte("witness rule action")? {
            0 => RuleAction::Deny,
            1 => RuleAction::Allow,
            other => return Err(Error::UnknownAction(other)),
        };
        Ok(Self { action, condition: WitnessCondition::decode(reader, CONDITION_DEPTH_LIMIT)? })
    }
}

impl WitnessCondition {
    fn validate(&self, levels_left: usize) -> Result<(), Error> {
        let below = levels_left.checked_sub(1).ok_or(Error::TooDeep)?;
        match self {
            Self::Not(operand) => operand.validate(below),
            Self::And(operands) | Self::Or(operands) => {
                check_operand_count(operands.len())?;
                operands.iter().try_for_each(|operand| operand.validate(below))
            }
            _ => Ok(()),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Boolean(value) => out.extend([kind::BOOLEAN, u8::from(*value)]),
            Self::Not(operand) => {
                out.push(kind::NOT);
                operand.encode(out);
            }
            Self::And(operands) => encode_operands(out, kind::AND, operands),
            Self::Or(operands) => encode_operands(out, kind::OR, operands),
            Self::ScriptHash(hash) => encode_with(out, kind::SCRIPT_HASH, hash.as_le_bytes()),
            Self::Group(key) => encode_with(out, kind::GROUP, key.as_bytes()),
            Self::CalledByEntry => out.push(kind::CALLED_BY_ENTRY),
            Self::CalledByContract(hash) => encode_with(out, kind::CALLED_BY_CONTRACT, hash.as_le_bytes()),
            Self::CalledByGroup(key) => encode_with(out, kind::CALLED_BY_GROUP, key.as_bytes()),
        }
    }

    fn decode(reader: &mut Reader<'_>, levels_left: usize) -> Result<Self, Error> {
        let below = levels_left.checked_sub(1).ok_or(Error::TooDeep)?;
        Ok(match reader.byte("witness condition")? {
            kind::BOOLEAN => Self::Boolean(match reader.byte("boolean condition")? {
                0 => false,
                1 => true,
                other => return Err(Error::NotBoolean(other)),
            }),
            kind::NOT => Self::Not(Box::new(Self::decode(reader, below)?)),
            kind::AND => Self::And(decode_operands(reader, below)?),
            kind::OR => Self::Or(decode_operands(reader, below)?),
            kind::SCRIPT_HASH => Self::ScriptHash(decode_hash(reader)?),
            kind::GROUP => Self::Group(decode_group(reader)?),
            kind::CALLED_BY_ENTRY => Self::CalledByEntry,
            kind::CALLED_BY_CONTRACT => Self::CalledByContract(decode_hash(reader)?),
            kind::CALLED_BY_GROUP => Self::CalledByGroup(decode_group(reader)?),
            other => return Err(Error::UnknownCondition(other)),
        })
    }
}

fn check_operand_count(count: usize) -> Result<(), Error> {
    if count == 0 || count > CONDITION_OPERANDS_LIMIT { Err(Error::OperandCount(count)) } else { Ok(()) }
}

fn encode_with(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend_from_slice(bytes);
}

fn encode_operands(out: &mut Vec<u8>, kind: u8, operands: &[WitnessCondition]) {
    out.push(kind);
    write_length(out, operands.len());
    for operand in operands {
        operand.encode(out);
    }
}

fn decode_operands(reader: &mut Reader<'_>, levels_left: usize) -> Result<Vec<WitnessCondition>, Error> {
    let count = reader.length("operands of a witness condition", CONDITION_OPERANDS_LIMIT)?;
    check_operand_count(count)?;
    (0..count).map(|_| WitnessCondition::decode(reader, levels_left)).collect()
}

fn decode_hash(reader: &mut Reader<'_>) -> Result<Hash160, Error> {
    Ok(Hash160::from_le_bytes(reader.array("hash of a witness condition")?))
}

fn decode_group(reader: &mut Reader<'_>) -> Result<PublicKey, Error> {
    let bytes = reader.array::<PUBLIC_KEY_BYTES>("group of a witness condition")?;
    PublicKey::from_bytes(&bytes).map_err(Error::Group)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::test_keys;
    use proptest::prelude::*;

    pub(crate) fn any_public_key() -> impl Strategy<Value = PublicKey> {
        (1_u8..=6).prop_map(|number| test_keys::key(number).public_key())
    }

    pub(crate) fn any_hash160() -> impl Strategy<Value = Hash160> {
        any::<[u8; 20]>().prop_map(Hash160::from_le_bytes)
    }

    fn any_condition() -> impl Strategy<Value = WitnessCondition> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(WitnessCondition::Boolean),
            any_hash160().prop_map(WitnessCondition::ScriptHash),
            any_public_key().prop_map(WitnessCondition::Group),
            Just(WitnessCondition::CalledByEntry),
            any_hash160().prop_map(WitnessCondition::CalledByContract),
            any_public_key().prop_map(WitnessCondition::CalledByGroup),
        ];
        // Two levels over the leaves: three in all.
        leaf.prop_recursive(2, 12, 3, |inner| {
            let operands = proptest::collection::vec(inner.clone(), 1..4);
            prop_oneof![
                inner.prop_map(|operand| WitnessCondition::Not(Box::new(operand))),
                operands.clone().prop_map(WitnessCondition::And),
                operands.prop_map(WitnessCondition::Or),
            ]
        })
    }

    pub(crate) fn any_rule() -> impl Strategy<Value = WitnessRule> {
        let action = prop_oneof![Just(RuleAction::Deny), Just(RuleAction::Allow)];
        (action, any_condition()).prop_map(|(action, condition)| WitnessRule { action, condition })
    }

    fn decoded(text: &str) -> Result<WitnessRule, Error> {
        WitnessRule::decode(&mut Reader::new(&hex::decode(text).unwrap()))
    }

    #[test]
    fn malformed_rules_are_refused_by_name() {
        for (text, error) in [
            ("0220", Error::UnknownAction(2)),
            ("0104", Error::UnknownCondition(4)),
            ("010002", Error::NotBoolean(2)),
            ("010200", Error::OperandCount(0)),
            ("0101010101", Error::TooDeep),
            (
                "010211",
                Error::Binary(binary::Error::TooLong {
                    what: "operands of a witness condition",
                    length: 17,
                    limit: 16,
                }),
            ),
        ] {
            assert_eq!(decoded(text), Err(error), "{text}");
        }
        assert!(decoded("0101010001").is_ok(), "three levels are allowed");
    }

    proptest! {
        #[test]
        fn rules_read_back(rule in any_rule()) {
            prop_assert_eq!(rule.validate(), Ok(()));
            let mut out = Vec::new();
            rule.encode(&mut out);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(WitnessRule::decode(&mut reader).unwrap(), rule);
            prop_assert!(reader.finish().is_ok());
        }
    }
}
