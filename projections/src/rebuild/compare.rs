//! Compares a table row by row in two states: two streams in the order of the keys, merged, so that a table of any size
//! is compared in constant memory.

use futures::TryStreamExt;
use futures::stream::BoxStream;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::postgres::PgConnection;

use super::Comparison;
use crate::row::Table;

/// Differences that are shown; all are counted. One is a hint, hundreds are the same hint.
const DIFFERENCES_SHOWN: usize = 20;

/// A row that is not the same in both states.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// Its table.
    pub table: &'static str,
    /// Its tenant and id.
    pub key: String,
    /// As the live read model has it.
    pub live: Option<Box<RawValue>>,
    /// As it follows from the log.
    pub rebuilt: Option<Box<RawValue>>,
}

/// Key, and the row as canonical text: jsonb writes equal values equally.
type Keyed = (String, String);

/// Compares one table and adds what it finds.
pub(super) async fn table(
    live: &mut PgConnection,
    rebuilt: &mut PgConnection,
    table: Table,
    comparison: &mut Comparison,
) -> Result<(), sqlx::Error> {
    let Table { name, id } = table;
    // The separator cannot be in a tenant; both columns have the byte order.
    let rows = format!(
        "SELECT tenant || '/' || {id} AS key, to_jsonb(found)::text FROM {name} AS found ORDER BY key"
    );
    let mut live: BoxStream<'_, Result<Keyed, sqlx::Error>> = sqlx::query_as(&rows).fetch(live);
    let mut rebuilt: BoxStream<'_, Result<Keyed, sqlx::Error>> = sqlx::query_as(&rows).fetch(rebuilt);
    let (mut left, mut right) = (live.try_next().await?, rebuilt.try_next().await?);
    while let Some(key) = first_key(left.as_ref(), right.as_ref()) {
        let ours = left.take_if(|(found, _)| *found == key).map(|(_, row)| row);
        let theirs = right.take_if(|(found, _)| *found == key).map(|(_, row)| row);
        if ours.is_some() {
            left = live.try_next().await?;
        }
        if theirs.is_some() {
            right = rebuilt.try_next().await?;
        }
        comparison.rows += 1;
        if ours != theirs {
            comparison.differing += 1;
            if comparison.differences.len() < DIFFERENCES_SHOWN {
                let (live, rebuilt) = (raw(ours)?, raw(theirs)?);
                comparison.differences.push(Difference { table: name, key, live, rebuilt });
            }
        }
    }
    Ok(())
}

fn first_key(left: Option<&Keyed>, right: Option<&Keyed>) -> Option<String> {
    let keys = left.into_iter().chain(right).map(|(key, _)| key);
    keys.min().cloned()
}

fn raw(row: Option<String>) -> Result<Option<Box<RawValue>>, sqlx::Error> {
    let parsed = row.map(RawValue::from_string).transpose();
    parsed.map_err(|error| sqlx::Error::Decode(error.into()))
}
