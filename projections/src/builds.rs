//! The builds of the read models: which there are, in which schema each has its tables, and how far it is.
//!
//! A build's row is its checkpoint, written in the transaction of its rows, and the lock between processes: whoever
//! writes rows of a build holds its row, and finds out if somebody else moved it or put another build in its place.

use sqlx::postgres::{PgConnection, PgPool};

use crate::database::{SCHEMA, bigint};
use crate::read_model::Definition;

/// What a build is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// To be served once it has caught up.
    Building,
    /// To be compared with what is served, and dropped.
    Checking,
    /// Questions are answered from it.
    Served,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Checking => "checking",
            Self::Served => "served",
        }
    }
}

/// A build, and how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// What it is for.
    pub state: State,
    /// Everything up to this position is applied.
    pub position: u64,
    /// Grows whenever another build is put in place.
    pub generation: i64,
}

/// The schema with the tables of a build.
pub fn schema(definition: &Definition, state: State) -> String {
    let served = served_schema(definition.name, definition.version);
    match state {
        State::Served => served,
        State::Building | State::Checking => format!("{served}_{}", state.name()),
    }
}

/// Where the tables of a replaced build wait to be dropped.
pub(crate) fn replaced_schema(definition: &Definition) -> String {
    format!("{}_replaced", served_schema(definition.name, definition.version))
}

/// The schema of a read model's version that is served.
pub(crate) fn served_schema(model: &str, version: u32) -> String {
    format!("{SCHEMA}_{}_v{version}", model.replace('-', "_"))
}

/// The schemas in which sessions find the tables of these read models.
pub(crate) async fn search_path(
    session: &mut PgConnection,
    models: &[&Definition],
) -> Result<String, sqlx::Error> {
    let mut path = Vec::new();
    for model in models {
        path.push(served_schema(model.name, model.version));
        let live: Option<i32> =
            sqlx::query_scalar("SELECT version FROM read.builds WHERE model = $1 AND live")
                .bind(model.name)
                .fetch_optional(&mut *session)
                .await?;
        let live = live.and_then(|version| u32::try_from(version).ok());
        path.extend(live.filter(|live| *live != model.version).map(|live| served_schema(model.name, live)));
    }
    path.push(SCHEMA.to_owned());
    Ok(path.join(","))
}

/// A build of the definition's version, if there is one.
pub async fn find(
    pool: &PgPool,
    definition: &Definition,
    state: State,
) -> Result<Option<Build>, sqlx::Error> {
    let found: Option<(i64, i64)> = sqlx::query_as(
        "SELECT position, generation FROM read.builds WHERE model = $1 AND version = $2 AND state = $3",
    )
    .bind(definition.name)
    .bind(version(definition))
    .bind(state.name())
    .fetch_optional(pool)
    .await?;
    Ok(found.map(|found| build(state, found)))
}

/// The position of whatever answers questions of a process with this definition: its own version if that is served, else
/// the live one; none if nothing answers.
pub async fn answering_position(pool: &PgPool, definition: &Definition) -> Result<Option<u64>, sqlx::Error> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT position FROM read.builds WHERE model = $1 AND state = 'served' AND (version = $2 OR live)
          ORDER BY version = $2 DESC LIMIT 1",
    )
    .bind(definition.name)
    .bind(version(definition))
    .fetch_optional(pool)
    .await?;
    Ok(found.map(position))
}

/// Locks a build's row until the end of the transaction, and lets its statements see the build's tables: through their
/// primary keys, whatever the planner thinks of tables that are new and growing. None if there is no such build.
pub(crate) async fn lock(
    transaction: &mut PgConnection,
    definition: &Definition,
    state: State,
) -> Result<Option<Build>, sqlx::Error> {
    let found: Option<(i64, i64)> = sqlx::query_as(
        "SELECT position, generation, set_config('search_path', $4, true),
                set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
                set_config('enable_seqscan', 'off', true)
           FROM read.builds WHERE model = $1 AND version = $2 AND state = $3 FOR UPDATE",
    )
    .bind(definition.name)
    .bind(version(definition))
    .bind(state.name())
    .bind(format!("{},{SCHEMA}", schema(definition, state)))
    .fetch_optional(transaction)
    .await?;
    Ok(found.map(|found| build(state, found)))
}

/// Locks all builds of a read model, in one order, and answers the position of what is served: this version, or the live
/// one where this is new.
pub(crate) async fn lock_served(
    transaction: &mut PgConnection,
    definition: &Definition,
) -> Result<Option<u64>, sqlx::Error> {
    let found: Vec<(i32, String, i64, bool)> = sqlx::query_as(
        "SELECT version, state, position, live FROM read.builds WHERE model = $1 ORDER BY version, state FOR UPDATE",
    )
    .bind(definition.name)
    .fetch_all(transaction)
    .await?;
    let served = || found.iter().filter(|(_, state, ..)| state == State::Served.name());
    let own = served().find(|(found, ..)| *found == version(definition));
    Ok(own.or_else(|| served().find(|(.., live)| *live)).map(|(_, _, at, _)| position(*at)))
}

