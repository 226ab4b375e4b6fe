//! Bitfinex, an exchange: `GET /v2/ticker/tNEOUSD` → `[BID, BID_SIZE, ASK, ASK_SIZE, CHANGE, CHANGE_RELATIVE,
//! LAST, VOLUME, HIGH, LOW]`, bare numbers, no time. Errors are lists too: `["error", 11010, "ratelimit:
//! error"]`.

use nsl_schemas::number::PriceE8;
use nsl_schemas::price::Observation;
use serde_json::value::RawValue;

use super::{Adapter, Answer, Error, cut, price};

/// The line of the registry.
pub(super) const ADAPTER: Adapter = Adapter { name: "bitfinex", path, parse };

const FIELDS: usize = 10;

fn path(symbol: &str) -> String {
    format!("/v2/ticker/{symbol}")
}

fn parse(answer: &Answer<'_>) -> Result<Observation, Error> {
    let fields: Vec<&RawValue> = serde_json::from_slice(answer.body).map_err(Error::Form)?;
    if fields.first().is_some_and(|field| field.get() == "\"error\"") {
        let texts: Vec<&str> = fields.iter().skip(1).map(|field| field.get()).collect();
        return Err(Error::Reported(cut(&texts.join(" "))));
    }
    let [bid, _, ask, _, _, _, last, _, _, _] = fields.as_slice() else {
        return Err(Error::Length { found: fields.len(), expected: FIELDS });
    };
    let (bid, ask, last) = (price("bid", bid)?, price("ask", ask)?, price("last", last)?);
    Ok(Observation {
        venue: answer.venue.clone(),
        price_e8: living_price(bid, ask, last),
        bid_e8: Some(bid),
        ask_e8: Some(ask),
        observed_at_ms: answer.served_at_ms,
    })
}

/// The last trade, held to the quotes that stand now: at a thin pair the last trade may be hours old (a
/// quarter of NEO's minutes see none), while the quotes live. Crossed quotes move nothing; the feed judges
/// them.
fn living_price(bid: PriceE8, ask: PriceE8, last: PriceE8) -> PriceE8 {
    if bid > ask { last } else { last.clamp(bid, ask) }
}

#[cfg(test)]
mod tests {
    use nsl_schemas::token::Venue;

    use super::*;

    fn read(body: &str) -> Result<Observation, Error> {
        let venue = Venue::parse("bitfinex").unwrap();
        parse(&Answer {
            venue: &venue,
            symbol: "tNEOUSD",
            body: body.as_bytes(),
            received_at_ms: 1_700_000_000_500,
            served_at_ms: 1_700_000_000_000,
        })
    }

    #[test]
    fn reads_the_documented_answer() {
        let observation =
            read("[2.5511,1200.5,2.5689,800,-0.0321,-0.0124,2.56,15342.55901,2.61,2.49]").unwrap();
        assert_eq!(observation.price_e8, PriceE8(256_000_000));
        assert_eq!(observation.bid_e8, Some(PriceE8(255_110_000)));
        assert_eq!(observation.ask_e8, Some(PriceE8(256_890_000)));
        assert_eq!(observation.observed_at_ms, 1_700_000_000_000);
    }

    #[test]
    fn an_old_trade_is_held_to_the_living_quotes() {
        for (bid, ask, last, expected) in
            [(200, 210, 205, 205), (200, 210, 150, 200), (200, 210, 900, 210), (210, 200, 500, 500)]
        {
            assert_eq!(living_price(PriceE8(bid), PriceE8(ask), PriceE8(last)), PriceE8(expected));
        }
    }

    #[test]
    fn refuses_every_other_answer_by_its_kind() {
        type Kind = fn(&Error) -> bool;
        let form: Kind = |error| matches!(error, Error::Form(_));
        let length: Kind = |error| matches!(error, Error::Length { .. });
        let reported: Kind = |error| matches!(error, Error::Reported(_));
        let number: Kind = |error| matches!(error, Error::Price { .. });
        for (body, kind) in [
            ("[\"error\",11010,\"ratelimit: error\"]", reported),
            ("[\"error\",10020,\"symbol: invalid\"]", reported),
            ("[[\"tNEOUSD\",2.5,1,2.6,1,0,0,2.55,1,2,2]]", length),
            ("[\"tNEOUSD\",2.5,1,2.6,1,0,0,2.55,1,2,2]", length),
            ("[2.5,1,2.6,1,0,0,2.55,1,2]", length),
            ("[2.5,1,2.6,1,0,0,null,1,2,2]", number),
            ("[2.5,1,2.6,1,0,0,\"2.55\",1,2,2]", number),
            ("[2.5,1,2.6,1,0,0,-2.55,1,2,2]", number),
            ("[2.5,1,2.6,1,0,0,0,1,2,2]", number),
            ("[2.5,1,2.6,1,0,0,1e30,1,2,2]", number),
            ("[0,1,2.6,1,0,0,2.55,1,2,2]", number),
            ("[2.5,1,{},1,0,0,2.55,1,2,2]", number),
            ("[2.5,1,2.6,1,0,0,NaN,1,2,2]", form),
            ("[2.5,1,2.6,1,0,0,2.55,1,2,2", form),
            ("[2.5,1,2.6,1,0,0,2.55,1,2,2] trailing", form),
            ("{\"last\":2.55}", form),
        ] {
            let error = read(body).unwrap_err();
            assert!(kind(&error), "{body}: {error:?}");
        }
    }

    #[test]
    fn exponents_are_numbers_too() {
        let observation = read("[2.5e-7,1,2.6E-7,1,0,0,2.55e-7,1,2,2]").unwrap();
        assert_eq!(observation.price_e8, PriceE8(26));
    }
}
