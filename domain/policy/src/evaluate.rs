//! Whether a policy allows a transfer, by the rules that look at one transaction alone.

use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::policy::Policy;

use crate::rules;

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
    /// The last block that may hold it.
    pub valid_until_block: u32,
    /// When its issuer signed the command, Unix ms; commands from the future are refused before.
    pub issued_at_ms: u64,
}

impl<'a> TransferFacts<'a> {
    /// The facts of a command that was issued at `issued_at_ms`.
    pub fn new(transfer: &'a RequestTransfer, issued_at_ms: u64) -> Self {
        Self {
            network_magic: transfer.network_magic,
            asset: &transfer.asset,
            recipient: &transfer.to,
            amount: transfer.amount.0,
            fee_datoshi: u128::from(transfer.system_fee_datoshi.0)
                + u128::from(transfer.network_fee_datoshi.0),
            valid_until_block: transfer.valid_until_block,
            issued_at_ms,
        }
    }
}

/// Which rule said no.
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
    /// Not a listed contract.
    #[error("the policy does not list this contract")]
    Contract,
    /// Not a listed method.
    #[error("the policy does not list this method of the contract")]
    Method,
    /// Not a listed scope.
    #[error("the policy does not list the scope of the wallet's witness")]
    Scope,
    /// Too far ahead.
    #[error("the last block is further ahead than the policy allows")]
    LastBlock,
    /// Too few approvals that count.
    #[error("too few approvers approved")]
    Approvals,
    /// An approval that does not count.
    #[error("the approval is of something else, by nobody who may approve, or no longer in force")]
    Approval,
    /// The sum in a window would be above its bound.
    #[error("the amount would exceed the bound for its window")]
    AmountWindow,
    /// As many signatures as a window allows.
    #[error("the window has as many signatures as it may")]
    SignatureRate,
    /// As many signatures as there may ever be.
    #[error("the policy's signatures are used up")]
    SignaturesUsedUp,
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
            Self::Contract => errors::CONTRACT_NOT_ALLOWED,
            Self::Method => errors::METHOD_NOT_ALLOWED,
            Self::Scope => errors::SCOPE_NOT_ALLOWED,
            Self::LastBlock => errors::LAST_BLOCK_NOT_ALLOWED,
            Self::Approvals => errors::APPROVALS_MISSING,
            Self::Approval => errors::APPROVAL_INVALID,
            Self::AmountWindow => errors::AMOUNT_WINDOW_EXCEEDED,
            Self::SignatureRate => errors::SIGNATURE_RATE_EXCEEDED,
            Self::SignaturesUsedUp => errors::SIGNATURES_USED_UP,
        }
    }
}

/// Judges a transfer by every rule of one transaction, in order.
pub fn evaluate(policy: &Policy, transfer: TransferFacts<'_>) -> Result<(), Denied> {
    rules::network::check(policy, &transfer)?;
    rules::asset::check(policy, &transfer)?;
    rules::recipient::check(policy, &transfer)?;
    rules::fee::check(policy, &transfer)?;
    rules::contract::check(policy, &transfer)?;
    rules::scope::check(policy)?;
    rules::last_block::check(policy, &transfer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_policy::{NEO, facts, policy, with_rules};
    use nsl_schemas::policy::{ContractRule, LastBlockRule, WitnessScope};
    use proptest::prelude::*;

    #[test]
    fn each_rule_says_no_in_its_order() {
        for (facts, expected) in [
            (facts(), Ok(())),
            (TransferFacts { network_magic: 2, asset: "", ..facts() }, Err(Denied::Network)),
            (TransferFacts { asset: "0x00", amount: 0, ..facts() }, Err(Denied::Asset)),
            (TransferFacts { amount: 0, recipient: "NB", ..facts() }, Err(Denied::Amount)),
            (TransferFacts { amount: 101, ..facts() }, Err(Denied::Amount)),
            (TransferFacts { recipient: "NB", fee_datoshi: 11, ..facts() }, Err(Denied::Recipient)),
            (TransferFacts { fee_datoshi: 11, ..facts() }, Err(Denied::Fee)),
        ] {
            assert_eq!(evaluate(&policy(), facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn rules_that_are_given_come_after_the_bounds_in_their_order() {
        let elsewhere = vec![ContractRule { contract: NEO.into(), methods: vec!["transfer".into()] }];
        let strictest = with_rules(|rules| {
            rules.contracts = Some(elsewhere);
            rules.scopes = Some(vec![WitnessScope::None]);
            rules.last_block = Some(LastBlockRule {
                ahead_max: 1,
                block_ms: 1_000,
                known_block: 0,
                known_block_ms: u64::MAX,
            });
        });
        let judged = |policy: &Policy| evaluate(policy, facts());
        assert_eq!(
            evaluate(&strictest, TransferFacts { fee_datoshi: 11, ..facts() }),
            Err(Denied::Fee),
            "bounds come first"
        );
        assert_eq!(judged(&strictest), Err(Denied::Contract));
        let mut looser = strictest;
        looser.rules.contracts = None;
        assert_eq!(judged(&looser), Err(Denied::Scope));
        looser.rules.scopes = None;
        assert_eq!(judged(&looser), Err(Denied::LastBlock));
        looser.rules.last_block = None;
        assert_eq!(judged(&looser), Ok(()));
    }

    proptest! {
        #[test]
        fn nothing_above_a_bound_is_allowed(amount: u128, fee_datoshi: u128) {
            let verdict = evaluate(&policy(), TransferFacts { amount, fee_datoshi, ..facts() });
            prop_assert_eq!(verdict.is_ok(), (1..=100).contains(&amount) && fee_datoshi <= 10);
        }
    }
}
