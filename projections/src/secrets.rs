//! The read model `secrets`: who may read each secret, its version, and how often it was read; never what it is.

use nsl_schemas::event::secret::{SecretEvent, StoreRequested};
use nsl_schemas::query::{Page, Secret};
use nsl_schemas::token::Tenant;
use sqlx::postgres::PgPool;
use sqlx::types::Json;

use crate::log_event::LogEvent;
use crate::row::{self, Owned, Row, Table};

const STORING: &str = "storing";
const STORED: &str = "stored";
const REFUSED: &str = "refused";
const DESTROYED: &str = "destroyed";
/// The version that is stored before there is any other.
const FIRST_VERSION: u32 = 1;

/// A secret's row.
pub type SecretRow = Owned<Secret>;

impl Row for SecretRow {
    type Event = SecretEvent;
    const TABLE: Table = Table { name: "secrets", id: "id" };

    fn id(event: &LogEvent<SecretEvent>) -> Option<String> {
        Some(event.id.to_string())
    }

    fn evolve(before: Option<&Self>, event: &LogEvent<SecretEvent>) -> Option<Self> {
        let mut row = match &event.body {
            // Stored for the first time, or again after that came to nothing.
            SecretEvent::StoreRequested(body) if body.version == FIRST_VERSION => requested(event, body),
            _ => before?.clone(),
        };
        let secret = &mut row.shown;
        secret.position = event.position;
        match &event.body {
            SecretEvent::Sealed(body) => {
                STORED.clone_into(&mut secret.status);
                secret.version = body.sealed_secret.version;
                secret.policy = body.policy.clone();
            }
            SecretEvent::Revealed(body) => {
                secret.readings += 1;
                secret.last_reading_id = Some(body.request_id);
            }
            // Of a secret that has a version, what came to nothing changed nothing.
            SecretEvent::RequestRefused(_) | SecretEvent::RequestEnded(_) if secret.version == 0 => {
                REFUSED.clone_into(&mut secret.status);
            }
            SecretEvent::Destroyed(_) => DESTROYED.clone_into(&mut secret.status),
            SecretEvent::StoreRequested(_)
            | SecretEvent::ReadersChangeRequested(_)
            | SecretEvent::RevealRequested(_)
            | SecretEvent::RequestRefused(_)
            | SecretEvent::RequestEnded(_) => {}
        }
        Some(row)
    }
}

fn requested(event: &LogEvent<SecretEvent>, body: &StoreRequested) -> SecretRow {
    let secret = Secret {
        id: event.id.clone(),
        status: STORING.to_owned(),
        version: 0,
        policy: body.policy.clone(),
        readings: 0,
        last_reading_id: None,
        position: event.position,
    };
    Owned { tenant: event.tenant.clone(), shown: secret }
}

/// A tenant's secret.
pub async fn find(pool: &PgPool, tenant: &Tenant, id: &str) -> Result<Option<Secret>, sqlx::Error> {
    row::find(pool, SecretRow::TABLE, tenant, id).await
}

/// A tenant's secrets in order of their ids, from behind `after`.
pub async fn list(
    pool: &PgPool,
    tenant: &Tenant,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<Secret>, sqlx::Error> {
    const SECRETS: &str = "SELECT to_jsonb(found) FROM secrets AS found WHERE tenant = $1 AND id > $2
                            ORDER BY id LIMIT $3";
    let found: Vec<Json<Secret>> = sqlx::query_scalar(SECRETS)
        .bind(tenant.as_str())
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_all(pool)
        .await?;
    let rows = found.into_iter().map(|Json(row)| row).collect();
    Ok(row::page(rows, limit, |secret: &Secret| secret.id.to_string()))
}
