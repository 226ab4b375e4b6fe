//! Makes the rounds of one pair: follows its observations in stream order and proposes a round when one is
//! due, one at a time.

use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::Ordered;
use futures::StreamExt;
use nsl_bus::Bus;
use nsl_client::SendError;
use nsl_schemas::errors;
use nsl_schemas::token::Pair;
use nsl_telemetry::readiness::Gate;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::book::{Book, LastRound, Proposal, wait_until_due};
use crate::clock::now_ms;
use crate::config::FeedConfig;
use crate::metrics::Metrics;
use crate::proposer::{self, Proposer};
use crate::ticks;

/// First pause after something failed: long enough that a read model or a service that restarts has caught
/// up.
const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// Longest pause: every refused proposal is an event in the log, so a feed without quorum tries once a
/// minute.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// What to do after a proposal that was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Begin the feed, then propose again.
    Register,
    /// Another proposer was first, or the outcome is unknown: ask what the last round is.
    Relearn { at_position: Option<u64> },
    /// The round itself was not taken: later observations may do better.
    Pause,
}

/// The task of one pair.
pub(crate) struct RoundMaker {
    pub(crate) pair: Pair,
    pub(crate) feed: FeedConfig,
    pub(crate) bus: Bus,
    pub(crate) proposer: Proposer,
    pub(crate) metrics: Metrics,
    pub(crate) gate: Gate,
}

/// What the task knows.
struct State {
    book: Book,
    last: Option<LastRound>,
    /// The read model must hold this position before its answer counts.
    at_position: Option<u64>,
    backoff: Backoff,
    paused_until: Instant,
}

impl RoundMaker {
    /// Runs until `stop`; a proposal under way is awaited.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut state = State {
            book: Book::default(),
            last: None,
            at_position: None,
            backoff: Backoff::new(PAUSE_FIRST, PAUSE_MAX),
            paused_until: Instant::now(),
        };
        let mut reconnect = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
        while !stop.is_cancelled() {
            match ticks::subscribe(&self.bus, &self.pair).await {
                Ok(messages) => {
                    reconnect.succeeded();
                    self.follow(messages, &mut state, &stop).await;
                }
                Err(error) => {
                    self.warn(&error, "cannot follow observations");
                }
            }
            let pause = tokio::time::sleep(reconnect.failed());
            stop.run_until_cancelled(pause).await;
        }
    }

    /// Until `stop`, or until the stream fails and has to be opened anew.
    async fn follow(&self, mut messages: Ordered, state: &mut State, stop: &CancellationToken) {
        loop {
            let wait = self.wait(state);
            tokio::select! {
                () = stop.cancelled() => return,
                message = messages.next() => match message {
                    Some(Ok(message)) => self.take(&message, state),
                    Some(Err(error)) => {
                        self.warn(&error, "observations interrupted");
                        return;
                    }
                    None => return,
                },
                () = tokio::time::sleep(wait), if !wait.is_zero() => {}
            }
            self.advance(state).await;
        }
    }

    /// Until a round may become due without a new observation; zero when only an observation can help.
    fn wait(&self, state: &State) -> Duration {
        let paused = state.paused_until.saturating_duration_since(Instant::now());
        let due = state.last.map_or(Duration::ZERO, |last| wait_until_due(&self.feed, last, now_ms()));
        paused.max(due)
    }

    fn take(&self, message: &Message, state: &mut State) {
        match ticks::read_message(&self.pair, message) {
            Ok(observation) => state.book.take(observation),
            Err(error) => {
                self.metrics.ignored(&self.pair);
                self.warn(&error, "observation ignored");
            }
        }
    }

    /// Proposes a round if one is due.
    async fn advance(&self, state: &mut State) {
        if state.paused_until > Instant::now() {
            return;
        }
        let Some(last) = self.last_round(state).await else { return };
        let Some(proposal) = state.book.proposal(&self.feed, last, now_ms()) else { return };
        match self.proposer.record_round(&self.pair, &proposal.command).await {
            Ok(_) => self.accepted(proposal, state),
            Err(error) => self.not_accepted(&error, state).await,
        }
    }

    async fn last_round(&self, state: &mut State) -> Option<LastRound> {
        if state.last.is_none() {
            match self.proposer.last_round(&self.pair, state.at_position).await {
                Ok(last) => {
                    self.gate.open();
                    state.last = Some(last);
                }
                Err(error) => {
                    self.warn(&error, "the last round is not known");
                    self.gate.close("the last round is not known");
                    state.pause();
                }
            }
        }
        state.last
    }

    fn accepted(&self, proposal: Proposal, state: &mut State) {
        let Proposal { command, median_e8 } = proposal;
        self.metrics.proposed(&self.pair, "accepted");
        tracing::info!(pair = %self.pair, round = command.round, expected_e8 = %median_e8, "round recorded");
        state.backoff.succeeded();
        state.last =
            Some(LastRound { round: command.round, as_of_ms: command.as_of_ms, price_e8: median_e8 });
    }

    async fn not_accepted(&self, error: &proposer::Error, state: &mut State) {
        self.metrics.proposed(&self.pair, outcome(error));
        self.warn(error, "round not recorded");
        match next(error) {
            Next::Register => self.register(state).await,
            Next::Relearn { at_position } => {
                state.last = None;
                state.at_position = at_position.max(state.at_position);
                state.pause();
            }
            Next::Pause => state.pause(),
        }
    }

    fn warn(&self, error: &(dyn std::error::Error + 'static), what: &str) {
        tracing::warn!(pair = %self.pair, error, "{what}");
    }

    async fn register(&self, state: &mut State) {
        match self.proposer.register(&self.pair, &self.feed.rules).await {
            Ok(_) => tracing::info!(pair = %self.pair, "feed registered"),
            Err(error) => {
                self.warn(&error, "feed not registered");
                state.pause();
            }
        }
    }
}

