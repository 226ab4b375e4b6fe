//! The story: a key is born, funded, used within its policy; a price is accepted; the log proves all of it.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::StreamExt as _;
use nsl_client::prepared::Prepared;
use nsl_client::transfer::{Transfer, TransferStep};
use nsl_client::wallet::BornWallet;
use nsl_client::{EventFilter, SendError};
use nsl_neo::{Address, PublicKey, amount, native};
use nsl_schemas::authority::Quorum;
use nsl_schemas::command::wallet::VmState;
use nsl_schemas::number::{Amount, Datoshi};
use nsl_schemas::policy::{AssetRule, Policy, Rules};
use nsl_schemas::query::Quote;
use nsl_schemas::result::CommandResult;
use nsl_schemas::token::{AggregateId, Pair, Tenant};
use uuid::Uuid;

use super::Stage;
use super::funding::{fund, gas};
use crate::ceremony::DEMO_TENANT;
use crate::outcome::Outcome;
use crate::report::Report;

/// Digits behind the point.
const DECIMALS: u8 = 8;
/// What the wallet gets: 100 GAS.
const FUNDS_DATOSHI: u128 = 100_0000_0000;
/// What it sends: 1.5 GAS.
const TRANSFER_DATOSHI: u128 = 1_5000_0000;
/// What its policy lets it send at once: 10 GAS.
const BOUND_DATOSHI: u128 = 10_0000_0000;
/// Longest wait for any step.
const LIMIT: Duration = Duration::from_mins(1);

/// Tells the whole story.
pub(crate) async fn tell(stage: &Stage) -> anyhow::Result<Outcome> {
    let mut report = Report::default();
    let (wallet, address, sent) = sign(stage, &mut report).await?;
    refuse_above_bound(stage, &mut report, &wallet).await?;
    repeat(stage, &mut report, &wallet, address, &sent).await?;
    follow_price(stage, &mut report).await?;
    rebuild(stage, &mut report)?;
    report.finish();
    println!("\nAll of it is in the log; every step was read back from where it counts.");
    Ok(Outcome::Done)
}

/// The story's beginning: a key is born, funded and used.
pub(super) async fn sign(stage: &Stage, report: &mut Report) -> anyhow::Result<(BornWallet, Address, Sent)> {
    let wallet = create_wallet(stage, report).await?;
    let address = PublicKey::from_bytes(&hex::decode(&wallet.public_key)?)?.address();
    report.step("Fund it from the private chain's genesis account");
    let nonce = u32::from_le_bytes(wallet.command_id.as_bytes()[12..].try_into()?);
    let block = fund(&stage.node, address, FUNDS_DATOSHI, nonce).await?;
    report.fact("block", block);
    report.fact("balance", gas_text(gas(&stage.node, address).await?));
    let sent = transfer(stage, report, &wallet, address).await?;
    Ok((wallet, address, sent))
}

async fn create_wallet(stage: &Stage, report: &mut Report) -> anyhow::Result<BornWallet> {
    report.step("Create a wallet: its key is born in an enclave worker, its birth certificate checked here");
    let network_magic = stage.node.version().await?.network_magic;
    let policy = Policy {
        owners: Quorum { threshold: 1, keys: vec![stage.developer.public()] },
        network_magic,
        assets: vec![AssetRule { asset: native::GAS.to_string(), amount_max: Amount(BOUND_DATOSHI) }],
        recipients: None,
        fee_max_datoshi: Datoshi(1_0000_0000),
        rules: Rules::default(),
    };
    let command_id = Uuid::now_v7();
    let id = AggregateId::parse(&format!("demo-{}", command_id.simple()))?;
    let prepared = stage.client.prepare_create_wallet(command_id, &id, &policy)?;
    let born = stage.client.create_wallet(&prepared, &stage.genesis, LIMIT).await?;
    report.fact("wallet", &born.wallet);
    report.fact("public key", &born.public_key);
    report.fact("birth certificate", "holds: measured build, genesis manifest, policy, owners, this command");
    report.fact("position in the log", born.position);
    Ok(born)
}

/// A transfer that was confirmed.
pub(super) struct Sent {
    prepared: Prepared,
    result: CommandResult,
    tx_hash: String,
}

async fn transfer(
    stage: &Stage,
    report: &mut Report,
    wallet: &BornWallet,
    address: Address,
) -> anyhow::Result<Sent> {
    report.step("Command a transfer: policy, typed signing in a worker, submit, confirm in a block");
    let to = recipient(stage);
    let before = (gas(&stage.node, address).await?, gas(&stage.node, to).await?);
    let wanted = wanted(TRANSFER_DATOSHI, to);
    let tenant = Tenant::parse(DEMO_TENANT)?;
    let quote = stage.client.quote_transfer(&tenant, &wallet.public_key, &wanted).await?;
    let prepared = stage.client.prepare_transfer(Uuid::now_v7(), &wallet.wallet, &wanted, &quote)?;
    let result = stage.client.send(&prepared).await?;
    report.fact("accepted at position", result.first_position);
    let mut steps = stage
        .client
        .follow_transfer(&tenant, &wallet.wallet, prepared.command_id(), result.first_position)
        .await?;
    let tx_hash = loop {
        match steps.next(LIMIT).await? {
            TransferStep::Signed { tx_hash, .. } => report.fact("signed", tx_hash),
            TransferStep::Confirmed { tx_hash, block_index, vm_state: VmState::Halt, .. } => {
                report.fact("confirmed in block", block_index);
                break tx_hash;
            }
            other => bail!("the transfer ended otherwise: {other:?}"),
        }
    };
    let after = (gas(&stage.node, address).await?, gas(&stage.node, to).await?);
    check_balances(report, before, after, &quote)?;
    Ok(Sent { prepared, result, tx_hash })
}

