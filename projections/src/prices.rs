//! The read model `prices`: every feed and every accepted round of it.

use nsl_schemas::event::price_feed::PriceFeedEvent;
use nsl_schemas::number::PriceE8;
use nsl_schemas::price::{JudgedObservation, Verdict};
use nsl_schemas::query::{Page, Price};
use nsl_schemas::token::{AggregateId, Tenant, Venue};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use crate::database::bigint;
use crate::log_event::LogEvent;
use crate::row::{self, Row, Table};

/// A feed's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedRow {
    /// Whose.
    pub tenant: Tenant,
    /// The feed's id is its pair.
    pub pair: AggregateId,
    /// How long its prices may be trusted.
    pub age_max_ms: u64,
    /// Once there is one.
    pub last_round: Option<u64>,
    /// Position of its last event.
    pub position: u64,
}

/// An accepted round's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundRow {
    /// Whose.
    pub tenant: Tenant,
    /// The event that recorded it.
    pub event_id: Uuid,
    /// Its feed.
    pub pair: AggregateId,
    /// Its number.
    pub round: u64,
    /// The price.
    pub price_e8: PriceE8,
    /// Its confidence.
    pub confidence_e8: PriceE8,
    /// The time for which it holds.
    pub as_of_ms: u64,
    /// The venues that counted.
    pub sources: Vec<Venue>,
    /// Position of its event.
    pub position: u64,
}

impl Row for FeedRow {
    type Event = PriceFeedEvent;
    const TABLE: Table = Table { name: "price_feeds", id: "pair" };

    fn id(event: &LogEvent<PriceFeedEvent>) -> Option<String> {
        Some(event.id.to_string())
    }

    fn evolve(before: Option<&Self>, event: &LogEvent<PriceFeedEvent>) -> Option<Self> {
        let position = event.position;
        Some(match &event.body {
            PriceFeedEvent::FeedRegistered(body) => Self {
                tenant: event.tenant.clone(),
                pair: event.id.clone(),
                age_max_ms: body.rules.age_max_ms,
                last_round: None,
                position,
            },
            PriceFeedEvent::RoundRecorded(body) => {
                Self { last_round: Some(body.round), position, ..before?.clone() }
            }
        })
    }
}

impl Row for RoundRow {
    type Event = PriceFeedEvent;
    const TABLE: Table = Table { name: "price_rounds", id: "event_id" };

    fn id(event: &LogEvent<PriceFeedEvent>) -> Option<String> {
        match &event.body {
            PriceFeedEvent::FeedRegistered(_) => None,
            PriceFeedEvent::RoundRecorded(_) => Some(event.event_id.to_string()),
        }
    }

    fn evolve(_: Option<&Self>, event: &LogEvent<PriceFeedEvent>) -> Option<Self> {
        let PriceFeedEvent::RoundRecorded(body) = &event.body else { return None };
        Some(Self {
            tenant: event.tenant.clone(),
            event_id: event.event_id,
            pair: event.id.clone(),
            round: body.round,
            price_e8: body.price_e8,
            confidence_e8: body.confidence_e8,
            as_of_ms: body.as_of_ms,
            sources: accepted(&body.observations),
            position: event.position,
        })
    }
}

fn accepted(observations: &[JudgedObservation]) -> Vec<Venue> {
    let counted = observations.iter().filter(|judged| judged.verdict == Verdict::Accepted);
    counted.map(|judged| judged.observation.venue.clone()).collect()
}

/// The latest price of a tenant's feed, if it has one.
pub async fn find(pool: &PgPool, tenant: &Tenant, pair: &str) -> Result<Option<Price>, sqlx::Error> {
    const LATEST: &str = "SELECT to_jsonb(found) || jsonb_build_object('age_max_ms', feed.age_max_ms)
          FROM price_feeds AS feed
          JOIN price_rounds AS found
            ON found.tenant = feed.tenant AND found.pair = feed.pair AND found.round = feed.last_round
         WHERE feed.tenant = $1 AND feed.pair = $2";
    let query = sqlx::query_scalar(LATEST).bind(tenant.as_str()).bind(pair);
    let found: Option<Json<Price>> = query.fetch_optional(pool).await?;
    Ok(found.map(|Json(price)| price))
}

/// The latest prices of a tenant's feeds in order of their pairs, from behind `after`.
pub async fn list(
    pool: &PgPool,
    tenant: &Tenant,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<Price>, sqlx::Error> {
    const LATEST: &str = "SELECT to_jsonb(found) || jsonb_build_object('age_max_ms', feed.age_max_ms)
          FROM price_feeds AS feed
          JOIN price_rounds AS found
            ON found.tenant = feed.tenant AND found.pair = feed.pair AND found.round = feed.last_round
         WHERE feed.tenant = $1 AND feed.pair > $2
         ORDER BY feed.pair LIMIT $3";
    let found: Vec<Json<Price>> = sqlx::query_scalar(LATEST)
        .bind(tenant.as_str())
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_all(pool)
        .await?;
    let rows = found.into_iter().map(|Json(price)| price).collect();
    Ok(row::page(rows, limit, |price: &Price| price.pair.to_string()))
}

/// Rounds of a tenant's feeds behind a position, in position order.
pub(crate) async fn rounds_after(
    pool: &PgPool,
    tenant: &Tenant,
    position: u64,
    limit: u32,
) -> Result<Vec<Price>, sqlx::Error> {
    const ROUNDS: &str = "SELECT to_jsonb(found) || jsonb_build_object('age_max_ms', feed.age_max_ms)
          FROM price_rounds AS found
          JOIN price_feeds AS feed ON feed.tenant = found.tenant AND feed.pair = found.pair
         WHERE found.tenant = $1 AND found.position > $2
         ORDER BY found.position LIMIT $3";
    let found: Vec<Json<Price>> = sqlx::query_scalar(ROUNDS)
        .bind(tenant.as_str())
        .bind(bigint(position))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    Ok(found.into_iter().map(|Json(price)| price).collect())
}

/// The position of a tenant's round with this number, counted over all its feeds from 1 in position order.
pub(crate) async fn position_of_round(
    pool: &PgPool,
    tenant: &Tenant,
    number: u64,
) -> Result<Option<u64>, sqlx::Error> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT position FROM price_rounds WHERE tenant = $1 ORDER BY position OFFSET $2 LIMIT 1",
    )
    .bind(tenant.as_str())
    .bind(bigint(number.saturating_sub(1)))
    .fetch_optional(pool)
    .await?;
    Ok(found.and_then(|position| u64::try_from(position).ok()))
}
