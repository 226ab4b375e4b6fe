//! What this service asks of the command side: the feed's commands, and the last round from the read model.

use std::time::Duration;

use nsl_client::{Client, QueryError, SendError, prepared};
use nsl_schemas::command::price_feed::{RecordRound, Register};
use nsl_schemas::errors;
use nsl_schemas::price::FeedRules;
use nsl_schemas::query::{self, ById, Price};
use nsl_schemas::result::CommandResult;
use nsl_schemas::token::{AggregateId, Pair, Tenant};
use serde::Serialize;

use crate::book::LastRound;

/// How long a command of ours may wait for its decision: a later round replaces it anyway.
pub(crate) const COMMAND_LIFETIME: Duration = Duration::from_mins(1);

const AGGREGATE: &str = "price-feed";

/// Why a command has no accepted result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("command cannot be made")]
    Prepare(#[from] prepared::Error),
    #[error("command was not accepted")]
    Send(#[from] SendError),
}

/// Proposes rounds of every feed.
#[derive(Debug, Clone)]
pub(crate) struct Proposer {
    client: Client,
}

impl Proposer {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Proposes a round.
    pub(crate) async fn record_round(
        &self,
        pair: &Pair,
        round: &RecordRound,
    ) -> Result<CommandResult, Error> {
        self.command(pair, "record-round", round).await
    }

    /// Begins the feed.
    pub(crate) async fn register(&self, pair: &Pair, rules: &FeedRules) -> Result<CommandResult, Error> {
        self.command(pair, "register", &Register { rules: rules.clone() }).await
    }

    /// The last round, from a read model that holds `at_position`; round 0 when the feed has none.
    pub(crate) async fn last_round(
        &self,
        pair: &Pair,
        at_position: Option<u64>,
    ) -> Result<LastRound, QueryError> {
        let question = ById { id: pair.to_string(), at_position };
        match self.client.query(&Tenant::system(), query::name::PRICE, &question).await {
            Ok(Price { round, as_of_ms, price_e8, .. }) => Ok(LastRound { round, as_of_ms, price_e8 }),
            Err(QueryError::Answered { code, .. }) if code == errors::NOT_FOUND.code => {
                Ok(LastRound::default())
            }
            Err(error) => Err(error),
        }
    }

    async fn command<P: Serialize>(
        &self,
        pair: &Pair,
        verb: &str,
        payload: &P,
    ) -> Result<CommandResult, Error> {
        let feed = AggregateId::parse(pair.as_str()).map_err(prepared::Error::from)?;
        let subject = self.client.subject(AGGREGATE, &feed, verb)?;
        let prepared = self.client.prepare(&subject, payload)?;
        Ok(self.client.send(&prepared).await?)
    }
}