/// Balances as the node has them moved by exactly amount and fees.
fn check_balances(
    report: &Report,
    before: (u128, u128),
    after: (u128, u128),
    quote: &Quote,
) -> anyhow::Result<()> {
    let fees = u128::from(quote.system_fee_datoshi.0) + u128::from(quote.network_fee_datoshi.0);
    report.fact("sender paid", gas_text(before.0 - after.0));
    report.fact("  of which fees", gas_text(fees));
    report.fact("recipient received", gas_text(after.1 - before.1));
    ensure!(before.0 - after.0 == TRANSFER_DATOSHI + fees, "the sender's balance moved by another amount");
    ensure!(after.1 - before.1 == TRANSFER_DATOSHI, "the recipient's balance moved by another amount");
    Ok(())
}

async fn refuse_above_bound(stage: &Stage, report: &mut Report, wallet: &BornWallet) -> anyhow::Result<()> {
    report.step("Command a transfer above the policy's bound");
    let wanted = wanted(BOUND_DATOSHI + 1, recipient(stage));
    let tenant = Tenant::parse(DEMO_TENANT)?;
    let quote = stage.client.quote_transfer(&tenant, &wallet.public_key, &wanted).await?;
    let prepared = stage.client.prepare_transfer(Uuid::now_v7(), &wallet.wallet, &wanted, &quote)?;
    match stage.client.send(&prepared).await {
        Err(SendError::Rejected { code, message, position, .. }) if code == "amount_not_allowed" => {
            report.fact("rejected", format!("{code}: {message}"));
            report.fact("recorded at position", position);
            Ok(())
        }
        other => bail!("it was not rejected by the policy: {other:?}"),
    }
}

async fn repeat(
    stage: &Stage,
    report: &mut Report,
    wallet: &BornWallet,
    address: Address,
    sent: &Sent,
) -> anyhow::Result<()> {
    report.step("Send the confirmed transfer's command again");
    let before = gas(&stage.node, address).await?;
    let height = stage.node.block_count().await?;
    let again = stage.client.send(&sent.prepared).await?;
    ensure!(again == sent.result, "the answer is another one: {again:?}");
    report.fact("answer", format!("the first one, position {}", again.first_position));
    // Two more blocks would hold a second transaction, if there were one.
    tokio::time::timeout(LIMIT, async {
        while stage.node.block_count().await? < height + 2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::Ok(())
    })
    .await??;
    ensure!(gas(&stage.node, address).await? == before, "the balance moved");
    let signed = count_signed(stage, wallet, &sent.tx_hash).await?;
    ensure!(signed == 1, "{signed} signatures are recorded");
    report.fact("sent twice", "no: balance unchanged, one signature in the log");
    Ok(())
}

async fn count_signed(stage: &Stage, wallet: &BornWallet, tx_hash: &str) -> anyhow::Result<usize> {
    let filter = EventFilter {
        tenant: Some(Tenant::parse(DEMO_TENANT)?),
        aggregate: Some("wallet".parse()?),
        id: Some(wallet.wallet.clone()),
        name: Some("transfer-signed".parse()?),
    };
    let mut events = stage.client.events_to_head(&filter, 1).await?;
    let mut count = 0;
    while let Some(event) = events.next().await {
        let payload: serde_json::Value = serde_json::from_str(event?.data.get())?;
        count += usize::from(payload["tx_hash"] == tx_hash);
    }
    Ok(count)
}

async fn follow_price(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    report.step("Three venues' market data become an accepted price on nsl.v1.price.NEO-USD");
    let mut prices = stage.client.prices(&Pair::parse("NEO-USD")?).await?;
    let price =
        tokio::time::timeout(LIMIT, prices.next()).await.context("no price came")?.context("no price")??;
    report.fact("price", decimal(u128::from(price.price_e8.0), "USD"));
    report.fact("confidence", decimal(u128::from(price.confidence_e8.0), "USD"));
    let sources: Vec<_> = price.sources.iter().map(ToString::to_string).collect();
    report.fact("sources", sources.join(", "));
    report.fact("round", price.round);
    report.fact("position in the log", price.position);
    Ok(())
}

fn rebuild(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    report.step("Rebuild the read models from the log and compare them with the live ones, row by row");
    let (program, configuration) = &stage.projections;
    let output = Command::new(program)
        .args(["rebuild", "all", "--verify", "--config"])
        .arg(configuration)
        .output()
        .context("nsl-projections cannot be run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    for line in text.lines() {
        println!("   {line}");
    }
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Somebody else: the address of the developer's own hash, of which nobody has the key.
fn recipient(stage: &Stage) -> Address {
    Address::from(nsl_neo::Hash160::of_script(&stage.developer.public().0))
}

fn wanted(amount: u128, to: Address) -> Transfer {
    Transfer { asset: native::GAS.to_string(), to: to.to_string(), amount: Amount(amount) }
}

fn gas_text(datoshi: u128) -> String {
    decimal(datoshi, "GAS")
}

/// GAS and prices alike have eight digits behind the point.
fn decimal(value: u128, unit: &str) -> String {
    match amount::format(value, DECIMALS) {
        Ok(text) => format!("{text} {unit}"),
        Err(error) => error.to_string(),
    }
}