/// Moves a locked build; whatever stopped it is over.
pub(crate) async fn advance(
    transaction: &mut PgConnection,
    definition: &Definition,
    state: State,
    position: u64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE read.builds SET position = $4, error = NULL WHERE model = $1 AND version = $2 AND state = $3",
    )
    .bind(definition.name)
    .bind(version(definition))
    .bind(state.name())
    .bind(bigint(position))
    .execute(transaction)
    .await?;
    Ok(())
}

/// Keeps why a served build stopped, for whoever looks at the table and for a comparison that waits for it.
pub async fn record_stop(pool: &PgPool, definition: &Definition, reason: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE read.builds SET error = $3 WHERE model = $1 AND version = $2 AND state = 'served'")
        .bind(definition.name)
        .bind(version(definition))
        .bind(reason)
        .execute(pool)
        .await?;
    Ok(())
}

/// Why the served build stopped, if it did.
pub async fn stop_reason(pool: &PgPool, definition: &Definition) -> Result<Option<String>, sqlx::Error> {
    let reason: Option<Option<String>> = sqlx::query_scalar(
        "SELECT error FROM read.builds WHERE model = $1 AND version = $2 AND state = 'served'",
    )
    .bind(definition.name)
    .bind(version(definition))
    .fetch_optional(pool)
    .await?;
    Ok(reason.flatten())
}

/// Makes an empty build with its tables, unless there is one to go on with.
pub(crate) async fn create(
    session: &mut PgConnection,
    definition: &Definition,
    state: State,
) -> Result<(), sqlx::Error> {
    use sqlx::{Connection, Executor};

    let mut transaction = session.begin().await?;
    let made = sqlx::query(
        "INSERT INTO read.builds (model, version, state) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .bind(definition.name)
    .bind(version(definition))
    .bind(state.name())
    .execute(&mut *transaction)
    .await?;
    if made.rows_affected() > 0 {
        let schema = schema(definition, state);
        let statements =
            format!("CREATE SCHEMA {schema}; SET LOCAL search_path = {schema}; {}", definition.schema);
        transaction.execute(statements.as_str()).await?;
    }
    transaction.commit().await
}

/// Drops a build that nobody reads.
pub(crate) async fn discard(
    session: &mut PgConnection,
    definition: &Definition,
    state: State,
) -> Result<(), sqlx::Error> {
    use sqlx::Connection;

    let mut transaction = session.begin().await?;
    let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", schema(definition, state));
    sqlx::query(&drop).execute(&mut *transaction).await?;
    sqlx::query("DELETE FROM read.builds WHERE model = $1 AND version = $2 AND state = $3")
        .bind(definition.name)
        .bind(version(definition))
        .bind(state.name())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// Puts the finished build in the place of the served one, under the locks that [`lock`] took: names change, nothing is
/// copied, and no statement ever finds half a build or none. The version becomes the live one unless a newer one is.
pub(crate) async fn switch(
    transaction: &mut PgConnection,
    definition: &Definition,
) -> Result<(), sqlx::Error> {
    let (served, building) = (schema(definition, State::Served), schema(definition, State::Building));
    let deleted: Option<i64> = sqlx::query_scalar(
        "DELETE FROM read.builds WHERE model = $1 AND version = $2 AND state = 'served' RETURNING generation",
    )
    .bind(definition.name)
    .bind(version(definition))
    .fetch_optional(&mut *transaction)
    .await?;
    if deleted.is_some() {
        let rename = format!("ALTER SCHEMA {served} RENAME TO {}", replaced_schema(definition));
        sqlx::query(&rename).execute(&mut *transaction).await?;
    }
    sqlx::query(&format!("ALTER SCHEMA {building} RENAME TO {served}")).execute(&mut *transaction).await?;
    sqlx::query("UPDATE read.builds SET live = false WHERE model = $1 AND live AND version <= $2")
        .bind(definition.name)
        .bind(version(definition))
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "UPDATE read.builds AS build
            SET state = 'served', generation = $3, served_at = clock_timestamp(), error = NULL,
                live = NOT EXISTS (SELECT FROM read.builds AS other WHERE other.model = $1 AND other.live)
          WHERE model = $1 AND version = $2 AND state = 'building'",
    )
    .bind(definition.name)
    .bind(version(definition))
    .bind(deleted.unwrap_or(0) + 1)
    .execute(transaction)
    .await?;
    Ok(())
}

fn build(state: State, (at, generation): (i64, i64)) -> Build {
    Build { state, position: position(at), generation }
}

/// A CHECK keeps positions from being negative.
fn position(found: i64) -> u64 {
    u64::try_from(found).unwrap_or(0)
}

fn version(definition: &Definition) -> i32 {
    i32::try_from(definition.version).unwrap_or(i32::MAX)
}
