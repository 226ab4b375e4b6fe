//! Whether a policy can be met and changed at all.

use nsl_neo::{Address, Hash160};
use nsl_schemas::policy::{ASSETS_MAX, Policy, RECIPIENTS_MAX};

/// Why a policy may not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// Nobody could ever change it, or a key counts twice.
    #[error("owners: threshold must be 1 to the number of distinct keys, at most 16 keys")]
    Owners,
    /// No asset, too many, or one twice.
    #[error("assets: 1 to {ASSETS_MAX} different assets")]
    Assets,
    /// Not a script hash in canonical form.
    #[error("asset {0:?} is not 0x and 40 lower-case hex digits")]
    Asset(String),
    /// A bound that forbids everything.
    #[error("asset {0:?} has the bound 0")]
    Bound(String),
    /// Too many.
    #[error("recipients: at most {RECIPIENTS_MAX}")]
    Recipients,
    /// Not an address in canonical form.
    #[error("recipient {0:?} is not a Neo N3 address")]
    Recipient(String),
}

/// Checks a policy before it may begin.
pub fn check_sound(policy: &Policy) -> Result<(), Unsound> {
    if !policy.owners.is_sound() {
        return Err(Unsound::Owners);
    }
    let distinct: std::collections::BTreeSet<_> = policy.assets.iter().map(|rule| &rule.asset).collect();
    if !(1..=ASSETS_MAX).contains(&policy.assets.len()) || distinct.len() != policy.assets.len() {
        return Err(Unsound::Assets);
    }
    for rule in &policy.assets {
        if !is_canonical::<Hash160>(&rule.asset) {
            return Err(Unsound::Asset(rule.asset.clone()));
        }
        if rule.amount_max.0 == 0 {
            return Err(Unsound::Bound(rule.asset.clone()));
        }
    }
    let recipients = policy.recipients.as_deref().unwrap_or_default();
    if recipients.len() > RECIPIENTS_MAX {
        return Err(Unsound::Recipients);
    }
    match recipients.iter().find(|address| !is_canonical::<Address>(address)) {
        Some(address) => Err(Unsound::Recipient(address.clone())),
        None => Ok(()),
    }
}

/// Whether `text` is the one text that names its value: rules compare texts.
fn is_canonical<T: std::str::FromStr + std::fmt::Display>(text: &str) -> bool {
    text.parse::<T>().is_ok_and(|value| value.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsl_schemas::authority::Quorum;
    use nsl_schemas::nkey::SigningKey;
    use nsl_schemas::number::{Amount, Datoshi};
    use nsl_schemas::policy::AssetRule;

    const GAS: &str = "0xd2a4cff31913016155e38e474a2c06d08be276cf";

    type Change = fn(&mut Policy);

    fn sound() -> Policy {
        Policy {
            owners: Quorum { threshold: 1, keys: vec![SigningKey::from_seed(&[1; 32]).public()] },
            network_magic: 1,
            assets: vec![AssetRule { asset: GAS.into(), amount_max: Amount(1) }],
            recipients: Some(vec!["NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP".into()]),
            fee_max_datoshi: Datoshi(1),
        }
    }

    #[test]
    fn names_what_is_wrong() {
        assert_eq!(check_sound(&sound()), Ok(()));
        let cases: [(Change, Unsound); 7] = [
            (|p| p.owners.threshold = 2, Unsound::Owners),
            (|p| p.assets.clear(), Unsound::Assets),
            (|p| p.assets.push(p.assets[0].clone()), Unsound::Assets),
            (|p| p.assets[0].asset = GAS.to_uppercase(), Unsound::Asset(GAS.to_uppercase())),
            (|p| p.assets[0].amount_max = Amount(0), Unsound::Bound(GAS.into())),
            (|p| p.recipients = Some(vec![String::new(); 257]), Unsound::Recipients),
            (|p| p.recipients = Some(vec!["NX".into()]), Unsound::Recipient("NX".into())),
        ];
        for (change, expected) in cases {
            let mut policy = sound();
            change(&mut policy);
            assert_eq!(check_sound(&policy), Err(expected));
        }
    }
}
