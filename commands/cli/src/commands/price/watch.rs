//! `nsl price watch`

use clap::Args;
use futures::StreamExt as _;
use nsl_schemas::price::PriceMessage;
use nsl_schemas::token::Pair;
use serde::Serialize;

use crate::assets::{PRICE_DECIMALS, show_units};
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;
use crate::shell::Shell;

/// Follow the prices of a pair.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The pair, as NEO-USD.
    pair: Pair,
    /// Stop after so many prices.
    #[arg(long, value_name = "PRICES")]
    count: Option<usize>,
}

/// A price for scripts.
#[derive(Serialize)]
struct Line {
    reason: &'static str,
    #[serde(flatten)]
    price: PriceMessage,
}

impl Watch {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let mut prices = session.client.prices(&self.pair).await?.take(self.count.unwrap_or(usize::MAX));
        while let Some(price) = prices.next().await {
            let price = price?;
            let line = if invocation.shell.is_json() {
                serde_json::to_string(&Line { reason: "price", price }).map_err(std::io::Error::from)?
            } else {
                show(&price)
            };
            Shell::line(&line)?;
        }
        Ok(Outcome::Streamed)
    }
}

fn show(price: &PriceMessage) -> String {
    let PriceMessage { pair, round, price_e8, confidence_e8, as_of_ms: _, age_max_ms: _, sources, position } =
        price;
    let places = |value: u64| show_units(u128::from(value), PRICE_DECIMALS);
    format!(
        "{pair} {} ± {} from {} sources (round {round}, position {position})",
        places(price_e8.0),
        places(confidence_e8.0),
        sources.len()
    )
}
