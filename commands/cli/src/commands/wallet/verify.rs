//! `nsl wallet verify`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use nsl_client::birth::Expectation;
use nsl_client::events::{self, FIRST_POSITION};
use nsl_client::wallet::events_of;
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::policy::Policy;
use nsl_schemas::token::AggregateId;
use uuid::Uuid;

use super::with_address;
use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::session::{Invocation, Session};

/// Check a wallet's birth certificate.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The wallet's id.
    wallet: AggregateId,
    /// The first policy that you gave the wallet; without it, the one in the log is taken, and shown for you to judge.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl Verify {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let genesis = session.genesis()?.statement;
        let shown = session.wallet(&self.wallet).await?;
        let Some(shown_address) = shown.address else {
            return Err(Error::WalletNotOpen { wallet: self.wallet.to_string(), status: shown.status });
        };
        let limit = invocation.timeout();
        let policy = match &self.policy {
            Some(path) => files::read_policy(path)?,
            None => first_policy(&session, &self.wallet, shown.request_id, limit).await?,
        };
        let operators = session.client.operators(&genesis).await?;
        let expectation = Expectation {
            genesis: &genesis,
            operators: &operators,
            tenant: session.tenant(),
            wallet: &self.wallet,
            command_id: shown.request_id,
            policy_sha256: policy.sha256(),
            owners: &policy.owners,
        };
        let born = session.client.await_birth(&expectation, FIRST_POSITION, limit).await?;
        let checked = with_address(born)?;
        if checked.address == shown_address {
            return Ok(Outcome::WalletVerified(checked));
        }
        let wallet = self.wallet.to_string();
        Err(Error::AddressMismatch { wallet, shown: shown_address, attested: checked.address })
    }
}

/// The policy with which the log says that the wallet was asked for.
async fn first_policy(
    session: &Session<'_>,
    wallet: &AggregateId,
    request_id: Uuid,
    limit: Duration,
) -> Result<Policy, events::Error> {
    let filter = events_of(session.tenant(), wallet);
    session
        .client
        .wait_for_event(&filter, FIRST_POSITION, limit, |event| {
            if event.name() != "creation-requested" {
                return Ok(None);
            }
            Ok(match event.decode()? {
                WalletEvent::CreationRequested(asked) if asked.request_id == request_id => Some(asked.policy),
                _ => None,
            })
        })
        .await
}