impl State {
    fn pause(&mut self) {
        self.paused_until = Instant::now() + self.backoff.failed();
    }
}

fn next(error: &proposer::Error) -> Next {
    let proposer::Error::Send(error) = error else { return Next::Pause };
    match error {
        SendError::Rejected { code, .. } if *code == errors::FEED_UNKNOWN.code => Next::Register,
        SendError::Rejected { code, position, .. } if *code == errors::ROUND_OUT_OF_ORDER.code => {
            Next::Relearn { at_position: Some(*position) }
        }
        SendError::Rejected { .. } | SendError::Refused { .. } | SendError::Unavailable { .. } => Next::Pause,
        _ => Next::Relearn { at_position: None },
    }
}

/// A label for metrics: the stable code where there is one.
fn outcome(error: &proposer::Error) -> &str {
    match error {
        proposer::Error::Send(SendError::Rejected { code, .. } | SendError::Refused { code, .. }) => {
            errors::find(code).map_or("rejected", |known| known.code)
        }
        proposer::Error::Send(SendError::Unavailable { .. }) => "unavailable",
        proposer::Error::Send(_) => "unknown",
        proposer::Error::Prepare(_) => "not_sent",
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn rejected(code: &str) -> proposer::Error {
        let (code, message) = (code.to_owned(), String::new());
        SendError::Rejected { command_id: Uuid::nil(), code, message, position: 7 }.into()
    }

    #[test]
    fn every_refusal_leads_to_what_can_help() {
        let refused = SendError::Refused {
            command_id: Uuid::nil(),
            code: "not_authorised".to_owned(),
            message: String::new(),
            retry_after: None,
        };
        let unknown = SendError::OutcomeUnknown { command_id: Uuid::nil(), attempts: 3 };
        for (error, expected, label) in [
            (rejected("feed_unknown"), Next::Register, "feed_unknown"),
            (rejected("round_out_of_order"), Next::Relearn { at_position: Some(7) }, "round_out_of_order"),
            (rejected("round_without_quorum"), Next::Pause, "round_without_quorum"),
            (rejected("a code\nof tomorrow"), Next::Pause, "rejected"),
            (refused.into(), Next::Pause, "not_authorised"),
            (unknown.into(), Next::Relearn { at_position: None }, "unknown"),
        ] {
            assert_eq!((next(&error), outcome(&error)), (expected, label));
        }
    }
}
