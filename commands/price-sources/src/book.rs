//! The latest observation of each venue for one pair, and when they are worth a round. Pure: time is an
//! argument.

use std::collections::BTreeMap;
use std::time::Duration;

use nsl_schemas::command::price_feed::RecordRound;
use nsl_schemas::number::PriceE8;
use nsl_schemas::price::Observation;
use nsl_schemas::token::Venue;

use crate::config::FeedConfig;

/// Basis points of one.
const BPS_ONE: u128 = 10_000;

/// The last recorded round, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LastRound {
    /// 0 before the first.
    pub(crate) round: u64,
    /// The time for which its price holds, Unix ms.
    pub(crate) as_of_ms: u64,
    /// Its price, or what we expect it to be; 0 before the first.
    pub(crate) price_e8: PriceE8,
}

/// A round worth proposing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) command: RecordRound,
    /// The median of the fresh observations: the price that we expect.
    pub(crate) median_e8: PriceE8,
}

/// What each venue said last. Venues come from the build's registry, so the book is bounded.
#[derive(Debug, Default)]
pub(crate) struct Book {
    latest: BTreeMap<Venue, Observation>,
}

impl Book {
    /// Takes an observation, unless a later one of its venue is known: two sites may publish the same venue.
    pub(crate) fn take(&mut self, observation: Observation) {
        let known = self.latest.get(&observation.venue);
        if known.is_none_or(|known| known.observed_at_ms <= observation.observed_at_ms) {
            self.latest.insert(observation.venue.clone(), observation);
        }
    }

    /// The next round, if it has a quorum of fresh observations, says something later than the last one, and
    /// is due by time or by how far the price moved.
    ///
    /// It holds for the time of its newest observation, not for the present: a reader's maximum age then
    /// counts from what was seen. Stale observations go along, so that the log shows why a venue did not
    /// count.
    pub(crate) fn proposal(&self, feed: &FeedConfig, last: LastRound, now_ms: u64) -> Option<Proposal> {
        let observations: Vec<_> = self
            .latest
            .values()
            .filter(|observation| observation.observed_at_ms <= now_ms)
            .cloned()
            .collect();
        let as_of_ms = observations.iter().map(|observation| observation.observed_at_ms).max()?;
        if as_of_ms <= last.as_of_ms {
            return None;
        }
        let rules = &feed.rules;
        let oldest_ms = now_ms.saturating_sub(rules.age_max_ms);
        let mut fresh: Vec<u64> = observations
            .iter()
            .filter(|observation| observation.observed_at_ms >= oldest_ms)
            .map(|observation| observation.price_e8.0)
            .filter(|price| (rules.price_min_e8.0..=rules.price_max_e8.0).contains(price))
            .collect();
        if fresh.len() < usize::from(rules.sources_min) {
            return None;
        }
        let median_e8 = PriceE8(median(&mut fresh)?);
        let due = wait_ms(feed, last, now_ms) == 0
            || moved(last.price_e8, median_e8, feed.round_deviation_bps.get());
        let command = RecordRound { round: last.round.checked_add(1)?, as_of_ms, observations };
        due.then_some(Proposal { command, median_e8 })
    }
}

/// How long until the next round is due by time.
pub(crate) fn wait_until_due(feed: &FeedConfig, last: LastRound, now_ms: u64) -> Duration {
    Duration::from_millis(wait_ms(feed, last, now_ms))
}

fn wait_ms(feed: &FeedConfig, last: LastRound, now_ms: u64) -> u64 {
    last.as_of_ms.saturating_add(feed.round_interval_ms.get()).saturating_sub(now_ms)
}

fn median(prices: &mut [u64]) -> Option<u64> {
    prices.sort_unstable();
    let upper = *prices.get(prices.len() / 2)?;
    if prices.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *prices.get(prices.len() / 2 - 1)?;
    Some(lower + (upper - lower) / 2)
}

