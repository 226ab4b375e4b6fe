//! Wallets as a client makes and uses them.

use nsl_client::Client;
use nsl_client::transfer::Transfer;
use nsl_client::wallet::BornWallet;
use nsl_local_services::NETWORK_MAGIC;
use nsl_neo::{Address, Hash160, PublicKey, native};
use nsl_schemas::authority::{GenesisManifest, Quorum};
use nsl_schemas::number::{Amount, Datoshi};
use nsl_schemas::policy::{AssetRule, Policy, Rules};
use nsl_schemas::token::AggregateId;
use uuid::Uuid;

use crate::patience::PATIENCE;

/// Most datoshi that one transfer of these wallets may move: 10 GAS.
pub(crate) const BOUND_DATOSHI: u128 = 10_0000_0000;

/// A policy that lets the issuer move GAS anywhere.
pub(crate) fn policy(client: &Client) -> Policy {
    Policy {
        owners: Quorum { threshold: 1, keys: vec![client.issuer().unwrap().public()] },
        network_magic: NETWORK_MAGIC,
        assets: vec![AssetRule { asset: native::GAS.to_string(), amount_max: Amount(BOUND_DATOSHI) }],
        recipients: None,
        fee_max_datoshi: Datoshi(1_0000_0000),
        rules: Rules::default(),
    }
}

/// A wallet id that no other test has.
pub(crate) fn fresh_id() -> AggregateId {
    AggregateId::parse(&format!("w-{}", Uuid::now_v7().simple())).unwrap()
}

/// Creates a wallet and checks its birth.
pub(crate) async fn create(client: &Client, genesis: &GenesisManifest) -> BornWallet {
    create_under(client, genesis, &policy(client)).await
}

/// Creates a wallet under another policy.
pub(crate) async fn create_under(client: &Client, genesis: &GenesisManifest, policy: &Policy) -> BornWallet {
    let prepared = client.prepare_create_wallet(Uuid::now_v7(), &fresh_id(), policy).unwrap();
    client.create_wallet(&prepared, genesis, PATIENCE).await.unwrap()
}

/// Where its funds are.
pub(crate) fn address(wallet: &BornWallet) -> Address {
    PublicKey::from_bytes(&hex::decode(&wallet.public_key).unwrap()).unwrap().address()
}

/// An address of which nobody has the key.
pub(crate) fn stranger(name: &str) -> Address {
    Address::from(Hash160::of_script(name.as_bytes()))
}

/// A transfer of GAS.
pub(crate) fn gas_transfer(to: Address, datoshi: u128) -> Transfer {
    Transfer { asset: native::GAS.to_string(), to: to.to_string(), amount: Amount(datoshi) }
}
