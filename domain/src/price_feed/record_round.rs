//! `record-round`: accept the next round if enough of its observations hold.

use nsl_schemas::command::price_feed::{PriceFeedCommand, RecordRound};
use nsl_schemas::errors;
use nsl_schemas::event::price_feed::{PriceFeedEvent, RoundRecorded};
use nsl_schemas::price::{OBSERVATIONS_MAX, Verdict};

use super::{PriceFeed, judge};
use crate::decision::{Order, Rejection};

impl PriceFeed {
    pub(super) fn record_round(
        &self,
        order: &Order<PriceFeedCommand>,
        command: &RecordRound,
    ) -> Result<Vec<PriceFeedEvent>, Rejection> {
        let reject = |code, message: String| Err(Rejection::new(code, message));
        let Some(rules) = &self.rules else {
            return reject(errors::FEED_UNKNOWN, "the feed is not registered".to_owned());
        };
        if command.observations.len() > OBSERVATIONS_MAX {
            return reject(
                errors::LIMIT_EXCEEDED,
                format!("a round has at most {OBSERVATIONS_MAX} observations"),
            );
        }
        if command.round != self.last_round + 1 || command.as_of_ms <= self.last_as_of_ms {
            let (round, as_of_ms) = (self.last_round, self.last_as_of_ms);
            return reject(
                errors::ROUND_OUT_OF_ORDER,
                format!("the last round is {round}, as of {as_of_ms}"),
            );
        }
        if command.as_of_ms > order.issued_at_ms || order.issued_at_ms - command.as_of_ms > rules.age_max_ms {
            return reject(
                errors::ROUND_TIME_IMPLAUSIBLE,
                format!("as of {} in a command issued at {}", command.as_of_ms, order.issued_at_ms),
            );
        }
        let venues: std::collections::BTreeSet<_> =
            command.observations.iter().map(|one| &one.venue).collect();
        if venues.len() != command.observations.len() {
            return reject(errors::ROUND_VENUE_REPEATED, "a venue appears twice".to_owned());
        }
        let judgement = judge(rules, command.as_of_ms, &command.observations);
        let accepted = judgement.observations.iter().filter(|one| one.verdict == Verdict::Accepted).count();
        let Some((price_e8, confidence_e8)) =
            judgement.price.filter(|_| accepted >= usize::from(rules.sources_min))
        else {
            let verdicts: Vec<_> = judgement
                .observations
                .iter()
                .map(|one| format!("{} {:?}", one.observation.venue, one.verdict))
                .collect();
            return reject(
                errors::ROUND_WITHOUT_QUORUM,
                format!("{accepted} of {} needed: {}", rules.sources_min, verdicts.join(", ")),
            );
        };
        Ok(vec![
            RoundRecorded {
                round: command.round,
                as_of_ms: command.as_of_ms,
                price_e8,
                confidence_e8,
                observations: judgement.observations,
            }
            .into(),
        ])
    }
}
