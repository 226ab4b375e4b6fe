//! `nsl authority register-root`

use std::path::PathBuf;

use clap::Args;
use nsl_client::prepared::unix_now_ms;
use nsl_client::{Prepared, authority};
use nsl_schemas::command::authority as command;
use nsl_schemas::nkey::{PublicKey, SigningKey};
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::Tenant;
use uuid::Uuid;

use super::subject;
use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::session::{Invocation, Session, payload};

/// Name a tenant's root key.
#[derive(Debug, Args)]
pub(crate) struct RegisterRoot {
    /// The root's public key (U…).
    #[arg(value_parser = PublicKey::parse)]
    key: PublicKey,
    /// Whose root; by default the context's tenant.
    #[arg(long)]
    tenant: Option<Tenant>,
    /// The seed file of a key of the genesis quorum; repeat it until the quorum is met.
    #[arg(long, value_name = "FILE", required = true)]
    quorum_seed: Vec<PathBuf>,
    /// The id of a command that was sent before, to send it again.
    #[arg(long)]
    id: Option<Uuid>,
}

impl RegisterRoot {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let tenant = self.tenant.clone().unwrap_or_else(|| session.tenant().clone());
        let subject = subject(&tenant, "register-root");
        let prepared = match session.kept(self.id, &subject)? {
            Some(prepared) => prepared,
            None => self.prepare(&session, &subject)?,
        };
        let key = payload::<command::RegisterRoot>(&prepared)?.root.statement.key;
        let result = session.deliver(&prepared).await?;
        Ok(Outcome::RootRegistered { key, command: result.into() })
    }

    fn prepare(self, session: &Session<'_>, subject: &CommandSubject) -> Result<Prepared, Error> {
        let Self { key, tenant: _, quorum_seed, id } = self;
        let keys: Vec<SigningKey> =
            quorum_seed.iter().map(|path| files::read_seed(path)).collect::<Result<_, _>>()?;
        let keys: Vec<&SigningKey> = keys.iter().collect();
        let genesis = session.genesis()?.statement;
        let payload = authority::register_root(&genesis, &subject.tenant, key, unix_now_ms(), &keys)?;
        Ok(session.client.prepare_with_id(id.unwrap_or_else(Uuid::now_v7), subject, &payload)?)
    }
}
