//! `nsl-event-log receipts`: the table of receipts follows from the log; this compares it or makes it anew.

use std::path::PathBuf;
use std::process::ExitCode;

use nsl_event_store::{EventReader, Receipt};
use serde::Serialize;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::{Database, EXIT_ALTERED, Error, progress, report};
use crate::receipts::Derivation;
use crate::source::Source;

/// Receipts that are compared or written at once.
const BATCH: usize = 1_000;
/// Receipts that differ and are named; all are counted.
const SHOWN: usize = 20;

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["check", "rebuild_into"])))]
pub(super) struct Arguments {
    #[command(flatten)]
    database: Database,
    /// The folder of archives, for what is detached from the database
    #[arg(long)]
    archives: Option<PathBuf>,
    /// Compare with the receipts that the database has; exits with 3 if they differ
    #[arg(long)]
    check: bool,
    /// Write them to the empty receipts' table of another database, whose log is migrated
    #[arg(long, value_name = "URL")]
    rebuild_into: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// What came of it.
#[derive(Serialize)]
struct Outcome {
    outcome: &'static str,
    receipts: u64,
    /// Commands whose receipt is missing, different, or of no command in the log.
    differing: u64,
    /// Some of them.
    commands: Vec<uuid::Uuid>,
}

pub(super) async fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let reader = arguments.database.reader().await?;
    let target = match &arguments.rebuild_into {
        Some(url) => Some(empty_table(url).await?),
        None => None,
    };
    let source = Source::new(arguments.archives.as_deref(), Some(reader.clone()))?;
    let (outcome, text) = match target {
        Some(mut session) => {
            let receipts = derive(source, &reader, async |batch| insert(&mut session, batch).await).await?;
            (Outcome { outcome: "rebuilt", receipts, differing: 0, commands: Vec::new() }, "rebuilt")
        }
        None => (check(source, &reader, &arguments.database).await?, "compared"),
    };
    report(arguments.json, &outcome, || {
        let Outcome { receipts, differing, commands, .. } = &outcome;
        let named = commands.iter().map(|command| format!("\n  {command}"));
        format!("{receipts} receipts {text}, {differing} differ{}", named.collect::<String>())
    })?;
    Ok(if outcome.differing == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_ALTERED) })
}

/// Derives all receipts in the order of the log and hands them on in batches; answers how many there are.
async fn derive(
    mut source: Source,
    reader: &EventReader,
    mut each: impl AsyncFnMut(&[Receipt]) -> Result<(), Error>,
) -> Result<u64, Error> {
    let bar = progress("receipts", reader.head().await?);
    let mut derivation = Derivation::default();
    let (mut batch, mut count) = (Vec::new(), 0);
    loop {
        let page = source.next_page().await?;
        match &page {
            Some(page) => batch.extend(derivation.page(page)?),
            None => batch.extend(derivation.finish()),
        }
        if batch.len() >= BATCH || page.is_none() {
            for some in batch.chunks(BATCH) {
                each(some).await?;
            }
            count += batch.len() as u64;
            batch.clear();
        }
        bar.set_position(source.position());
        if page.is_none() {
            bar.finish_and_clear();
            return Ok(count);
        }
    }
}

async fn check(source: Source, reader: &EventReader, database: &Database) -> Result<Outcome, Error> {
    let (mut differing, mut commands) = (0, Vec::new());
    let mut differs = |command_id| {
        differing += 1;
        if commands.len() < SHOWN {
            commands.push(command_id);
        }
    };
    let mut last_position = 0;
    let receipts = derive(source, reader, async |batch| {
        last_position = batch.last().map_or(last_position, |last| last.first_position);
        // A batch is at most half of what one look-up may ask for.
        for some in batch.chunks(nsl_event_store::MAX_RECEIPT_IDS) {
            let ids: Vec<_> = some.iter().map(|receipt| receipt.command_id).collect();
            let stored = reader.receipts(&ids).await?;
            for receipt in some.iter().filter(|receipt| stored.get(&receipt.command_id) != Some(receipt)) {
                differs(receipt.command_id);
            }
        }
        Ok(())
    })
    .await?;
    // Every derived receipt is there, so whatever is there beyond their number is of no command.
    for command_id in surplus(database, last_position, receipts).await? {
        differs(command_id);
    }
    let outcome = if differing == 0 { "equal" } else { "different" };
    Ok(Outcome { outcome, receipts, differing, commands })
}

