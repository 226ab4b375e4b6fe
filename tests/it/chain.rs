//! The private chain as seen from outside: paying from its genesis account, and balances.

use nsl_neo::account::{Account, Multisig};
use nsl_neo::{
    Address, Nep17Transfer, Signer, Transaction, TransactionFields, UnsignedTransaction, native, wif,
};
use nsl_neo_rpc::{Client as Node, Submission};

use crate::patience::until;

/// The consensus key of every local chain; published with neo-go's own tests, worth nothing anywhere else.
const GENESIS_WIF: &str = "KxyjQ8eUa4FHt3Gvioyt1Wz29cTUrE4eTqX3yFSk1YFCsPL8uNsY";
/// Blocks that a payment may wait for.
const VALID_FOR_BLOCKS: u32 = 1_000;

/// Pays `amount` datoshi to `to` and returns when it is in a block.
pub(crate) async fn fund(node: &Node, to: Address, amount: u128) {
    let key = wif::decode(GENESIS_WIF).unwrap();
    let group = Multisig::new(1, vec![key.public_key()]).unwrap();
    let from = Account::Multisig(group.clone()).script_hash();
    let script = Nep17Transfer { asset: native::GAS, from, to: to.script_hash(), amount }.script().unwrap();
    let mut fields = TransactionFields {
        // Another recipient gets another transaction, and no test pays one twice.
        nonce: 0,
        system_fee_datoshi: 0,
        network_fee_datoshi: 0,
        valid_until_block: node.block_count().await.unwrap() + VALID_FOR_BLOCKS,
        signers: vec![Signer::called_by_entry(from)],
        attributes: Vec::new(),
        script,
    };
    let dry_run = node.invoke_script(&fields.script, &fields.signers).await.unwrap();
    fields.system_fee_datoshi = dry_run.gas_consumed_datoshi;
    let unpriced = UnsignedTransaction::new(fields.clone()).unwrap();
    let fee_policy = node.fee_policy().await.unwrap();
    let account = Account::Multisig(group.clone());
    fields.network_fee_datoshi = fee_policy.network_fee_datoshi(&unpriced, &[account]).unwrap();
    let unsigned = UnsignedTransaction::new(fields).unwrap();
    let magic = node.version().await.unwrap().network_magic;
    let signature = key.sign(&unsigned.sign_data(magic)).unwrap();
    let witness = group.witness(&[(key.public_key(), signature)]).unwrap();
    let transaction = Transaction::new(unsigned, vec![witness]).unwrap();
    let submission = node.send_raw_transaction(&transaction).await.unwrap();
    assert!(matches!(submission, Submission::Accepted), "{submission:?}");
    until("the payment is in a block", async || node.transaction_height(transaction.hash()).await.unwrap())
        .await;
}

/// The GAS of an address, as the node has it.
pub(crate) async fn gas(node: &Node, address: Address) -> u128 {
    let balances = node.nep17_balances(address).await.unwrap();
    balances.iter().find(|balance| balance.asset == native::GAS).map_or(0, |balance| balance.amount)
}
