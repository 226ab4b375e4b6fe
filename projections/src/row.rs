//! Rows of a read model: what an event does to one is a pure function, reading and writing them is the same for all, for
//! one event and for thousands.
//!
//! A chunk of the log costs at most one read and two writes a table: rows that were there are loaded, all are changed in
//! memory in position order, and the changed ones are replaced whole. Columns are the fields of the row's type.

use std::collections::{HashMap, HashSet};

use nsl_event_store::RecordedEvent;
use nsl_schemas::event::WireEvent;
use nsl_schemas::query;
use nsl_schemas::token::Tenant;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::types::Json;

use crate::copy;
use crate::database::{bigint, is_repeat, refuses_data};
use crate::log_event::{self, LogEvent};

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
    /// An event makes a row that is there already; [`Existing::Unknown`] finds it.
    #[error("a new row of {table} is there already")]
    Repeated {
        /// The table.
        table: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The code that applies events panicked.
    #[error("applying events panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
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
            Self::Repeated { .. }
            | Self::Panicked { .. }
            | Self::Refused { .. }
            | Self::Unavailable { .. } => None,
        }
    }

    /// Whether a newer build is needed to read the event.
    pub fn is_from_the_future(&self) -> bool {
        matches!(self, Self::Unreadable { source, .. } if source.is_from_the_future())
    }

    fn from_sqlx(table: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| {
            if is_repeat(&source) {
                Self::Repeated { table, source }
            } else if refuses_data(&source) {
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

    /// The row after an event; none where the event needs a row and `before` is none. An event that needs no row makes
    /// the same one whatever was before it.
    fn evolve(before: Option<&Self>, event: &LogEvent<Self::Event>) -> Option<Self>;
}

/// Reads recorded events as one aggregate type's.
pub(crate) fn read<E: WireEvent>(recorded: &[RecordedEvent]) -> Result<Vec<LogEvent<E>>, Error> {
    let read = |event: &RecordedEvent| {
        LogEvent::read(event).map_err(|source| Error::Unreadable { position: event.position, source })
    };
    recorded.iter().map(read).collect()
}

/// What is known of the rows that events make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// None is there yet, as nearly always; otherwise the answer is [`Error::Repeated`].
    None,
    /// Some may be there and are replaced.
    Unknown,
}

/// Applies events, in position order, to the rows of one table.
pub(crate) async fn apply<R: Row>(
    transaction: &mut PgConnection,
    events: &[LogEvent<R::Event>],
    existing: Existing,
) -> Result<(), Error> {
    let mut changes = Changes::<R>::new();
    changes.evolve(events)?;
    changes.load(transaction).await?;
    changes.write(transaction, existing).await
}

/// Tenant and id.
type Key = (String, String);

/// The rows that a chunk of events changes.
struct Changes<'a, R: Row> {
    rows: HashMap<Key, R>,
    /// Rows that must be there, because the first event of theirs does not make them.
    required: HashSet<Key>,
    /// The events of these, in order. Rows are independent of each other, so they may come later.
    deferred: Vec<(Key, &'a LogEvent<R::Event>)>,
}

impl<'a, R: Row> Changes<'a, R> {
    fn new() -> Self {
        Self { rows: HashMap::new(), required: HashSet::new(), deferred: Vec::new() }
    }

    fn evolve(&mut self, events: &'a [LogEvent<R::Event>]) -> Result<(), Error> {
        for event in events {
            let Some(id) = R::id(event) else { continue };
            let key = (event.tenant.to_string(), id);
            if self.required.contains(&key) {
                self.deferred.push((key, event));
            } else if let Some(row) = R::evolve(self.rows.get(&key), event) {
                self.rows.insert(key, row);
            } else if self.rows.contains_key(&key) {
                return Err(missing::<R>(event, key));
            } else {
                self.required.insert(key.clone());
                self.deferred.push((key, event));
            }
        }
        Ok(())
    }

    /// Loads the rows that must be there, and changes them.
    async fn load(&mut self, transaction: &mut PgConnection) -> Result<(), Error> {
        if self.required.is_empty() {
            return Ok(());
        }
        let Table { name, id } = R::TABLE;
        let statement = format!(
            "SELECT tenant, {id}, to_jsonb(found) FROM {name} AS found
              WHERE (tenant, {id}) IN (SELECT * FROM unnest($1::text[], $2::text[]))"
        );
        let (tenants, ids) = columns(self.required.iter());
        let found: Vec<(String, String, Json<R>)> = sqlx::query_as(&statement)
            .bind(tenants)
            .bind(ids)
            .fetch_all(transaction)
            .await
            .map_err(Error::from_sqlx(name))?;
        self.rows.extend(found.into_iter().map(|(tenant, id, Json(row))| ((tenant, id), row)));
        for (key, event) in std::mem::take(&mut self.deferred) {
            let Some(row) = R::evolve(self.rows.get(&key), event) else {
                return Err(missing::<R>(event, key));
            };
            self.rows.insert(key, row);
        }
        Ok(())
    }

    async fn write(&self, transaction: &mut PgConnection, existing: Existing) -> Result<(), Error> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let Table { name, id } = R::TABLE;
        let failed = Error::from_sqlx(name);
        let (tenants, ids) = match existing {
            Existing::None => columns(self.required.iter()),
            Existing::Unknown => columns(self.rows.keys()),
        };
        if !ids.is_empty() {
            let delete = format!(
                "DELETE FROM {name} WHERE (tenant, {id}) IN (SELECT * FROM unnest($1::text[], $2::text[]))"
            );
            let deleted = sqlx::query(&delete).bind(tenants).bind(ids).execute(&mut *transaction).await;
            deleted.map_err(&failed)?;
        }
        copy::rows(transaction, name, self.rows.values()).await.map_err(&failed)
    }
}

fn missing<R: Row>(event: &LogEvent<R::Event>, (_, id): Key) -> Error {
    Error::Missing { position: event.position, table: R::TABLE.name, tenant: event.tenant.clone(), id }
}

fn columns<'a>(keys: impl Iterator<Item = &'a Key>) -> (Vec<&'a str>, Vec<&'a str>) {
    keys.map(|(tenant, id)| (tenant.as_str(), id.as_str())).unzip()
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