/// Receipts of commands that the log does not have, looked for when there are more than derived ones.
async fn surplus(database: &Database, last_position: u64, derived: u64) -> Result<Vec<uuid::Uuid>, Error> {
    const COUNT: &str = "SELECT count(*) FROM receipts WHERE first_position <= $1";
    const SURPLUS: &str = "SELECT command_id FROM receipts AS r WHERE first_position <= $1
        AND NOT EXISTS (SELECT FROM envelopes AS c WHERE c.position = r.first_position AND c.command_id = r.command_id)
        AND first_position >= (SELECT first_position FROM log_head WHERE log_id = 1) LIMIT $2";
    let failed = |source| Error::ReceiptTable { operation: "read", source };
    let options: PgConnectOptions = database.database_url.parse().map_err(failed)?;
    let mut session = options.connect().await.map_err(failed)?;
    let bound = i64::try_from(last_position).unwrap_or(i64::MAX);
    let stored: i64 = sqlx::query_scalar(COUNT).bind(bound).fetch_one(&mut session).await.map_err(failed)?;
    if u64::try_from(stored) == Ok(derived) {
        return Ok(Vec::new());
    }
    let shown = i64::try_from(SHOWN).unwrap_or(i64::MAX);
    let query = sqlx::query_scalar(SURPLUS).bind(bound).bind(shown);
    let surplus = query.fetch_all(&mut session).await.map_err(failed)?;
    session.close().await.map_err(failed)?;
    Ok(surplus)
}

/// Opens the other database, if it has no receipts.
async fn empty_table(url: &str) -> Result<PgConnection, Error> {
    let failed = |source| Error::ReceiptTable { operation: "opened", source };
    let options: PgConnectOptions = url.parse().map_err(failed)?;
    let mut session = options.connect().await.map_err(failed)?;
    let present: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM receipts)")
        .fetch_one(&mut session)
        .await
        .map_err(failed)?;
    if present { Err(Error::ReceiptsPresent) } else { Ok(session) }
}

async fn insert(session: &mut PgConnection, receipts: &[Receipt]) -> Result<(), Error> {
    const INSERT: &str =
        "INSERT INTO receipts (command_id, issuer, request_hash, first_position, event_count, answer)
        SELECT r.id, r.issuer, r.hash, r.position, r.events, r.answer
          FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bigint[], $5::integer[], $6::text[])
               AS r(id, issuer, hash, position, events, answer)";
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let query = sqlx::query(INSERT)
        .bind(receipts.iter().map(|receipt| receipt.command_id).collect::<Vec<_>>())
        .bind(receipts.iter().map(|receipt| receipt.issuer.as_str()).collect::<Vec<_>>())
        .bind(receipts.iter().map(|receipt| receipt.request_hash.as_slice()).collect::<Vec<_>>())
        .bind(receipts.iter().map(|receipt| number(receipt.first_position)).collect::<Vec<_>>())
        .bind(
            receipts
                .iter()
                .map(|receipt| i32::try_from(receipt.event_count).unwrap_or(i32::MAX))
                .collect::<Vec<_>>(),
        )
        .bind(receipts.iter().map(|receipt| receipt.answer.as_str()).collect::<Vec<_>>());
    let failed = |source| Error::ReceiptTable { operation: "written", source };
    query.execute(session).await.map(drop).map_err(failed)
}
