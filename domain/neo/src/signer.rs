//! Signers: the accounts that consent to a transaction, and where their consent counts.

use crate::binary::{self, Reader, write_length};
use crate::hash::Hash160;
use crate::public_key::{self, PUBLIC_KEY_BYTES, PublicKey};
use crate::witness_condition::{self, WitnessRule};

/// Most contracts, groups or rules of one signer (protocol).
pub const SCOPE_ITEMS_LIMIT: usize = 16;

mod flag {
    pub(super) const CALLED_BY_ENTRY: u8 = 0x01;
    pub(super) const CUSTOM_CONTRACTS: u8 = 0x10;
    pub(super) const CUSTOM_GROUPS: u8 = 0x20;
    pub(super) const WITNESS_RULES: u8 = 0x40;
    pub(super) const GLOBAL: u8 = 0x80;
    pub(super) const ALL: u8 = CALLED_BY_ENTRY | CUSTOM_CONTRACTS | CUSTOM_GROUPS | WITNESS_RULES | GLOBAL;
}

/// Why a signer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not an encoding of a signer.
    #[error("signer: {0}")]
    Binary(#[from] binary::Error),
    /// A scope flag is unknown.
    #[error("unknown witness scope in {0:#04x}")]
    UnknownScope(u8),
    /// Global excludes all other scopes.
    #[error("global scope combined with others in {0:#04x}")]
    GlobalCombined(u8),
    /// A flag announces a list that is empty.
    #[error("a scope flag is set and its list of {0} is empty")]
    EmptyList(&'static str),
    /// A list is over the limit.
    #[error("a signer has at most 16 {what}, not {count}")]
    TooMany {
        /// What the list holds.
        what: &'static str,
        /// How many there are.
        count: usize,
    },
    /// A group is not a public key.
    #[error("group of a signer")]
    Group(#[source] public_key::Error),
    /// A rule is invalid.
    #[error("rule of a signer")]
    Rule(#[source] witness_condition::Error),
}

/// An account that signs a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The account.
    pub account: Hash160,
    /// Where its witness counts.
    pub scope: WitnessScope,
}

/// Where a witness counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessScope {
    /// In every contract, however it was reached. Dangerous.
    Global,
    /// Where one of the limits holds; with no limit set it only pays fees.
    Limited(ScopeLimits),
}

/// The limits of a scope; an empty list means that the limit is not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeLimits {
    /// In the entry script and the contracts that it calls itself.
    pub called_by_entry: bool,
    /// In these contracts.
    pub contracts: Vec<Hash160>,
    /// In contracts of these groups.
    pub groups: Vec<PublicKey>,
    /// Where the first matching rule allows it.
    pub rules: Vec<WitnessRule>,
}

impl Signer {
    /// A signer whose witness counts in the entry script and the contracts that it calls.
    pub fn called_by_entry(account: Hash160) -> Self {
        let limits = ScopeLimits { called_by_entry: true, ..ScopeLimits::default() };
        Self { account, scope: WitnessScope::Limited(limits) }
    }

    /// A signer that only pays the fees.
    pub fn fee_only(account: Hash160) -> Self {
        Self { account, scope: WitnessScope::Limited(ScopeLimits::default()) }
    }

    /// Refuses what a node would refuse.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let WitnessScope::Limited(limits) = &self.scope else { return Ok(()) };
        for (what, count) in [
            ("contracts", limits.contracts.len()),
            ("groups", limits.groups.len()),
            ("rules", limits.rules.len()),
        ] {
            if count > SCOPE_ITEMS_LIMIT {
                return Err(Error::TooMany { what, count });
            }
        }
        limits.rules.iter().try_for_each(WitnessRule::validate).map_err(Error::Rule)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.account.as_le_bytes());
        match &self.scope {
            WitnessScope::Global => out.push(flag::GLOBAL),
            WitnessScope::Limited(limits) => {
                out.push(limits.flags());
                encode_list(out, &limits.contracts, |out, hash| out.extend_from_slice(hash.as_le_bytes()));
                encode_list(out, &limits.groups, |out, key| out.extend_from_slice(key.as_bytes()));
                encode_list(out, &limits.rules, |out, rule| rule.encode(out));
            }
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let account = Hash160::from_le_bytes(reader.array("signer account")?);
        let flags = reader.byte("signer scope")?;
        if flags & !flag::ALL != 0 {
            return Err(Error::UnknownScope(flags));
        }
        if flags & flag::GLOBAL != 0 {
            return match flags {
                flag::GLOBAL => Ok(Self { account, scope: WitnessScope::Global }),
                _ => Err(Error::GlobalCombined(flags)),
            };
        }
        let mut limits =
            ScopeLimits { called_by_entry: flags & flag::CALLED_BY_ENTRY != 0, ..ScopeLimits::default() };
        if flags & flag::CUSTOM_CONTRACTS != 0 {
            limits.contracts = decode_list(reader, "contracts", |reader| {
                Ok(Hash160::from_le_bytes(reader.array("allowed contract")?))
            })?;
        }
        if flags & flag::CUSTOM_GROUPS != 0 {
            limits.groups = decode_list(reader, "groups", |reader| {
                let bytes = reader.array::<PUBLIC_KEY_BYTES>("allowed group")?;
                PublicKey::from_bytes(&bytes).map_err(Error::Group)
            })?;
        }
        if flags & flag::WITNESS_RULES != 0 {
            limits.rules =
                decode_list(reader, "rules", |reader| WitnessRule::decode(reader).map_err(Error::Rule))?;
        }
        Ok(Self { account, scope: WitnessScope::Limited(limits) })
    }
}

