//! Makes streams again that were deleted, or whose server lost its data: they hold no fact that the log lacks (D1).

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::drift::DriftPolicy;
use crate::{Bus, StreamDefinition, stream};

/// How often the streams are looked at: a deleted one is missed for that long at most.
const STREAM_CHECK: Duration = Duration::from_secs(5);

impl Bus {
    /// Brings the server to all of the definitions.
    pub async fn ensure_streams(&self, definitions: &[StreamDefinition]) -> Result<(), stream::Error> {
        for definition in definitions {
            self.ensure_stream(definition, DriftPolicy::Update).await?;
        }
        Ok(())
    }

    /// Ensures the streams again and again until `stop`. Consumers of a deleted stream end with it: who reads by
    /// [`crate::consumer::messages`] hears of it and ensures its own.
    pub async fn keep_streams(self, definitions: Vec<StreamDefinition>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(STREAM_CHECK)).await.is_some() {
            if let Some(Err(error)) = stop.run_until_cancelled(self.ensure_streams(&definitions)).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "streams cannot be looked at");
            }
        }
    }
}
