//! `nsl events tail`

use clap::Args;
use futures::StreamExt as _;
use nsl_client::EventFilter;
use nsl_client::events::FIRST_POSITION;
use nsl_schemas::token::{AggregateId, AggregateType, EventName, Tenant};

use super::line;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::{Invocation, Session};
use crate::shell::Shell;

/// How far back the tail begins when no position is given, as of `tail`.
const POSITIONS_BACK: u64 = 10;

/// Show events.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// The first position; by default the last ten positions, or with --follow only new events.
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// Only events of this tenant: the context's own, or with a context of the tenant system any.
    #[arg(long)]
    tenant: Option<Tenant>,
    /// Only events of this aggregate type, as wallet.
    #[arg(long, value_name = "TYPE")]
    aggregate: Option<AggregateType>,
    /// Only events of the aggregate with this id.
    #[arg(long)]
    id: Option<AggregateId>,
    /// Only events of this name, as transfer-confirmed.
    #[arg(long, value_name = "EVENT")]
    name: Option<EventName>,
    /// Go on with events as they come.
    #[arg(long)]
    follow: bool,
}

impl Tail {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let from_position = match self.from {
            Some(position) => position,
            None => self.default_position(&session).await?,
        };
        let Self { from: _, tenant, aggregate, id, name, follow } = self;
        let filter = EventFilter { tenant, aggregate, id, name };
        let mut events = if follow {
            session.client.events(&filter, from_position).await?
        } else {
            session.client.events_to_head(&filter, from_position).await?
        };
        while let Some(event) = events.next().await {
            let event = event?;
            let line = if invocation.shell.is_json() { line::json(&event)? } else { line::human(&event) };
            Shell::line(&line)?;
        }
        Ok(Outcome::Streamed)
    }

    async fn default_position(&self, session: &Session<'_>) -> Result<u64, Error> {
        let next = session.client.log_head().await? + 1;
        Ok(if self.follow { next } else { next.saturating_sub(POSITIONS_BACK).max(FIRST_POSITION) })
    }
}
