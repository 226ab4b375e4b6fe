//! Pays GAS from the private chain's genesis account, a 1-of-1 multi-signature account of a well-known key.

use std::time::Duration;

use anyhow::{Context as _, bail};
use nsl_neo::account::{Account, Multisig};
use nsl_neo::{
    Address, Hash256, Nep17Transfer, Signer, Transaction, TransactionFields, UnsignedTransaction, native, wif,
};
use nsl_neo_rpc::{Client as Node, Submission, VmState};

/// The consensus key of every local site's chain; published with neo-go's own tests, worth nothing anywhere else.
const GENESIS_WIF: &str = "KxyjQ8eUa4FHt3Gvioyt1Wz29cTUrE4eTqX3yFSk1YFCsPL8uNsY";
/// Blocks that the payment may wait for.
const VALID_FOR_BLOCKS: u32 = 100;
/// Local blocks come every 200 ms.
const POLL: Duration = Duration::from_millis(100);
/// Looks at the chain before giving up: half a minute.
const POLLS_MAX: u32 = 300;

/// Pays `amount` datoshi to `to` and waits for the block; returns its height.
pub(crate) async fn fund(node: &Node, to: Address, amount: u128, nonce: u32) -> anyhow::Result<u32> {
    let transaction = payment(node, to, amount, nonce).await?;
    match node.send_raw_transaction(&transaction).await? {
        Submission::Accepted | Submission::AlreadyKnown(_) => {}
        refused => bail!("the node does not take the payment: {refused:?}"),
    }
    await_block(node, transaction.hash()).await
}

async fn payment(node: &Node, to: Address, amount: u128, nonce: u32) -> anyhow::Result<Transaction> {
    let key = wif::decode(GENESIS_WIF)?;
    let group = Multisig::new(1, vec![key.public_key()])?;
    let account = Account::Multisig(group.clone());
    let from = account.script_hash();
    let script = Nep17Transfer { asset: native::GAS, from, to: to.script_hash(), amount }.script()?;
    let mut fields = TransactionFields {
        nonce,
        system_fee_datoshi: 0,
        network_fee_datoshi: 0,
        valid_until_block: node.block_count().await? + VALID_FOR_BLOCKS,
        signers: vec![Signer::called_by_entry(from)],
        attributes: Vec::new(),
        script,
    };
    let dry_run = node.invoke_script(&fields.script, &fields.signers).await?;
    if dry_run.state != VmState::Halt {
        bail!("the payment would fail: {:?}", dry_run.exception);
    }
    fields.system_fee_datoshi = dry_run.gas_consumed_datoshi;
    let unpriced = UnsignedTransaction::new(fields.clone())?;
    fields.network_fee_datoshi = node.fee_policy().await?.network_fee_datoshi(&unpriced, &[account])?;
    let unsigned = UnsignedTransaction::new(fields)?;
    let magic = node.version().await?.network_magic;
    let signature = key.sign(&unsigned.sign_data(magic))?;
    let witness = group.witness(&[(key.public_key(), signature)])?;
    Transaction::new(unsigned, vec![witness]).context("the payment cannot be put together")
}

async fn await_block(node: &Node, hash: Hash256) -> anyhow::Result<u32> {
    for _ in 0..POLLS_MAX {
        if let Some(height) = node.transaction_height(hash).await? {
            return Ok(height);
        }
        tokio::time::sleep(POLL).await;
    }
    bail!("transaction {hash} is in no block after {} s", (POLL * POLLS_MAX).as_secs())
}

/// The GAS of an address, as the node has it.
pub(crate) async fn gas(node: &Node, address: Address) -> anyhow::Result<u128> {
    let balances = node.nep17_balances(address).await?;
    Ok(balances.iter().find(|balance| balance.asset == native::GAS).map_or(0, |balance| balance.amount))
}