fn moved(from: PriceE8, to: PriceE8, bps: u32) -> bool {
    u128::from(from.0.abs_diff(to.0)) * BPS_ONE >= u128::from(from.0) * u128::from(bps)
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use nsl_schemas::price::FeedRules;

    use super::*;

    const NOW_MS: u64 = 1_000_000;

    fn feed() -> FeedConfig {
        FeedConfig {
            enabled: true,
            round_interval_ms: NonZeroU64::new(60_000).unwrap(),
            round_deviation_bps: NonZeroU32::new(50).unwrap(),
            rules: FeedRules {
                sources_min: 2,
                age_max_ms: 300_000,
                deviation_floor_bps: 100,
                price_min_e8: PriceE8(10),
                price_max_e8: PriceE8(1_000_000),
            },
        }
    }

    fn book(observations: &[(&str, u64, u64)]) -> Book {
        let mut book = Book::default();
        for (venue, price, observed_at_ms) in observations {
            book.take(Observation {
                venue: Venue::parse(venue).unwrap(),
                price_e8: PriceE8(*price),
                bid_e8: None,
                ask_e8: None,
                observed_at_ms: *observed_at_ms,
            });
        }
        book
    }

    fn last(round: u64, as_of_ms: u64, price: u64) -> LastRound {
        LastRound { round, as_of_ms, price_e8: PriceE8(price) }
    }

    #[test]
    fn the_first_round_needs_only_a_quorum() {
        let proposal =
            book(&[("a", 1_000, NOW_MS - 10), ("b", 1_010, NOW_MS - 5), ("c", 900, NOW_MS - 400_000)])
                .proposal(&feed(), LastRound::default(), NOW_MS)
                .unwrap();
        assert_eq!((proposal.command.round, proposal.command.as_of_ms), (1, NOW_MS - 5));
        assert_eq!(proposal.median_e8, PriceE8(1_005), "the stale one does not count");
        assert_eq!(proposal.command.observations.len(), 3, "the stale one goes along");
    }

    #[test]
    fn a_round_is_proposed_when_due_by_time_or_by_movement_and_never_without_quorum() {
        type Case = (&'static str, &'static [(&'static str, u64, u64)], LastRound, bool);
        let (recent, old) = (last(7, NOW_MS - 59_999, 1_000), last(7, NOW_MS - 60_000, 1_000));
        let cases: [Case; 11] = [
            ("nothing is known", &[], LastRound::default(), false),
            ("one venue", &[("a", 1_000, NOW_MS)], LastRound::default(), false),
            ("not due", &[("a", 1_000, NOW_MS), ("b", 1_004, NOW_MS)], recent, false),
            ("due by time", &[("a", 1_000, NOW_MS), ("b", 1_004, NOW_MS)], old, true),
            ("up by 50 bps", &[("a", 1_005, NOW_MS), ("b", 1_005, NOW_MS)], recent, true),
            ("down by 50 bps", &[("a", 995, NOW_MS), ("b", 995, NOW_MS)], recent, true),
            (
                "one wild venue of three",
                &[("a", 1_000, NOW_MS), ("b", 1_001, NOW_MS), ("c", 9_000, NOW_MS)],
                recent,
                false,
            ),
            ("one stale", &[("a", 1_000, NOW_MS), ("b", 1_000, NOW_MS - 300_001)], old, false),
            ("one out of bounds", &[("a", 1_000, NOW_MS), ("b", 1_000_001, NOW_MS)], old, false),
            ("one from the future", &[("a", 1_000, NOW_MS), ("b", 1_000, NOW_MS + 1)], old, false),
            ("nothing new", &[("a", 1_000, 940_000), ("b", 1_000, 940_000)], old, false),
        ];
        for (name, observations, last, expected) in cases {
            let proposal = book(observations).proposal(&feed(), last, NOW_MS);
            assert_eq!(proposal.is_some(), expected, "{name}");
            if let Some(proposal) = proposal {
                assert_eq!(proposal.command.round, last.round + 1, "{name}");
                assert!(proposal.command.as_of_ms <= NOW_MS, "{name}");
            }
        }
    }

    #[test]
    fn an_earlier_observation_does_not_replace_a_later_one() {
        let proposal = book(&[("a", 1_000, 900_000), ("b", 1_000, 900_000), ("a", 2_000, 899_999)])
            .proposal(&feed(), LastRound::default(), NOW_MS)
            .unwrap();
        assert_eq!(proposal.median_e8, PriceE8(1_000));
    }

    #[test]
    fn the_median_needs_no_room_beyond_its_type() {
        for (prices, expected) in [
            (vec![], None),
            (vec![3], Some(3)),
            (vec![9, 1, 5], Some(5)),
            (vec![4, 1], Some(2)),
            (vec![u64::MAX, u64::MAX - 2], Some(u64::MAX - 1)),
        ] {
            assert_eq!(median(&mut prices.clone()), expected, "{prices:?}");
        }
        assert!(moved(PriceE8(1), PriceE8(u64::MAX), u32::MAX));
    }

    #[test]
    fn the_wait_ends_when_the_interval_has_passed() {
        assert_eq!(wait_until_due(&feed(), last(1, NOW_MS, 1), NOW_MS), Duration::from_mins(1));
        assert_eq!(wait_until_due(&feed(), last(1, NOW_MS - 70_000, 1), NOW_MS), Duration::ZERO);
        assert_eq!(wait_until_due(&feed(), last(1, u64::MAX, 1), u64::MAX), Duration::ZERO);
    }
}
