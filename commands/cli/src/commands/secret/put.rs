//! `nsl secret put`

use std::path::PathBuf;

use clap::Args;
use nsl_client::{Prepared, secret};
use nsl_schemas::command::secret::Store;
use nsl_schemas::secret::SECRET_BYTES_MAX;
use nsl_schemas::token::AggregateId;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::terms::Terms;
use super::{found, named};
use crate::error::Error;
use crate::files;
use crate::outcome::{Outcome, SecretSealed};
use crate::session::{Invocation, Session};

/// Store a secret.
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// Its name.
    secret: AggregateId,
    /// The file that holds the secret, of at most 4,094 bytes; - is standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    terms: Terms,
    /// The id of a command that was sent before, to send it again.
    #[arg(long)]
    id: Option<Uuid>,
}

impl Put {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let (secret, id) = (self.secret.clone(), self.id);
        let subject = session.client.subject("secret", &secret, "store")?;
        let prepared = match session.kept(id, &subject)? {
            Some(prepared) => prepared,
            None => self.prepare(&session).await?,
        };
        let result = session.deliver(&prepared).await?;
        let (from, limit) = (result.first_position, invocation.timeout());
        let tenant = session.tenant();
        let sealed = session.client.await_sealed(tenant, &secret, result.command_id, from, limit).await?;
        Ok(Outcome::SecretStored(SecretSealed::new(secret, &sealed, result)))
    }

    async fn prepare(self, session: &Session<'_>) -> Result<Prepared, Error> {
        let Self { secret, file, terms, id } = self;
        let genesis = session.genesis()?.statement;
        let policy = terms.policy(session.issuer()?.public())?;
        let content = Zeroizing::new(files::read_or_stdin(file, SECRET_BYTES_MAX as u64).await?);
        let present = found(session, &secret).await?.map_or(0, |shown| shown.version);
        let version = present.saturating_add(1);
        let operators = session.client.operators(&genesis).await?;
        let pool_key = session.client.secret_pool_key(&genesis, &operators).await?;
        let name = named(session, &secret, genesis.sha256());
        let content = secret::encrypt(name, version, &policy, &pool_key, &content)?;
        let store = Store { content, policy, version };
        Ok(session.client.prepare_store(id.unwrap_or_else(Uuid::now_v7), &secret, &store)?)
    }
}
