//! What each replayed venue quotes at a step of the base series. Pure, integers only: the same step gives the
//! same prices.

/// NEO in 10^-8 USD, one price a line: an integer walk around 2.56 USD with steps of at most 15 bps.
const NEO_USD_E8: &str = include_str!("neo_usd_e8.txt");

/// Half of the distance between bid and ask, in basis points.
const HALF_SPREAD_BPS: u64 = 5;

/// A venue that this replayer speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Venue {
    Bitfinex,
    Coingecko,
    Coinpaprika,
}

impl Venue {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "bitfinex" => Some(Self::Bitfinex),
            "coingecko" => Some(Self::Coingecko),
            "coinpaprika" => Some(Self::Coinpaprika),
            _ => None,
        }
    }

    /// Basis points above 10,000 by which it lies off the base series: venues never agree exactly.
    fn level_bps(self) -> u64 {
        match self {
            Self::Bitfinex => 10_003,
            Self::Coingecko => 9_998,
            Self::Coinpaprika => 10_001,
        }
    }
}

/// Prices in 10^-8 USD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quote {
    pub(super) bid_e8: u64,
    pub(super) ask_e8: u64,
    pub(super) last_e8: u64,
}

impl Quote {
    /// Half as much again: believable by itself, far from the other venues.
    pub(super) fn as_outlier(self) -> Self {
        let up = |price_e8: u64| price_e8 / 2 * 3;
        Self { bid_e8: up(self.bid_e8), ask_e8: up(self.ask_e8), last_e8: up(self.last_e8) }
    }
}

/// The base series, played forwards and then backwards, so that it never jumps.
#[derive(Debug)]
pub(super) struct Series(Vec<u64>);

impl Series {
    /// The series of the data file.
    pub(super) fn neo_usd() -> Result<Self, std::num::ParseIntError> {
        NEO_USD_E8.lines().map(str::parse).collect::<Result<_, _>>().map(Self)
    }

    /// What `venue` quotes at `step`.
    pub(super) fn quote(&self, venue: Venue, step: u64) -> Quote {
        let last = self.0.len().saturating_sub(1);
        let turn = u64::try_from(2 * last).unwrap_or(u64::MAX).max(1);
        let index = usize::try_from(step % turn).unwrap_or_default();
        let base_e8 = self.0.get(index.min(2 * last - index)).copied().unwrap_or_default();
        let last_e8 = base_e8 * venue.level_bps() / 10_000;
        let half_spread_e8 = last_e8 * HALF_SPREAD_BPS / 10_000;
        Quote { bid_e8: last_e8 - half_spread_e8, ask_e8: last_e8 + half_spread_e8, last_e8 }
    }
}

/// A price as venues write it in JSON: a number with no more digits than needed.
pub(super) fn decimal(price_e8: u64) -> String {
    let text = format!("{}.{:08}", price_e8 / 100_000_000, price_e8 % 100_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VENUES: [Venue; 3] = [Venue::Bitfinex, Venue::Coingecko, Venue::Coinpaprika];

    #[test]
    fn prices_move_in_small_steps_for_ever_and_venues_stay_close() {
        let series = Series::neo_usd().unwrap();
        let mut different = std::collections::BTreeSet::new();
        for step in 0..1_000 {
            let quotes = VENUES.map(|venue| series.quote(venue, step));
            let [first, second, third] = quotes.map(|quote| quote.last_e8);
            assert!(first > third && third > second && first - second < first / 1_000, "step {step}");
            assert!(quotes.iter().all(|quote| quote.bid_e8 < quote.last_e8 && quote.last_e8 < quote.ask_e8));
            let next = series.quote(Venue::Bitfinex, step + 1).last_e8;
            assert!(first.abs_diff(next) <= first / 500, "step {step}: {first} to {next}");
            different.insert(first);
        }
        assert!(different.len() > 100);
    }

    #[test]
    fn decimals_have_no_idle_zeros() {
        for (price_e8, expected) in
            [(256_010_000, "2.5601"), (100_000_000, "1"), (1, "0.00000001"), (1_000_000_000, "10"), (0, "0")]
        {
            assert_eq!(decimal(price_e8), expected);
        }
    }
}
