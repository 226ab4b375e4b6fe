//! Rows of a read model: what an event does to one is a pure function, reading and writing them is the same for all.
//!
//! A page costs two reads and writes a table: the touched rows are loaded, changed in memory in position order, and
//! replaced whole. Columns are the fields of the row's type.

use std::collections::{BTreeMap, BTreeSet};

use nsl_event_store::RecordedEvent;
use nsl_schemas::query;
use nsl_schemas::token::Tenant;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::types::Json;

use crate::database::{bigint, refuses_data};
use crate::log_event::{self, LogEvent};
use nsl_schemas::event::WireEvent;

/// A table of rows that belong to tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The column that is, with `tenant`, its primary key.
    pub id: &'static str,
}

/// Why events could not become rows.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The event is not what the log may hold, or newer than this build.
    #[error("event {position} cannot be read")]
    Unreadable {
        /// The event.
        position: u64,
        /// Why.
        #[source]
        source: log_event::Error,
    },
    /// The event changes something that the events before it did not make.
    #[error("event {position} changes {table} {id:?} of tenant {tenant}, which is not there")]
    Missing {
        /// The event.
        position: u64,
        /// The table.
        table: &'static str,
        /// Whose row.
        tenant: Tenant,
        /// Which row.
        id: String,
    },
    /// The database refuses a row; it would do so again.
    #[error("rows of {table} are refused")]
    Refused {
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The database does not answer; try again.
    #[error("{table} cannot be written")]
    Unavailable {
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
}

impl Error {
    /// The event that is to blame, where one is.
    pub fn position(&self) -> Option<u64> {
        match self {
            Self::Unreadable { position, .. } | Self::Missing { position, .. } => Some(*position),
            Self::Refused { .. } | Self::Unavailable { .. } => None,
        }
    }

    fn from_sqlx(table: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| {
            if refuses_data(&source) {
                Self::Refused { table, source }
            } else {
                Self::Unavailable { table, source }
            }
        }
    }
}

/// A row and what its aggregate's events do to it.
pub trait Row: Serialize + DeserializeOwned + Send + Sync + Unpin + 'static {
    /// The aggregate's events.
    type Event: WireEvent + Send + Sync;
    /// Where it is kept.
    const TABLE: Table;

    /// Which row of the tenant an event changes, if any.
    fn id(event: &LogEvent<Self::Event>) -> Option<String>;

    /// The row after an event; none where the event needs a row and `before` is none.
    fn evolve(before: Option<&Self>, event: &LogEvent<Self::Event>) -> Option<Self>;
}

/// Reads recorded events as one aggregate type's.
pub(crate) fn read<E: WireEvent>(recorded: &[RecordedEvent]) -> Result<Vec<LogEvent<E>>, Error> {
    let read = |event: &RecordedEvent| {
        LogEvent::read(event).map_err(|source| Error::Unreadable { position: event.position, source })
    };
    recorded.iter().map(read).collect()
}

/// Applies events, in position order, to the rows of one table.
pub(crate) async fn apply<R: Row>(
    transaction: &mut PgConnection,
    events: &[LogEvent<R::Event>],
) -> Result<(), Error> {
    let touched: BTreeSet<Key> = events.iter().filter_map(key::<R>).collect();
    if touched.is_empty() {
        return Ok(());
    }
    let mut rows = load::<R>(transaction, &touched).await?;
    for event in events {
        let Some(key) = key::<R>(event) else { continue };
        let Some(row) = R::evolve(rows.get(&key), event) else {
            let (position, table) = (event.position, R::TABLE.name);
            return Err(Error::Missing { position, table, tenant: event.tenant.clone(), id: key.1 });
        };
        rows.insert(key, row);
    }
    replace(transaction, &rows).await
}

/// Tenant and id.
type Key = (String, String);

fn key<R: Row>(event: &LogEvent<R::Event>) -> Option<Key> {
    R::id(event).map(|id| (event.tenant.to_string(), id))
}

async fn load<R: Row>(
    transaction: &mut PgConnection,
    touched: &BTreeSet<Key>,
) -> Result<BTreeMap<Key, R>, Error> {
    let Table { name, id } = R::TABLE;
    let statement = format!(
        "SELECT tenant, {id}, to_jsonb(found) FROM {name} AS found
          WHERE (tenant, {id}) IN (SELECT * FROM unnest($1::text[], $2::text[]))"
    );
    let (tenants, ids): (Vec<&str>, Vec<&str>) =
        touched.iter().map(|(t, i)| (t.as_str(), i.as_str())).unzip();
    let found: Vec<(String, String, Json<R>)> = sqlx::query_as(&statement)
        .bind(tenants)
        .bind(ids)
        .fetch_all(transaction)
        .await
        .map_err(Error::from_sqlx(name))?;
    Ok(found.into_iter().map(|(tenant, id, Json(row))| ((tenant, id), row)).collect())
}

