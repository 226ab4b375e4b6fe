//! CoinPaprika, an aggregate of exchanges: `GET /v1/tickers/neo-neo` →
//! `{"id":"neo-neo",…,"last_updated":"2023-11-14T22:13:20Z","quotes":{"USD":{"price":2.56,…}}}`, a number and
//! an RFC 3339 time. Errors are `{"error":"id not found"}`.

use jiff::Timestamp;
use nsl_schemas::price::Observation;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Adapter, Answer, Error, cut, observed_at_ms, price};

/// The line of the registry.
pub(super) const ADAPTER: Adapter = Adapter { name: "coinpaprika", path, parse };

#[derive(Deserialize)]
struct Ticker<'a> {
    id: String,
    last_updated: String,
    #[serde(borrow)]
    quotes: Quotes<'a>,
}

#[derive(Deserialize)]
struct Quotes<'a> {
    #[serde(rename = "USD", borrow)]
    usd: Quote<'a>,
}

#[derive(Deserialize)]
struct Quote<'a> {
    #[serde(borrow)]
    price: &'a RawValue,
}

#[derive(Deserialize)]
struct Failure {
    error: String,
}

fn path(symbol: &str) -> String {
    format!("/v1/tickers/{symbol}")
}

fn parse(answer: &Answer<'_>) -> Result<Observation, Error> {
    if let Ok(Failure { error }) = serde_json::from_slice(answer.body) {
        return Err(Error::Reported(cut(&error)));
    }
    let ticker: Ticker<'_> = serde_json::from_slice(answer.body).map_err(Error::Form)?;
    if ticker.id != answer.symbol {
        return Err(Error::SymbolMissing(answer.symbol.to_owned()));
    }
    let time_ms = unix_ms(&ticker.last_updated).ok_or_else(|| Error::Time(cut(&ticker.last_updated)))?;
    Ok(Observation {
        venue: answer.venue.clone(),
        price_e8: price("quotes.USD.price", ticker.quotes.usd.price)?,
        bid_e8: None,
        ask_e8: None,
        observed_at_ms: observed_at_ms(time_ms, answer)?,
    })
}

fn unix_ms(text: &str) -> Option<u64> {
    let time: Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use nsl_schemas::number::PriceE8;
    use nsl_schemas::token::Venue;

    use super::*;

    fn read(body: &str) -> Result<Observation, Error> {
        let venue = Venue::parse("coinpaprika").unwrap();
        parse(&Answer {
            venue: &venue,
            symbol: "neo-neo",
            body: body.as_bytes(),
            received_at_ms: 1_700_000_010_000,
            served_at_ms: 1_700_000_010_000,
        })
    }

    fn ticker(id: &str, time: &str, price: &str) -> String {
        format!(
            "{{\"id\":\"{id}\",\"name\":\"NEO\",\"symbol\":\"NEO\",\"rank\":90,\"total_supply\":100000000,\
             \"max_supply\":100000000,\"beta_value\":1.13,\"first_data_at\":\"2016-09-09T00:00:00Z\",\
             \"last_updated\":\"{time}\",\"quotes\":{{\"USD\":{{\"price\":{price},\"volume_24h\":9911234.55,\
             \"percent_change_15m\":-0.05,\"ath_price\":196.85,\"ath_date\":\"2018-01-15T14:25:00Z\"}}}}}}"
        )
    }

    #[test]
    fn reads_the_documented_answer() {
        for (time, price, expected, at_ms) in [
            ("2023-11-14T22:13:20Z", "2.5601", 256_010_000, 1_700_000_000_000),
            ("2023-11-14T22:13:20.250Z", "2.5601234567890123", 256_012_346, 1_700_000_000_250),
            ("2023-11-14T23:13:20+01:00", "1.5e1", 1_500_000_000, 1_700_000_000_000),
        ] {
            let observation = read(&ticker("neo-neo", time, price)).unwrap();
            assert_eq!(observation.price_e8, PriceE8(expected), "{price}");
            assert_eq!(observation.observed_at_ms, at_ms, "{time}");
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
        let now = "2023-11-14T22:13:20Z";
        for (body, kind) in [
            ("{\"error\":\"id not found\"}".to_owned(), reported),
            (ticker("gas-gas", now, "2.56"), missing),
            (ticker("neo-neo", now, "NaN"), form),
            (ticker("neo-neo", now, "null"), number),
            (ticker("neo-neo", now, "\"2.56\""), number),
            (ticker("neo-neo", now, "-2.56"), number),
            (ticker("neo-neo", now, "0.0"), number),
            (ticker("neo-neo", now, "1e30"), number),
            (ticker("neo-neo", now, "{}"), number),
            (ticker("neo-neo", "2099-01-01T00:00:00Z", "2.56"), future),
            (ticker("neo-neo", "1969-12-31T23:59:59Z", "2.56"), time),
            (ticker("neo-neo", "yesterday", "2.56"), time),
            (ticker("neo-neo", "", "2.56"), time),
            (ticker("neo-neo", "1700000000", "2.56"), time),
            (ticker("neo-neo", "2023-11-14T22:13:20", "2.56"), time),
            (ticker("neo-neo", now, "2.56").replace("USD", "EUR"), form),
            (ticker("neo-neo", now, "2.56").replace("\"2023-11-14T22:13:20Z\"", "1700000000"), form),
            (ticker("neo-neo", now, "2.56").trim_end_matches('}').to_owned(), form),
            (format!("[{}]", ticker("neo-neo", now, "2.56")), form),
        ] {
            let error = read(&body).unwrap_err();
            assert!(kind(&error), "{body}: {error:?}");
        }
    }
}
