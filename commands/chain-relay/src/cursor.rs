//! The block cursor: one task that asks for the height and reads every new block once, in order, for all jobs.

use std::sync::Arc;
use std::time::Duration;

use nsl_neo_rpc::{Client, Error};
use nsl_telemetry::readiness::Gate;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::watchlist::Watchlist;

/// Reads blocks.
pub(crate) struct Cursor {
    pub(crate) node: Arc<Client>,
    pub(crate) watchlist: Watchlist,
    pub(crate) poll: Duration,
    pub(crate) metrics: Metrics,
    /// Open while the node answers.
    pub(crate) gate: Gate,
}

impl Cursor {
    /// Reads until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut poll = tokio::time::interval(self.poll);
        // After a slow node, asking in a burst would not bring blocks sooner.
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = poll.tick() => {}
            }
            let Some(outcome) = stop.run_until_cancelled(self.catch_up()).await else { return };
            match outcome {
                Ok(()) => self.gate.open(),
                Err(error) => {
                    self.metrics.node_failed("blocks");
                    self.gate.close(error.to_string());
                    tracing::warn!(error = &error as &dyn std::error::Error, "blocks cannot be read");
                }
            }
        }
    }

    async fn catch_up(&self) -> Result<(), Error> {
        let block_count = self.node.block_count().await?;
        while let Some(index) = self.watchlist.next_unread(block_count) {
            // A node may count a block before it serves it; the next round reads it.
            let Some(block) = self.node.block(index).await? else { return Ok(()) };
            self.watchlist.tell(&block);
        }
        Ok(())
    }
}
