//! What the log says of reservations, and of the workers that endorse them.

use futures::TryStreamExt as _;
use nsl_schemas::authority::{OperatorAct, Operators};
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::event::worker::{WorkerEvent, WorkerRegistered};
use nsl_schemas::ids;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::pool_view::{Heads, HeadsError, PoolView, Standing};
use nsl_schemas::reservation::{SealedReservation, WalletName};
use nsl_schemas::token::{AggregateType, EventName, Tenant};

use crate::Client;
use crate::events::{Error as EventsError, EventFilter, FIRST_POSITION, PublishedEvent};

/// Why the log does not tell.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read.
    #[error("the log cannot be read")]
    Events(#[from] EventsError),
    /// More wallets have reservations than one pool takes.
    #[error(transparent)]
    Heads(#[from] HeadsError),
    /// The reservations in the log are no chain.
    #[error(
        "reservation {sequence} of wallet {wallet} of tenant {tenant} does not follow the one before it in the log"
    )]
    Broken {
        /// Whose.
        tenant: String,
        /// Which wallet.
        wallet: String,
        /// The reservation's.
        sequence: u32,
    },
}

impl Client {
    /// The last reservation of each wallet up to `position`, as the log has them; each must follow the one before. Only
    /// a client of the tenant `system` sees all.
    pub async fn reserved_heads(&self, position: u64) -> Result<Heads, Error> {
        let mut heads = Heads::default();
        let mut events = self.events_to_head(&reserved(), FIRST_POSITION).await?;
        while let Some(event) = events.try_next().await? {
            if event.position > position {
                break;
            }
            let Some(SealedReservation { reservation, .. }) = reservation(&event)? else { continue };
            let wallet = reservation.wallet_name();
            if !reservation.follows(&heads.of(&wallet).head) {
                let (tenant, wallet) = (wallet.tenant.to_string(), wallet.wallet.to_string());
                return Err(Error::Broken { tenant, wallet, sequence: reservation.sequence });
            }
            heads.set(wallet, Standing::from(reservation.head()))?;
        }
        Ok(heads)
    }

    /// The act by which operators establish a pool of these workers, from the log's heads as they are now.
    pub async fn pool_to_establish(
        &self,
        operators: &Operators,
        mut members: Vec<PublicKey>,
    ) -> Result<OperatorAct, Error> {
        members.sort();
        members.dedup();
        let heads_position = self.log_head().await?;
        let view = PoolView {
            genesis_sha256: operators.genesis_sha256(),
            heads_sha256: self.reserved_heads(heads_position).await?.sha256(),
            members,
            number: operators.next_view_number(),
        };
        Ok(OperatorAct::EstablishPool { heads_position, view })
    }

    /// All reservations of a wallet, in their order.
    pub async fn reservations_of(&self, wallet: &WalletName) -> Result<Vec<SealedReservation>, Error> {
        let (tenant, id) = (Some(wallet.tenant.clone()), Some(wallet.wallet.clone()));
        let filter = EventFilter { tenant, id, ..reserved() };
        let mut events = self.events_to_head(&filter, FIRST_POSITION).await?;
        let mut reservations = Vec::new();
        while let Some(event) = events.try_next().await? {
            reservations.extend(reservation(&event)?);
        }
        Ok(reservations)
    }

    /// How a worker was registered, if it was.
    pub async fn worker_registration(&self, key: &PublicKey) -> Result<Option<WorkerRegistered>, Error> {
        let filter = EventFilter {
            tenant: Some(Tenant::system()),
            aggregate: Some(literal("worker", AggregateType::parse)),
            id: Some(ids::worker_id(key)),
            name: Some(literal("worker-registered", EventName::parse)),
        };
        let mut events = self.events_to_head(&filter, FIRST_POSITION).await?;
        while let Some(event) = events.try_next().await? {
            let WorkerEvent::WorkerRegistered(registered) = event.decode()?;
            if registered.key == *key {
                return Ok(Some(registered));
            }
        }
        Ok(None)
    }
}

fn reserved() -> EventFilter {
    EventFilter {
        aggregate: Some(literal("wallet", AggregateType::parse)),
        name: Some(literal("transfer-reserved", EventName::parse)),
        ..EventFilter::default()
    }
}

fn reservation(event: &PublishedEvent) -> Result<Option<SealedReservation>, EventsError> {
    match event.decode()? {
        WalletEvent::TransferReserved(reserved) => Ok(Some(reserved.reservation)),
        _ => Ok(None),
    }
}

fn literal<T, E: std::fmt::Debug>(text: &str, parse: impl Fn(&str) -> Result<T, E>) -> T {
    parse(text).expect("a literal of permitted characters")
}