impl ScopeLimits {
    fn flags(&self) -> u8 {
        let set = |condition: bool, flag: u8| if condition { flag } else { 0 };
        set(self.called_by_entry, flag::CALLED_BY_ENTRY)
            | set(!self.contracts.is_empty(), flag::CUSTOM_CONTRACTS)
            | set(!self.groups.is_empty(), flag::CUSTOM_GROUPS)
            | set(!self.rules.is_empty(), flag::WITNESS_RULES)
    }
}

/// An empty list is absent: its flag is not set either.
fn encode_list<T>(out: &mut Vec<u8>, items: &[T], encode: impl Fn(&mut Vec<u8>, &T)) {
    if items.is_empty() {
        return;
    }
    write_length(out, items.len());
    for item in items {
        encode(out, item);
    }
}

fn decode_list<'a, T>(
    reader: &mut Reader<'a>,
    what: &'static str,
    decode: impl Fn(&mut Reader<'a>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let count = reader.length(what, SCOPE_ITEMS_LIMIT)?;
    if count == 0 {
        return Err(Error::EmptyList(what));
    }
    (0..count).map(|_| decode(reader)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::witness_condition::tests::{any_hash160, any_public_key, any_rule};
    use crate::witness_condition::{RuleAction, WitnessCondition};
    use proptest::collection::vec;
    use proptest::prelude::*;

    pub(crate) fn any_signer() -> impl Strategy<Value = Signer> {
        let lists = (vec(any_hash160(), 0..4), vec(any_public_key(), 0..4), vec(any_rule(), 0..4));
        let limited = (any::<bool>(), lists).prop_map(|(called_by_entry, (contracts, groups, rules))| {
            WitnessScope::Limited(ScopeLimits { called_by_entry, contracts, groups, rules })
        });
        (any_hash160(), prop_oneof![1 => Just(WitnessScope::Global), 9 => limited])
            .prop_map(|(account, scope)| Signer { account, scope })
    }

    fn decoded_scope(text: &str) -> Result<Signer, Error> {
        let bytes = hex::decode(format!("{}{text}", "00".repeat(20))).unwrap();
        Signer::decode(&mut Reader::new(&bytes))
    }

    #[test]
    fn malformed_scopes_are_refused_by_name() {
        assert_eq!(decoded_scope("02"), Err(Error::UnknownScope(2)));
        assert_eq!(decoded_scope("81"), Err(Error::GlobalCombined(0x81)));
        assert_eq!(decoded_scope("1000"), Err(Error::EmptyList("contracts")));
        let too_long = binary::Error::TooLong { what: "rules", length: 17, limit: 16 };
        assert_eq!(decoded_scope("4011"), Err(Error::Binary(too_long)));
        let bad_group = format!("200102{}", "ff".repeat(32));
        assert_eq!(decoded_scope(&bad_group), Err(Error::Group(public_key::Error::NotOnCurve)));
        assert_eq!(decoded_scope("00"), Ok(Signer::fee_only(Hash160::from_le_bytes([0; 20]))));
    }

    #[test]
    fn scopes_over_the_limits_are_refused_before_encoding() {
        let account = Hash160::from_le_bytes([1; 20]);
        let limits = ScopeLimits { contracts: vec![account; 17], ..ScopeLimits::default() };
        let signer = Signer { account, scope: WitnessScope::Limited(limits) };
        assert_eq!(signer.validate(), Err(Error::TooMany { what: "contracts", count: 17 }));

        let rule = WitnessRule { action: RuleAction::Allow, condition: WitnessCondition::Or(vec![]) };
        let limits = ScopeLimits { rules: vec![rule], ..ScopeLimits::default() };
        let signer = Signer { account, scope: WitnessScope::Limited(limits) };
        assert_eq!(signer.validate(), Err(Error::Rule(witness_condition::Error::OperandCount(0))));
    }

    proptest! {
        #[test]
        fn signers_read_back(signer in any_signer()) {
            prop_assert_eq!(signer.validate(), Ok(()));
            let mut out = Vec::new();
            signer.encode(&mut out);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(Signer::decode(&mut reader).unwrap(), signer);
            prop_assert!(reader.finish().is_ok());
        }
    }
}