async fn replace<R: Row>(transaction: &mut PgConnection, rows: &BTreeMap<Key, R>) -> Result<(), Error> {
    let Table { name, id } = R::TABLE;
    let delete =
        format!("DELETE FROM {name} WHERE (tenant, {id}) IN (SELECT * FROM unnest($1::text[], $2::text[]))");
    let insert = format!("INSERT INTO {name} SELECT * FROM jsonb_populate_recordset(NULL::{name}, $1)");
    let (tenants, ids): (Vec<&str>, Vec<&str>) = rows.keys().map(|(t, i)| (t.as_str(), i.as_str())).unzip();
    let failed = Error::from_sqlx(name);
    let deleted = sqlx::query(&delete).bind(tenants).bind(ids).execute(&mut *transaction).await;
    deleted.map_err(&failed)?;
    let rows = Json(rows.values().collect::<Vec<_>>());
    sqlx::query(&insert).bind(rows).execute(transaction).await.map_err(&failed)?;
    Ok(())
}

/// What a row adds to the answer that it is shown as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned<T> {
    /// Whose.
    pub tenant: Tenant,
    /// What is shown.
    #[serde(flatten)]
    pub shown: T,
}

/// As [`Owned`], for rows that are listed in the order of their first events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed<T> {
    /// Whose.
    pub tenant: Tenant,
    /// Position of the first event: newest first means by this.
    pub first_position: u64,
    /// What is shown.
    #[serde(flatten)]
    pub shown: T,
}

/// The row of a tenant with this id.
pub(crate) async fn find<T: DeserializeOwned + Send + Unpin + 'static>(
    pool: &PgPool,
    table: Table,
    tenant: &Tenant,
    id: &str,
) -> Result<Option<T>, sqlx::Error> {
    let Table { name, id: column } = table;
    let statement =
        format!("SELECT to_jsonb(found) FROM {name} AS found WHERE tenant = $1 AND {column} = $2");
    let found: Option<Json<T>> =
        sqlx::query_scalar(&statement).bind(tenant.as_str()).bind(id).fetch_optional(pool).await?;
    Ok(found.map(|Json(row)| row))
}

/// A page of a tenant's rows, newest first, from before `before`.
pub(crate) async fn newest<T: DeserializeOwned + Send + Unpin + 'static>(
    pool: &PgPool,
    table: Table,
    tenant: &Tenant,
    before: Option<u64>,
    limit: u32,
) -> Result<query::Page<T>, sqlx::Error> {
    let statement = format!(
        "SELECT to_jsonb(found) FROM {} AS found WHERE tenant = $1 AND first_position < $2
          ORDER BY first_position DESC LIMIT $3",
        table.name
    );
    let found: Vec<Json<Listed<T>>> = sqlx::query_scalar(&statement)
        .bind(tenant.as_str())
        .bind(before.map_or(i64::MAX, bigint))
        .bind(i64::from(limit) + 1)
        .fetch_all(pool)
        .await?;
    let rows = found.into_iter().map(|Json(row)| row).collect();
    let listed = page(rows, limit, |row: &Listed<T>| row.first_position.to_string());
    let data = listed.data.into_iter().map(|row| row.shown).collect();
    Ok(query::Page { data, next: listed.next })
}

/// Makes a page of `limit` rows out of one row more, if there is one; `token` says where the next page begins.
pub(crate) fn page<T>(mut rows: Vec<T>, limit: u32, token: impl Fn(&T) -> String) -> query::Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(token) } else { None };
    query::Page { data: rows, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_the_next_one_only_where_there_is_more() {
        for (rows, limit, length, next) in [
            (vec![], 2, 0, None),
            (vec![5], 2, 1, None),
            (vec![5, 4], 2, 2, None),
            (vec![5, 4, 3], 2, 2, Some("4".to_owned())),
        ] {
            let found = page(rows.clone(), limit, ToString::to_string);
            assert_eq!((found.data.len(), found.next), (length, next), "{rows:?}");
        }
    }
}
