//! From a `wallet create` command to a key whose birth was checked.

use std::time::Duration;

use nsl_schemas::authority::GenesisManifest;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::canonical;
use nsl_schemas::command::wallet::Create;
use nsl_schemas::event::wallet::{KeyCreated, Refusal, WalletEvent};
use nsl_schemas::policy::Policy;
use nsl_schemas::token::{AggregateId, AggregateType, Tenant};
use uuid::Uuid;

use crate::events::{self, EventFilter, PublishedEvent};
use crate::{Client, Prepared, SendError, birth, operators};

/// Why there is no wallet to use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The prepared command is no `wallet create`.
    #[error("command {command_id} does not create a wallet")]
    OtherCommand {
        /// Which command.
        command_id: Uuid,
        /// What does not fit in its payload.
        #[source]
        source: Option<canonical::Error>,
    },
    /// The command was not accepted.
    #[error(transparent)]
    Send(#[from] SendError),
    /// It is not known which builds the operators allow.
    #[error(transparent)]
    Operators(#[from] operators::Error),
    /// The events cannot be followed.
    #[error("waiting for wallet {wallet}")]
    Events {
        /// Which wallet.
        wallet: AggregateId,
        /// Why.
        #[source]
        source: events::Error,
    },
    /// A worker would not make the key.
    #[error("the enclave refused to create the wallet ({code}): {message}")]
    Refused {
        /// A stable code, see [`nsl_schemas::errors`].
        code: String,
        /// What happened.
        message: String,
    },
    /// The key exists, but its birth certificate does not hold. Do not fund the address.
    #[error("birth certificate of wallet {wallet} does not hold")]
    Birth {
        /// Which wallet.
        wallet: AggregateId,
        /// Why.
        #[source]
        source: birth::Error,
    },
}

/// A wallet whose birth certificate was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BornWallet {
    /// Its id.
    pub wallet: AggregateId,
    /// The command that asked for it.
    pub command_id: Uuid,
    /// The attested key, 66 hex digits. Derive the address from this and from nothing else.
    pub public_key: String,
    /// The first policy, as attested.
    pub policy_sha256: Sha256,
    /// The position of its `key-created`.
    pub position: u64,
}

/// Every event of one wallet.
pub fn events_of(tenant: &Tenant, wallet: &AggregateId) -> EventFilter {
    EventFilter {
        tenant: Some(tenant.clone()),
        aggregate: Some(AggregateType::parse("wallet").expect("a literal of permitted characters")),
        id: Some(wallet.clone()),
        name: None,
    }
}

impl Client {
    /// Signs `wallet create`; keep what it returns until [`Client::create_wallet`] succeeded.
    pub fn prepare_create_wallet(
        &self,
        command_id: Uuid,
        wallet: &AggregateId,
        policy: &Policy,
    ) -> Result<Prepared, crate::prepared::Error> {
        let subject = self.subject("wallet", wallet, "create")?;
        self.prepare_with_id(command_id, &subject, &Create { policy: policy.clone() })
    }

    /// Sends a prepared `wallet create`, waits up to `limit` for the key and checks its birth under `genesis`.
    pub async fn create_wallet(
        &self,
        prepared: &Prepared,
        genesis: &GenesisManifest,
        limit: Duration,
    ) -> Result<BornWallet, Error> {
        let command_id = prepared.command_id();
        let subject = prepared.subject();
        if (subject.aggregate.as_str(), subject.verb.as_str()) != ("wallet", "create") {
            return Err(Error::OtherCommand { command_id, source: None });
        }
        let Create { policy } = canonical::from_slice(prepared.command().payload.as_bytes())
            .map_err(|source| Error::OtherCommand { command_id, source: Some(source) })?;
        let result = self.send(prepared).await?;
        let operators = self.operators(genesis).await?;
        let expectation = birth::Expectation {
            genesis,
            operators: &operators,
            tenant: &subject.tenant,
            wallet: &subject.id,
            command_id,
            policy_sha256: policy.sha256(),
            owners: &policy.owners,
        };
        self.await_birth(&expectation, result.first_position, limit).await
    }

    /// Waits for the key of a wallet that was asked for at or after `from_position`, and checks its birth.
    pub async fn await_birth(
        &self,
        expectation: &birth::Expectation<'_>,
        from_position: u64,
        limit: Duration,
    ) -> Result<BornWallet, Error> {
        let wallet = expectation.wallet;
        let filter = events_of(expectation.tenant, wallet);
        let end = self
            .wait_for_event(&filter, from_position, limit, |event| {
                creation_end(event, expectation.command_id)
            })
            .await
            .map_err(|source| Error::Events { wallet: wallet.clone(), source })?;
        let (position, key) = match end {
            CreationEnd::Created { position, key } => (position, key),
            CreationEnd::Refused(Refusal { code, message, outcome: _ }) => {
                return Err(Error::Refused { code, message });
            }
        };
        let public_key = birth::check(&key.birth_certificate, expectation)
            .map_err(|source| Error::Birth { wallet: wallet.clone(), source })?;
        Ok(BornWallet {
            wallet: wallet.clone(),
            command_id: expectation.command_id,
            public_key,
            policy_sha256: expectation.policy_sha256,
            position,
        })
    }
}

/// How the creation of a wallet ended.
enum CreationEnd {
    Created { position: u64, key: Box<KeyCreated> },
    Refused(Refusal),
}

fn creation_end(event: &PublishedEvent, request_id: Uuid) -> Result<Option<CreationEnd>, events::Error> {
    // Other names may belong to a newer service; they are not decoded.
    if !matches!(event.name(), "key-created" | "creation-refused") {
        return Ok(None);
    }
    Ok(match event.decode()? {
        WalletEvent::KeyCreated(key) if key.request_id == request_id => {
            Some(CreationEnd::Created { position: event.position, key: Box::new(key) })
        }
        WalletEvent::CreationRefused(refused) if refused.request_id == request_id => {
            Some(CreationEnd::Refused(refused.refusal))
        }
        _ => None,
    })
}
