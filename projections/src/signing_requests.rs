//! The read model `signing-requests`: what became of each request for a signature.

use nsl_schemas::event::wallet::{TransferRequested, WalletEvent};
use nsl_schemas::query::{Page, SigningRequest};
use nsl_schemas::token::Tenant;
use sqlx::postgres::PgPool;

use crate::log_event::LogEvent;
use crate::row::{self, Listed, Row, Table};

const REQUESTED: &str = "requested";
const AWAITING_APPROVALS: &str = "awaiting-approvals";
const CANCELLED: &str = "cancelled";
const RESERVED: &str = "reserved";
const SIGNED: &str = "signed";
const REFUSED: &str = "refused";
const EXPIRED: &str = "expired";

/// A signing request's row.
pub type SigningRequestRow = Listed<SigningRequest>;

impl Row for SigningRequestRow {
    type Event = WalletEvent;
    const TABLE: Table = Table { name: "signing_requests", id: "id" };

    fn id(event: &LogEvent<WalletEvent>) -> Option<String> {
        match &event.body {
            WalletEvent::TransferRequested(body) => Some(body.request_id.to_string()),
            WalletEvent::TransferApproved(body) => Some(body.request_id.to_string()),
            WalletEvent::TransferCancelled(body) => Some(body.request_id.to_string()),
            WalletEvent::TransferReserved(body) => Some(body.request_id.to_string()),
            WalletEvent::TransferSigned(body) => Some(body.request_id.to_string()),
            WalletEvent::TransferRefused(body) => Some(body.request_id.to_string()),
            WalletEvent::TransferRequestExpired(body) => Some(body.request_id.to_string()),
            _ => None,
        }
    }

    fn evolve(before: Option<&Self>, event: &LogEvent<WalletEvent>) -> Option<Self> {
        let mut row = match &event.body {
            WalletEvent::TransferRequested(body) => requested(event, body),
            _ => before?.clone(),
        };
        row.shown.position = event.position;
        match &event.body {
            WalletEvent::TransferApproved(body) => {
                row.shown.approvals_missing = Some(body.approvals_missing);
                if body.approvals_missing == 0 {
                    REQUESTED.clone_into(&mut row.shown.status);
                }
            }
            WalletEvent::TransferCancelled(_) => CANCELLED.clone_into(&mut row.shown.status),
            WalletEvent::TransferReserved(_) => RESERVED.clone_into(&mut row.shown.status),
            WalletEvent::TransferSigned(_) => SIGNED.clone_into(&mut row.shown.status),
            WalletEvent::TransferRefused(body) => {
                REFUSED.clone_into(&mut row.shown.status);
                row.shown.refusal_code = Some(body.refusal.code.clone());
            }
            WalletEvent::TransferRequestExpired(_) => EXPIRED.clone_into(&mut row.shown.status),
            _ => {}
        }
        Some(row)
    }
}

fn requested(event: &LogEvent<WalletEvent>, body: &TransferRequested) -> SigningRequestRow {
    let awaits = body.approvals_missing.is_some_and(|missing| missing > 0);
    let request = SigningRequest {
        id: body.request_id,
        wallet: event.id.clone(),
        status: if awaits { AWAITING_APPROVALS } else { REQUESTED }.to_owned(),
        approvals_missing: body.approvals_missing,
        not_before_ms: body.not_before_ms,
        request_sha256: Some(body.request_sha256),
        transfer: Some(body.transfer.clone()),
        asset: body.transfer.asset.clone(),
        to: body.transfer.to.clone(),
        amount: body.transfer.amount,
        tx_hash: body.tx_hash.clone(),
        refusal_code: None,
        position: event.position,
    };
    Listed { tenant: event.tenant.clone(), first_position: event.position, shown: request }
}

/// A tenant's signing request.
pub async fn find(pool: &PgPool, tenant: &Tenant, id: &str) -> Result<Option<SigningRequest>, sqlx::Error> {
    row::find(pool, SigningRequestRow::TABLE, tenant, id).await
}

/// A tenant's signing requests, newest first, from before the position `before`.
pub async fn list(
    pool: &PgPool,
    tenant: &Tenant,
    before: Option<u64>,
    limit: u32,
) -> Result<Page<SigningRequest>, sqlx::Error> {
    row::newest(pool, SigningRequestRow::TABLE, tenant, before, limit).await
}
