//! `balances`: the NEP-17 tokens of an address with their symbols and decimals, NEO and GAS first.

use futures::{StreamExt as _, TryStreamExt as _};
use nsl_neo::script::{CallFlags, ScriptBuilder};
use nsl_neo::{Address, Hash160, native};
use nsl_neo_rpc::{Error, Nep17Balance, StackItem, VmState};
use nsl_schemas::number::Amount;
use nsl_schemas::query::{Balance, BalancesRequest, ROWS_MAX};

use super::{Questions, Refusal};

/// Longest symbol that is shown: real ones have 3 to 10 characters, and a contract may say anything.
const SYMBOL_BYTES_MAX: usize = 32;

/// Tokens whose contracts are asked at once for one question.
const CONTRACTS_AT_ONCE: usize = 4;

/// How a token is written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    symbol: String,
    decimals: u8,
}

impl Questions {
    /// Anybody can send any token to an address. So an answer has at most [`ROWS_MAX`] tokens, and those whose contract
    /// gives no sound symbol and decimals are left out.
    pub(super) async fn balances(&self, question: BalancesRequest) -> Result<Vec<Balance>, Refusal> {
        let address: Address =
            question.address.parse().map_err(|error| Refusal::invalid(format!("address: {error}")))?;
        let mut held = self.node.nep17_balances(address).await?;
        held.sort_by_key(|balance| (rank(balance.asset), balance.asset.to_string()));
        held.truncate(usize::try_from(ROWS_MAX).unwrap_or(usize::MAX));
        let balances = futures::stream::iter(held)
            .map(|balance| self.describe(balance))
            .buffered(CONTRACTS_AT_ONCE)
            .try_filter_map(|balance| std::future::ready(Ok(balance)));
        Ok(balances.try_collect().await?)
    }

    async fn describe(&self, balance: Nep17Balance) -> Result<Option<Balance>, Error> {
        let Nep17Balance { asset, amount, .. } = balance;
        let token = match known(asset) {
            Some(token) => Some(token),
            None => self.ask_contract(asset).await?,
        };
        Ok(token.map(|Token { symbol, decimals }| Balance {
            asset: asset.to_string(),
            symbol,
            decimals,
            amount: Amount(amount),
        }))
    }

    async fn ask_contract(&self, asset: Hash160) -> Result<Option<Token>, Error> {
        let mut script = ScriptBuilder::new();
        script.call_contract(asset, "symbol", CallFlags::READ_ONLY, &[]);
        script.call_contract(asset, "decimals", CallFlags::READ_ONLY, &[]);
        let script = script.finish().expect("two calls without arguments are far below the script limit");
        let run = self.node.invoke_script(&script, &[]).await?;
        let token = match run.state {
            VmState::Halt => read(&run.stack),
            VmState::Fault => None,
        };
        if token.is_none() {
            tracing::debug!(%asset, "a token gives no sound symbol and decimals");
        }
        Ok(token)
    }
}

fn rank(asset: Hash160) -> u8 {
    match asset {
        native::NEO => 0,
        native::GAS => 1,
        _ => 2,
    }
}

fn known(asset: Hash160) -> Option<Token> {
    let token = |symbol: &str, decimals| Some(Token { symbol: symbol.to_owned(), decimals });
    match asset {
        native::NEO => token("NEO", native::NEO_DECIMALS),
        native::GAS => token("GAS", native::GAS_DECIMALS),
        _ => None,
    }
}

fn read(stack: &[StackItem]) -> Option<Token> {
    let [StackItem::Bytes(symbol), decimals] = stack else { return None };
    let is_sound = (1..=SYMBOL_BYTES_MAX).contains(&symbol.len()) && symbol.iter().all(u8::is_ascii_graphic);
    let symbol = String::from_utf8(symbol.clone()).ok().filter(|_| is_sound)?;
    Some(Token { symbol, decimals: u8::try_from(decimals.as_integer()?).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_described_by_a_printable_symbol_and_small_decimals() {
        let bytes = |text: &str| StackItem::Bytes(text.as_bytes().to_vec());
        let number = StackItem::Integer;
        for (stack, is_sound) in [
            (vec![bytes("FLM"), number(8)], true),
            (vec![bytes(&"x".repeat(32)), number(0)], true),
            (vec![bytes(&"x".repeat(33)), number(0)], false),
            (vec![bytes(""), number(0)], false),
            (vec![bytes("GAS\u{202e}"), number(8)], false),
            (vec![bytes("A B"), number(8)], false),
            (vec![bytes("FLM"), number(256)], false),
            (vec![bytes("FLM"), number(-1)], false),
            (vec![bytes("FLM"), StackItem::Null], false),
            (vec![StackItem::Null, number(8)], false),
            (vec![bytes("FLM")], false),
            (vec![bytes("FLM"), number(8), number(8)], false),
        ] {
            assert_eq!(read(&stack).is_some(), is_sound, "{stack:?}");
        }
    }
}
