//! The database: each role logs in and tries each statement, in a transaction that is taken back.

use std::collections::BTreeSet;

use sqlx::PgPool;

use super::document::{Cell, Document, Tried};
use crate::system::System;

/// The SQLSTATE of an insufficient privilege, which the triggers of the log answer too.
const DENIED: &str = "42501";

/// Tries every cell of the tables on the database.
pub(super) async fn try_all(system: &System, document: &Document) -> Tried {
    let mut tried = Tried::default();
    let owner = system.database();
    let (tables, functions) = (document.cells("Tables"), document.cells("Functions"));
    compare(&mut tried, "table", &tables, &existing(&owner, TABLES).await);
    compare(&mut tried, "function", &functions, &existing(&owner, FUNCTIONS).await);
    for cell in &tables {
        let pool = system.database_as(&cell.role);
        for (letter, what, statement) in statements(&owner, &cell.object).await {
            let found = is_allowed(&pool, &statement).await;
            tried.add(cell, what, cell.allowed.contains(letter), found);
        }
    }
    for cell in &functions {
        let call = call(&owner, &cell.object).await;
        let found = is_allowed(&system.database_as(&cell.role), &call).await;
        tried.add(cell, "calls", cell.allowed == "X", found);
    }
    for cell in &document.cells("Statements") {
        let found = is_allowed(&system.database_as(&cell.role), &cell.object).await;
        tried.add(cell, "says", cell.allowed == "X", found);
    }
    tried
}

/// Every table of ours; of the partitions, which have no rights of their own, the first stands for all.
const TABLES: &str =
    "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm') AND (n.nspname IN ('public', 'reactor') OR n.nspname LIKE 'read%')
       AND (NOT c.relispartition OR c.relname LIKE '%_p0000000000000000001')";
/// Every function of ours.
const FUNCTIONS: &str = "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace";

async fn existing(owner: &PgPool, query: &str) -> BTreeSet<String> {
    sqlx::query_scalar(query).fetch_all(owner).await.unwrap().into_iter().collect()
}

/// What the document does not know is a mismatch, and so is what is no longer there.
fn compare(tried: &mut Tried, kind: &str, cells: &[Cell], existing: &BTreeSet<String>) {
    let listed: BTreeSet<String> = cells.iter().map(|cell| cell.object.clone()).collect();
    for object in existing.symmetric_difference(&listed) {
        let place = if listed.contains(object) { "database" } else { "document" };
        tried.mismatches.push(format!("{kind} {object} is missing in the {place}"));
    }
}

/// A statement for each privilege. None asks for more than that one privilege, and none finds a row.
async fn statements(owner: &PgPool, table: &str) -> [(char, &'static str, String); 5] {
    let column: String = sqlx::query_scalar(
        "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 \
         AND NOT attisdropped AND attgenerated = '' AND attidentity = '' ORDER BY attnum LIMIT 1",
    )
    .bind(table)
    .fetch_one(owner)
    .await
    .unwrap();
    [
        ('S', "selects from", format!("SELECT {column} FROM {table} LIMIT 0")),
        ('I', "inserts into", format!("INSERT INTO {table} ({column}) SELECT NULL WHERE false")),
        ('U', "updates", format!("UPDATE {table} SET {column} = NULL WHERE false")),
        ('D', "deletes from", format!("DELETE FROM {table} WHERE false")),
        ('T', "truncates", format!("TRUNCATE {table} CASCADE")),
    ]
}

/// A call with nothing but NULL arguments.
async fn call(owner: &PgPool, function: &str) -> String {
    let query = "SELECT coalesce(string_agg('NULL::' || format_type(t, NULL), ', ' ORDER BY i), '') \
                 FROM pg_proc, unnest(proargtypes) WITH ORDINALITY AS a(t, i) \
                 WHERE proname = $1 AND pronamespace = 'public'::regnamespace";
    let arguments: String = sqlx::query_scalar(query).bind(function).fetch_one(owner).await.unwrap();
    format!("SELECT public.{function}({arguments})")
}

/// Whether the role is let do it: another failure than a denial comes from the NULLs of the probe.
async fn is_allowed(pool: &PgPool, statement: &str) -> bool {
    let mut transaction = pool.begin().await.unwrap();
    let outcome = sqlx::raw_sql(statement).execute(&mut *transaction).await;
    transaction.rollback().await.unwrap();
    match outcome {
        Ok(_) => true,
        Err(error) => {
            let refused = error.into_database_error().unwrap_or_else(|| panic!("{statement}"));
            refused.code().as_deref() != Some(DENIED)
        }
    }
}
