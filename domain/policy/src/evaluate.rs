//! Whether a policy allows a transfer.

use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::policy::Policy;

/// What a policy judges a transfer by. Texts are in canonical form: parsed and shown again by `nsl-neo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferFacts<'a> {
    /// The network's magic number.
    pub network_magic: u32,
    /// The NEP-17 contract, `0x…`.
    pub asset: &'a str,
    /// The receiving address.
    pub recipient: &'a str,
    /// In the token's smallest unit.
    pub amount: u128,
    /// System and network fee.
    pub fee_datoshi: u128,
}

impl<'a> From<&'a RequestTransfer> for TransferFacts<'a> {
    fn from(transfer: &'a RequestTransfer) -> Self {
        Self {
            network_magic: transfer.network_magic,
            asset: &transfer.asset,
            recipient: &transfer.to,
            amount: transfer.amount.0,
            fee_datoshi: u128::from(transfer.system_fee_datoshi.0)
                + u128::from(transfer.network_fee_datoshi.0),
        }
    }
}

/// Which rule said no. The order is the order of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Another network.
    #[error("the policy is for another network")]
    Network,
    /// Not a listed asset.
    #[error("the policy does not list this asset")]
    Asset,
    /// Zero, or above the bound.
    #[error("the amount is zero or above the bound for one transaction")]
    Amount,
    /// Not a listed recipient.
    #[error("the policy does not list this recipient")]
    Recipient,
    /// Above the bound.
    #[error("the fees together are above the bound")]
    Fee,
}

impl Denied {
    /// The stable code.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Network => errors::NETWORK_NOT_ALLOWED,
            Self::Asset => errors::ASSET_NOT_ALLOWED,
            Self::Amount => errors::AMOUNT_NOT_ALLOWED,
            Self::Recipient => errors::RECIPIENT_NOT_ALLOWED,
            Self::Fee => errors::FEE_NOT_ALLOWED,
        }
    }
}

/// Judges a transfer by every rule, in order.
pub fn evaluate(policy: &Policy, transfer: TransferFacts<'_>) -> Result<(), Denied> {
    if policy.network_magic != transfer.network_magic {
        return Err(Denied::Network);
    }
    let rule = policy.assets.iter().find(|rule| rule.asset == transfer.asset).ok_or(Denied::Asset)?;
    if transfer.amount == 0 || transfer.amount > rule.amount_max.0 {
        return Err(Denied::Amount);
    }
    let is_listed = |listed: &Vec<String>| listed.iter().any(|address| address == transfer.recipient);
    if !policy.recipients.as_ref().is_none_or(is_listed) {
        return Err(Denied::Recipient);
    }
    if transfer.fee_datoshi > u128::from(policy.fee_max_datoshi.0) {
        return Err(Denied::Fee);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsl_schemas::authority::Quorum;
    use nsl_schemas::number::{Amount, Datoshi};
    use nsl_schemas::policy::AssetRule;
    use proptest::prelude::*;

    const GAS: &str = "0xd2a4cff31913016155e38e474a2c06d08be276cf";

    fn policy() -> Policy {
        Policy {
            owners: Quorum { threshold: 1, keys: vec![] },
            network_magic: 1,
            assets: vec![AssetRule { asset: GAS.into(), amount_max: Amount(100) }],
            recipients: Some(vec!["NA".into()]),
            fee_max_datoshi: Datoshi(10),
        }
    }

    fn allowed() -> TransferFacts<'static> {
        TransferFacts { network_magic: 1, asset: GAS, recipient: "NA", amount: 100, fee_datoshi: 10 }
    }

    #[test]
    fn each_rule_says_no_in_its_order() {
        for (facts, expected) in [
            (allowed(), Ok(())),
            (TransferFacts { network_magic: 2, asset: "", ..allowed() }, Err(Denied::Network)),
            (TransferFacts { asset: "0x00", amount: 0, ..allowed() }, Err(Denied::Asset)),
            (TransferFacts { amount: 0, recipient: "NB", ..allowed() }, Err(Denied::Amount)),
            (TransferFacts { amount: 101, ..allowed() }, Err(Denied::Amount)),
            (TransferFacts { recipient: "NB", fee_datoshi: 11, ..allowed() }, Err(Denied::Recipient)),
            (TransferFacts { fee_datoshi: 11, ..allowed() }, Err(Denied::Fee)),
        ] {
            assert_eq!(evaluate(&policy(), facts), expected, "{facts:?}");
        }
        let anyone = Policy { recipients: None, ..policy() };
        assert_eq!(evaluate(&anyone, TransferFacts { recipient: "NB", ..allowed() }), Ok(()));
        let no_one = Policy { recipients: Some(vec![]), ..policy() };
        assert_eq!(evaluate(&no_one, allowed()), Err(Denied::Recipient));
    }

    proptest! {
        #[test]
        fn nothing_above_a_bound_is_allowed(amount: u128, fee_datoshi: u128) {
            let verdict = evaluate(&policy(), TransferFacts { amount, fee_datoshi, ..allowed() });
            prop_assert_eq!(verdict.is_ok(), (1..=100).contains(&amount) && fee_datoshi <= 10);
        }
    }
}
