//! The private chain, asked directly: what it says is the proof.

use nsl_neo::{Address, native};
use nsl_neo_rpc::Client as Node;

/// The GAS of an address, in datoshi.
pub(crate) async fn gas(node: &Node, address: Address) -> u128 {
    let balances = node.nep17_balances(address).await.unwrap();
    balances.iter().find(|balance| balance.asset == native::GAS).map_or(0, |balance| balance.amount)
}
