//! `cargo dev fund`: GAS for an address on the running site's private chain.

use anyhow::Context as _;
use nsl_neo::{Address, amount};
use nsl_neo_rpc::Client as Node;

use super::funding;
use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::runner_record::{RunnerRecord, State};

/// Digits of GAS behind the point.
const GAS_DECIMALS: u8 = 8;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Who receives
    address: Address,
    /// How much GAS
    #[arg(default_value = "100")]
    amount: String,
}

pub(crate) fn run(layout: &Layout, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let record = RunnerRecord::read_alive(&layout.runner_record())?;
    let Some(RunnerRecord { state: State::Ready { lines }, .. }) = record else {
        eprintln!("error: nothing runs\nhint: cargo dev up");
        return Ok(Outcome::NotFound);
    };
    let url = lines.iter().find(|line| line.label == "neo rpc").context("the site has no Neo node")?;
    let node = Node::new(&url.value, super::NODE_TIMEOUT)?;
    let datoshi = amount::parse(&arguments.amount, GAS_DECIMALS)?;
    let runtime = tokio::runtime::Runtime::new()?;
    // The time makes the nonce, so that a second payment of the same amount is another transaction.
    let nonce = u32::try_from(nsl_client::prepared::unix_now_ms() & u64::from(u32::MAX))?;
    let block = runtime.block_on(funding::fund(&node, arguments.address, datoshi, nonce))?;
    let balance = runtime.block_on(funding::gas(&node, arguments.address))?;
    println!("{} has {} GAS since block {block}", arguments.address, amount::format(balance, GAS_DECIMALS)?);
    Ok(Outcome::Done)
}
