//! From observations to a price: bounds, quotes, age, then outliers by the median absolute deviation with a floor.
//!
//! A z-score would reject nothing here: of n ≤ 5 values, one infinite outlier has z ≤ √(n−1). The median and the MAD
//! hold as long as more than half of the venues are honest.

use nsl_schemas::number::PriceE8;
use nsl_schemas::price::{FeedRules, JudgedObservation, Observation, Verdict};

/// An observation is an outlier beyond three standard deviations, estimated as 1.4826 × MAD: 4.4478, in 10⁻⁴.
const OUTLIER_MADS_E4: u128 = 44_478;

/// What a round's observations amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Price and confidence, where any observation was accepted.
    pub price: Option<(PriceE8, PriceE8)>,
    /// Every input with its verdict, in the order given.
    pub observations: Vec<JudgedObservation>,
}

/// Judges each observation at `as_of_ms` and computes the median of the accepted ones.
///
/// The confidence is the largest distance of an accepted observation from the price.
pub fn judge(rules: &FeedRules, as_of_ms: u64, observations: &[Observation]) -> Judgement {
    let mut judged: Vec<_> = observations
        .iter()
        .map(|one| JudgedObservation { observation: one.clone(), verdict: judge_alone(rules, as_of_ms, one) })
        .collect();
    if let Some(center) = median(accepted(&judged)) {
        let distances = accepted(&judged).into_iter().map(|price| price.abs_diff(center)).collect();
        let mad = u128::from(median(distances).unwrap_or_default());
        let floor = u128::from(center) * u128::from(rules.deviation_floor_bps) / 10_000;
        let bound = floor.max(mad * OUTLIER_MADS_E4 / 10_000);
        for one in judged.iter_mut().filter(|one| one.verdict == Verdict::Accepted) {
            if u128::from(one.observation.price_e8.0.abs_diff(center)) > bound {
                one.verdict = Verdict::Outlier;
            }
        }
    }
    let price = median(accepted(&judged)).map(|price| {
        let confidence =
            accepted(&judged).into_iter().map(|one| one.abs_diff(price)).max().unwrap_or_default();
        (PriceE8(price), PriceE8(confidence))
    });
    Judgement { price, observations: judged }
}

/// The rules that look at one observation, in order.
fn judge_alone(rules: &FeedRules, as_of_ms: u64, one: &Observation) -> Verdict {
    let is_believable = |price: PriceE8| (rules.price_min_e8..=rules.price_max_e8).contains(&price);
    if !is_believable(one.price_e8)
        || !one.bid_e8.is_none_or(is_believable)
        || !one.ask_e8.is_none_or(is_believable)
    {
        return Verdict::OutOfBounds;
    }
    if matches!((one.bid_e8, one.ask_e8), (Some(bid), Some(ask)) if bid > ask) {
        return Verdict::CrossedQuote;
    }
    if one.observed_at_ms > as_of_ms {
        return Verdict::FromTheFuture;
    }
    if as_of_ms - one.observed_at_ms > rules.age_max_ms {
        return Verdict::Stale;
    }
    Verdict::Accepted
}

fn accepted(judged: &[JudgedObservation]) -> Vec<u64> {
    judged
        .iter()
        .filter(|one| one.verdict == Verdict::Accepted)
        .map(|one| one.observation.price_e8.0)
        .collect()
}

/// The middle value; of an even number, the mean of the middle two, rounded down.
fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = values.get(values.len() / 2 - 1).copied()?;
    Some(lower + (upper - lower) / 2)
}
