//! CoinGecko, an aggregate of exchanges: `GET /api/v3/simple/price?ids=neo&…` →
//! `{"neo":{"usd":2.56,"last_updated_at":1700000000}}`, numbers, seconds. An unknown id gives `{}` and a
//! missing price `{"neo":{}}`, both with status 200; errors are
//! `{"status":{"error_code":429,"error_message":"…"}}` or `{"error":"…"}`.

use std::collections::BTreeMap;

use nsl_schemas::price::Observation;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Adapter, Answer, Error, cut, observed_at_ms, price};

/// The line of the registry.
pub(super) const ADAPTER: Adapter = Adapter { name: "coingecko", path, parse };

#[derive(Deserialize)]
struct Coin<'a> {
    #[serde(borrow)]
    usd: &'a RawValue,
    last_updated_at: u64,
}

fn path(symbol: &str) -> String {
    format!("/api/v3/simple/price?ids={symbol}&vs_currencies=usd&include_last_updated_at=true&precision=full")
}

fn parse(answer: &Answer<'_>) -> Result<Observation, Error> {
    let coins: BTreeMap<String, &RawValue> = serde_json::from_slice(answer.body).map_err(Error::Form)?;
    let Some(coin) = coins.get(answer.symbol) else { return Err(refusal(&coins, answer.symbol)) };
    let coin: Coin<'_> = serde_json::from_str(coin.get()).map_err(Error::Form)?;
    let time_ms = coin
        .last_updated_at
        .checked_mul(1_000)
        .ok_or_else(|| Error::Time(coin.last_updated_at.to_string()))?;
    Ok(Observation {
        venue: answer.venue.clone(),
        price_e8: price("usd", coin.usd)?,
        bid_e8: None,
        ask_e8: None,
        observed_at_ms: observed_at_ms(time_ms, answer)?,
    })
}

fn refusal(coins: &BTreeMap<String, &RawValue>, symbol: &str) -> Error {
    match coins.get("status").or_else(|| coins.get("error")) {
        Some(reported) => Error::Reported(cut(reported.get())),
        None => Error::SymbolMissing(symbol.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use nsl_schemas::number::PriceE8;
    use nsl_schemas::token::Venue;

    use super::*;

    fn read(body: &str) -> Result<Observation, Error> {
        let venue = Venue::parse("coingecko").unwrap();
        parse(&Answer {
            venue: &venue,
            symbol: "neo",
            body: body.as_bytes(),
            received_at_ms: 1_700_000_010_000,
            served_at_ms: 1_700_000_010_000,
        })
    }

    #[test]
    fn reads_the_documented_answer() {
        for (body, expected) in [
            ("{\"neo\":{\"usd\":2.56,\"last_updated_at\":1700000000}}", 256_000_000),
            ("{\"neo\":{\"usd\":2.5612345678901234,\"last_updated_at\":1700000000}}", 256_123_457),
            ("{\"neo\":{\"usd\":12,\"usd_24h_vol\":1.5e7,\"last_updated_at\":1700000000}}", 1_200_000_000),
            ("{\"gas\":{\"usd\":9},\"neo\":{\"usd\":3.1e-7,\"last_updated_at\":1700000000}}", 31),
        ] {
            let observation = read(body).unwrap();
            assert_eq!(observation.price_e8, PriceE8(expected), "{body}");
            assert_eq!(observation.observed_at_ms, 1_700_000_000_000, "seconds become milliseconds");
        }
    }

    #[test]
    fn refuses_every_other_answer_by_its_kind() {
        type Kind = fn(&Error) -> bool;
        let form: Kind = |error| matches!(error, Error::Form(_));
        let reported: Kind = |error| matches!(error, Error::Reported(_));
        let missing: Kind = |error| matches!(error, Error::SymbolMissing(_));
        let number: Kind = |error| matches!(error, Error::Price { .. });
        let future: Kind = |error| matches!(error, Error::FromTheFuture { .. });
        let time: Kind = |error| matches!(error, Error::Time(_));
        for (body, kind) in [
            ("{}", missing),
            ("{\"gas\":{\"usd\":2.56,\"last_updated_at\":1700000000}}", missing),
            (
                "{\"status\":{\"error_code\":429,\"error_message\":\"You've exceeded the Rate Limit.\"}}",
                reported,
            ),
            ("{\"status\":{\"error_code\":10002,\"error_message\":\"API Key Missing\"}}", reported),
            ("{\"error\":\"coin not found\"}", reported),
            ("{\"neo\":{}}", form),
            ("{\"neo\":null}", form),
            ("{\"neo\":{\"usd\":2.56}}", form),
            ("{\"neo\":{\"usd\":2.56,\"last_updated_at\":null}}", form),
            ("{\"neo\":{\"usd\":2.56,\"last_updated_at\":-1}}", form),
            ("{\"neo\":{\"usd\":2.56,\"last_updated_at\":1700000000.5}}", form),
            ("{\"neo\":{\"usd\":2.56,\"last_updated_at\":\"1700000000\"}}", form),
            ("{\"neo\":{\"usd\":1,\"usd\":2,\"last_updated_at\":1700000000}}", form),
            ("{\"neo\":{\"usd\":NaN,\"last_updated_at\":1700000000}}", form),
            ("{\"neo\":{\"usd\":2.56,\"last_updated_at\":1700000000}", form),
            ("[{\"usd\":2.56,\"last_updated_at\":1700000000}]", form),
            ("{\"neo\":{\"usd\":null,\"last_updated_at\":1700000000}}", number),
            ("{\"neo\":{\"usd\":\"2.56\",\"last_updated_at\":1700000000}}", number),
            ("{\"neo\":{\"usd\":-2.56,\"last_updated_at\":1700000000}}", number),
            ("{\"neo\":{\"usd\":0,\"last_updated_at\":1700000000}}", number),
            ("{\"neo\":{\"usd\":1e30,\"last_updated_at\":1700000000}}", number),
            ("{\"neo\":{\"usd\":2.56,\"last_updated_at\":1700000016}}", future),
            // Milliseconds where seconds are documented: the year 55,840.
            ("{\"neo\":{\"usd\":2.56,\"last_updated_at\":1700000000000}}", future),
            ("{\"neo\":{\"usd\":2.56,\"last_updated_at\":18446744073709551615}}", time),
        ] {
            let error = read(body).unwrap_err();
            assert!(kind(&error), "{body}: {error:?}");
        }
    }
}
