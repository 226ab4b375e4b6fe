//! The read model `wallets`: what each wallet is now.

use nsl_schemas::event::wallet::{CreationRequested, WalletEvent};
use nsl_schemas::query::{Page, Wallet};
use nsl_schemas::token::Tenant;
use sqlx::postgres::PgPool;
use sqlx::types::Json;

use crate::log_event::LogEvent;
use crate::row::{self, Owned, Row, Table};

const CREATING: &str = "creating";
const OPEN: &str = "open";
const REFUSED: &str = "refused";

/// A wallet's row.
pub type WalletRow = Owned<Wallet>;

impl Row for WalletRow {
    type Event = WalletEvent;
    const TABLE: Table = Table { name: "wallets", id: "id" };

    fn id(event: &LogEvent<WalletEvent>) -> Option<String> {
        Some(event.id.to_string())
    }

    fn evolve(before: Option<&Self>, event: &LogEvent<WalletEvent>) -> Option<Self> {
        let mut row = match &event.body {
            // Asked for the first time, or again after a refusal.
            WalletEvent::CreationRequested(body) => requested(event, body),
            _ => before?.clone(),
        };
        let wallet = &mut row.shown;
        (wallet.version, wallet.position) = (event.sequence, event.position);
        match &event.body {
            WalletEvent::KeyCreated(body) => {
                OPEN.clone_into(&mut wallet.status);
                wallet.address = Some(body.address.clone());
                wallet.public_key = Some(body.public_key.clone());
            }
            WalletEvent::CreationRefused(_) => REFUSED.clone_into(&mut wallet.status),
            WalletEvent::PolicyChanged(body) => wallet.policy = body.policy.clone(),
            WalletEvent::CreationRequested(_)
            | WalletEvent::PolicyChangeRequested(_)
            | WalletEvent::PolicyChangeRefused(_)
            | WalletEvent::PolicyChangeCancelled(_)
            | WalletEvent::TransferApproved(_)
            | WalletEvent::TransferCancelled(_)
            | WalletEvent::KeyResealRequested(_)
            | WalletEvent::KeyResealed(_)
            | WalletEvent::KeyResealRefused(_)
            | WalletEvent::TransferRequested(_)
            | WalletEvent::TransferReserved(_)
            | WalletEvent::TransferSigned(_)
            | WalletEvent::TransferRefused(_)
            | WalletEvent::TransferConfirmed(_)
            | WalletEvent::TransferExpired(_)
            | WalletEvent::TransferRequestExpired(_) => {}
        }
        Some(row)
    }
}

fn requested(event: &LogEvent<WalletEvent>, body: &CreationRequested) -> WalletRow {
    let wallet = Wallet {
        id: event.id.clone(),
        status: CREATING.to_owned(),
        address: None,
        public_key: None,
        policy: body.policy.clone(),
        version: event.sequence,
        request_id: body.request_id,
        position: event.position,
    };
    Owned { tenant: event.tenant.clone(), shown: wallet }
}

/// A tenant's wallet.
pub async fn find(pool: &PgPool, tenant: &Tenant, id: &str) -> Result<Option<Wallet>, sqlx::Error> {
    row::find(pool, WalletRow::TABLE, tenant, id).await
}

/// A tenant's wallets in order of their ids, from behind `after`.
pub async fn list(
    pool: &PgPool,
    tenant: &Tenant,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<Wallet>, sqlx::Error> {
    const WALLETS: &str = "SELECT to_jsonb(found) FROM wallets AS found WHERE tenant = $1 AND id > $2
                            ORDER BY id LIMIT $3";
    let found: Vec<Json<Wallet>> = sqlx::query_scalar(WALLETS)
        .bind(tenant.as_str())
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_all(pool)
        .await?;
    let rows = found.into_iter().map(|Json(row)| row).collect();
    Ok(row::page(rows, limit, |wallet: &Wallet| wallet.id.to_string()))
}
