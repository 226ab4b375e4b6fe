//! `nsl wallet set-policy`

use std::path::{Path, PathBuf};

use clap::Args;
use nsl_client::events;
use nsl_client::wallet::events_of;
use nsl_client::{Prepared, PublishedEvent};
use nsl_schemas::authority::Signed;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::command::wallet as command;
use nsl_schemas::event::wallet::{Refusal, WalletEvent};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::policy::PolicyChange;
use nsl_schemas::token::AggregateId;
use uuid::Uuid;

use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::session::{Invocation, Session};

/// Replace a wallet's policy.
#[derive(Debug, Args)]
pub(crate) struct SetPolicy {
    /// The wallet's id.
    wallet: AggregateId,
    /// The new policy as JSON.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The seed file of an owner; repeat it until the owners' quorum is met. By default the context's issuer signs.
    #[arg(long, value_name = "FILE")]
    owner_seed: Vec<PathBuf>,
    /// The id of a command that was sent before, to send it again.
    #[arg(long)]
    id: Option<Uuid>,
}

/// How the change ended.
enum Change {
    Made { policy_sha256: Sha256, position: u64 },
    Refused { code: String, message: String },
}

impl SetPolicy {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let Self { wallet, policy, owner_seed, id } = self;
        let session = invocation.connect().await?;
        let subject = session.client.subject("wallet", &wallet, "set-policy")?;
        let prepared = match session.kept(id, &subject)? {
            Some(prepared) => prepared,
            None => prepare(&session, &wallet, &policy, &owner_seed, id).await?,
        };
        let result = session.deliver(&prepared).await?;
        let filter = events_of(session.tenant(), &wallet);
        let (from_position, limit) = (result.first_position, invocation.timeout());
        let change = session
            .client
            .wait_for_event(&filter, from_position, limit, |event| change_end(event, result.command_id))
            .await?;
        match change {
            Change::Made { policy_sha256, position } => {
                Ok(Outcome::PolicyChanged { wallet, policy_sha256, position, command: result.into() })
            }
            Change::Refused { code, message } => Err(Error::WorkerRefused { code, message }),
        }
    }
}

async fn prepare(
    session: &Session<'_>,
    wallet: &AggregateId,
    policy: &Path,
    owner_seeds: &[PathBuf],
    id: Option<Uuid>,
) -> Result<Prepared, Error> {
    let policy = files::read_policy(policy)?;
    let previous_sha256 = session.wallet(wallet).await?.policy.sha256();
    let owners: Vec<SigningKey> =
        owner_seeds.iter().map(|path| files::read_seed(path)).collect::<Result<_, _>>()?;
    let keys = if owners.is_empty() { vec![session.issuer()?] } else { owners.iter().collect() };
    let change =
        PolicyChange { tenant: session.tenant().clone(), wallet: wallet.clone(), previous_sha256, policy };
    let payload = command::SetPolicy { change: Signed::sign(change, &keys) };
    let subject = session.client.subject("wallet", wallet, "set-policy")?;
    Ok(session.client.prepare_with_id(id.unwrap_or_else(Uuid::now_v7), &subject, &payload)?)
}

fn change_end(event: &PublishedEvent, request_id: Uuid) -> Result<Option<Change>, events::Error> {
    if !matches!(event.name(), "policy-changed" | "policy-change-refused") {
        return Ok(None);
    }
    Ok(match event.decode()? {
        WalletEvent::PolicyChanged(changed) if changed.request_id == request_id => {
            Some(Change::Made { policy_sha256: changed.policy.sha256(), position: event.position })
        }
        WalletEvent::PolicyChangeRefused(refused) if refused.request_id == request_id => {
            let Refusal { code, message, outcome: _ } = refused.refusal;
            Some(Change::Refused { code, message })
        }
        _ => None,
    })
}
