//! What a wallet may do, and a transfer at every bound of that.

use nsl_schemas::authority::Signed;
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::number::{Amount, Datoshi};
use nsl_schemas::policy::{AssetRule, Policy, PolicyChange, Rules};
use nsl_schemas::token::AggregateId;

use crate::{OWNER, acme, key, quorum};

/// GAS, as the chain names it.
pub const GAS: &str = "0xd2a4cff31913016155e38e474a2c06d08be276cf";
/// A private network.
pub const NETWORK_MAGIC: u32 = 5_195_086;
/// The only address that a [`policy`] lets wallets pay.
pub const RECIPIENT: &str = "NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP";

/// [`OWNER`] may change it; at most 100 datoshi of GAS to [`RECIPIENT`], and 10 of fees.
pub fn policy() -> Policy {
    Policy {
        owners: quorum(1, &[OWNER]),
        network_magic: NETWORK_MAGIC,
        assets: vec![AssetRule { asset: GAS.into(), amount_max: Amount(100) }],
        recipients: Some(vec![RECIPIENT.into()]),
        fee_max_datoshi: Datoshi(10),
        rules: Rules::default(),
    }
}

/// All that [`policy`] allows at once.
pub fn transfer() -> RequestTransfer {
    RequestTransfer {
        network_magic: NETWORK_MAGIC,
        asset: GAS.into(),
        to: RECIPIENT.into(),
        amount: Amount(100),
        system_fee_datoshi: Datoshi(6),
        network_fee_datoshi: Datoshi(4),
        valid_until_block: 100,
    }
}

/// The change of wallet `main` from `previous` to `next`, signed by the key of this number.
pub fn change(previous: &Policy, next: Policy, owner: u8) -> Signed<PolicyChange> {
    let wallet = AggregateId::parse("main").unwrap();
    let statement = PolicyChange { tenant: acme(), wallet, previous_sha256: previous.sha256(), policy: next };
    Signed::sign(statement, &[&key(owner)])
}
