//! One policy and a transfer at its bounds, for the tests of every rule.

use nsl_schemas::authority::Quorum;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::number::{Amount, Datoshi};
use nsl_schemas::policy::{AssetRule, Policy, Rules};

use crate::TransferFacts;

pub(crate) const GAS: &str = "0xd2a4cff31913016155e38e474a2c06d08be276cf";
pub(crate) const NEO: &str = "0xef4073a0f2b305a38ec4050e4d3d28bc40ea63f5";
pub(crate) const RECIPIENT: &str = "NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP";
pub(crate) const NOW_MS: u64 = 1_750_000_000_000;

pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

pub(crate) fn quorum(threshold: u8, numbers: &[u8]) -> Quorum {
    Quorum { threshold, keys: numbers.iter().map(|number| key(*number).public()).collect() }
}

pub(crate) fn policy() -> Policy {
    Policy {
        owners: quorum(1, &[1]),
        network_magic: 1,
        assets: vec![AssetRule { asset: GAS.into(), amount_max: Amount(100) }],
        recipients: Some(vec![RECIPIENT.into()]),
        fee_max_datoshi: Datoshi(10),
        rules: Rules::default(),
    }
}

pub(crate) fn with_rules(change: impl FnOnce(&mut Rules)) -> Policy {
    let mut policy = policy();
    change(&mut policy.rules);
    policy
}

pub(crate) fn facts() -> TransferFacts<'static> {
    TransferFacts {
        network_magic: 1,
        asset: GAS,
        recipient: RECIPIENT,
        amount: 100,
        fee_datoshi: 10,
        valid_until_block: 1_000,
        issued_at_ms: NOW_MS,
    }
}

/// Up to `amount` of GAS.
pub(crate) fn up_to(amount: u128) -> Vec<AssetRule> {
    vec![AssetRule { asset: GAS.into(), amount_max: Amount(amount) }]
}
