//! The gap hunter: writers, long transactions, aborts and killed sessions, while readers follow. They skip nothing; a
//! reader of a sequence, as most logs have one, is shown to skip.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nsl_event_store::{AppendError, EventStore, Fence, Filter, GroupCommit, Subscription};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Database, command, take, with_log};

const STORES: u16 = 4;
const CALLERS: u64 = 8;
const READERS: u32 = 3;
/// How long the writers write.
const HUNT: Duration = Duration::from_secs(6);
/// Between two kills.
const KILL_EVERY: Duration = Duration::from_millis(150);
/// Of the control's writers: long enough for others to overtake.
const LONG_TRANSACTION: Duration = Duration::from_millis(30);
const CONTROL_WRITERS: u64 = 4;

/// Appends commands of one to three events to a stream of its own until the time is over; answers the acknowledged ids.
async fn write(group: GroupCommit, fence: Fence, stream: String, until: Instant) -> Vec<Uuid> {
    let (mut version, mut acknowledged) = (0, Vec::new());
    while Instant::now() < until {
        let events = 1 + usize::try_from(version % 3).unwrap();
        let next = command(fence, &stream, version, events);
        loop {
            match group.append(next.clone()).await {
                Ok(_) => break,
                // Acknowledged by its receipt: the answer was lost with a session.
                Err(AppendError::Refused(refusal)) if refusal.known == [next.command_id] => break,
                Err(AppendError::Unavailable { .. } | AppendError::UnknownOutcome { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        acknowledged.push(next.command_id);
        version += events as u64;
    }
    acknowledged
}

/// Kills a third of the sessions again and again, in whatever they are doing.
async fn kill(database: &Database, until: Instant) -> i64 {
    const KILL: &str = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%append_commands%' \
          AND random() < 0.33";
    let mut session = database.session().await;
    let mut killed = 0;
    while Instant::now() < until {
        killed += sqlx::query_scalar::<_, i64>(KILL).fetch_one(&mut session).await.unwrap();
        tokio::time::sleep(KILL_EVERY).await;
    }
    killed
}

/// Holds the head lock for a while, or appends and rolls back: what appends must never leave a trace of.
async fn disturb(database: &Database, until: Instant) -> u64 {
    let mut session = database.session().await;
    let mut aborted = 0;
    while Instant::now() < until {
        let mut transaction = session.begin().await.unwrap();
        for statement in ["UPDATE log_head SET position = position + 1000", "SELECT pg_sleep(0.02)"] {
            sqlx::query(statement).execute(&mut *transaction).await.unwrap();
        }
        transaction.rollback().await.unwrap();
        aborted += 1;
        tokio::time::sleep(KILL_EVERY).await;
    }
    aborted
}

/// Follows until the last position, which is told when it is known; every position seen, in the order seen.
async fn follow(store: EventStore, page_size: u32, last: watch::Receiver<u64>) -> Vec<u64> {
    let mut wake = store.head_changes();
    let mut subscription = Subscription::new(store.reader().clone(), 0, Filter::default(), page_size);
    let mut seen = Vec::new();
    while subscription.position() < *last.borrow() {
        let page = subscription.next_page(&mut wake).await.unwrap();
        seen.extend(page.events.iter().map(|event| event.position));
    }
    seen
}

/// The control: rows numbered by a sequence, some in long transactions, some rolled back.
async fn write_by_sequence(mut session: PgConnection, writer: u64, until: Instant) {
    let mut row = writer;
    while Instant::now() < until {
        let mut transaction = session.begin().await.unwrap();
        sqlx::query("INSERT INTO control DEFAULT VALUES").execute(&mut *transaction).await.unwrap();
        if row.is_multiple_of(5) {
            tokio::time::sleep(LONG_TRANSACTION).await;
        }
        if row.is_multiple_of(7) { transaction.rollback().await } else { transaction.commit().await }
            .unwrap();
        row += 1;
    }
}

/// The naive reader: what is beyond the last id that was seen.
async fn read_by_sequence(mut session: PgConnection, stop: Arc<AtomicBool>) -> HashSet<i64> {
    let mut seen = HashSet::new();
    let mut last = 0_i64;
    loop {
        let stopped = stop.load(Ordering::SeqCst);
        let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM control WHERE id > $1 ORDER BY id")
            .bind(last)
            .fetch_all(&mut session)
            .await
            .unwrap();
        last = ids.last().copied().unwrap_or(last);
        seen.extend(&ids);
        if stopped && ids.is_empty() {
            return seen;
        }
    }
}

/// How many committed rows the naive reader never saw.
async fn control(database: &Database, until: Instant) -> usize {
    database.execute("CREATE TABLE control (id bigserial PRIMARY KEY)").await;
    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_by_sequence(database.session().await, Arc::clone(&stop)));
    let mut writers = JoinSet::new();
    for writer in 0..CONTROL_WRITERS {
        writers.spawn(write_by_sequence(database.session().await, writer, until));
    }
    writers.join_all().await;
    stop.store(true, Ordering::SeqCst);
    let seen = reader.await.unwrap();
    let committed: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM control").fetch_all(&mut database.session().await).await.unwrap();
    committed.iter().filter(|id| !seen.contains(id)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_skip_nothing_while_writers_abort_and_die() {
    with_log(async |database| {
        let until = Instant::now() + HUNT;
        let (last, told) = watch::channel(u64::MAX);
        let mut readers = JoinSet::new();
        for reader in 0..READERS {
            readers.spawn(follow(database.store().await, 1 + 37 * reader, told.clone()));
        }
        let (mut writers, written) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
        for partition in 0..STORES {
            let store = database.store().await;
            let fence = take(&store, partition).await;
            let group = GroupCommit::start(store);
            for caller in 0..CALLERS {
                let (group, written) = (group.clone(), Arc::clone(&written));
                let stream = format!("acme.{partition}-{caller}");
                writers.spawn(async move {
                    let acknowledged = write(group, fence, stream, until).await;
                    written.fetch_add(acknowledged.len() as u64, Ordering::SeqCst);
                });
            }
        }
        let (killed, aborted, control_skipped, ()) = tokio::join!(
            kill(database, until),
            disturb(database, until),
            control(database, until),
            async { while writers.join_next().await.map(Result::unwrap).is_some() {} },
        );

        let store = database.store().await;
        let head = store.head().await.unwrap() + 1;
        last.send(head).unwrap();
        // Told before it is there, so that every reader meets it and ends.
        store.append(&[command(take(&store, 9).await, "acme.end", 0, 1)]).await.unwrap();
        let mut skipped = 0;
        for seen in readers.join_all().await {
            assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "out of order");
            skipped += head - seen.len() as u64;
        }
        let written = written.load(Ordering::SeqCst);
        println!(
            "gap hunter: {head} events of {written} commands, {killed} sessions killed, {aborted} transactions \
             rolled back, skipped {skipped}, control skipped {control_skipped}"
        );
        assert_eq!(skipped, 0);
        let rows = "SELECT count(*) FROM events WHERE position BETWEEN 1 AND (SELECT position FROM log_head)";
        assert_eq!(u64::try_from(database.number(rows).await).unwrap(), head);
        let receipts = database.number("SELECT count(*) FROM receipts").await;
        assert_eq!(u64::try_from(receipts).unwrap(), written + 1);
        assert!(killed > 0 && aborted > 0 && control_skipped > 0, "nothing was shown");
    })
    .await;
}
