//! What the network asks of every transaction, remembered for a few seconds: a quote rests on it, and it changes by
//! votes only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nsl_neo::FeePolicy;
use nsl_neo_rpc::{Client, Error};
use tokio::sync::Mutex;

/// How old the remembered terms may be: shorter than a block's usual time.
const AGE_MAX: Duration = Duration::from_secs(5);

/// The terms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) network_magic: u32,
    pub(super) valid_until_block_increment_max: u32,
    pub(super) fee_policy: FeePolicy,
}

/// Reads and remembers the terms.
#[derive(Debug)]
pub(super) struct NetworkTerms {
    node: Arc<Client>,
    // Held while the node is asked, so that many questions at once ask it once.
    remembered: Mutex<Option<(Instant, Terms)>>,
}

impl NetworkTerms {
    pub(super) fn new(node: Arc<Client>) -> Self {
        Self { node, remembered: Mutex::new(None) }
    }

    pub(super) async fn get(&self) -> Result<Terms, Error> {
        let mut remembered = self.remembered.lock().await;
        if let Some((read_at, terms)) = *remembered
            && read_at.elapsed() < AGE_MAX
        {
            return Ok(terms);
        }
        let version = self.node.version().await?;
        let terms = Terms {
            network_magic: version.network_magic,
            valid_until_block_increment_max: version.max_valid_until_block_increment,
            fee_policy: self.node.fee_policy().await?,
        };
        *remembered = Some((Instant::now(), terms));
        Ok(terms)
    }
}
