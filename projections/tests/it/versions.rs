//! Versions of a read model: built beside the live one, switched to without a moment in which nothing or half answers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use nsl_event_store::RecordedEvent;
use nsl_projections::read_model::{Definition, WALLETS};
use nsl_projections::row::{Error, Existing};
use nsl_projections::wallets;
use nsl_schemas::query::ProjectionState;
use nsl_schemas::token::Tenant;
use sqlx::postgres::{PgConnection, PgPool};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::events::*;
use crate::rebuilding::{program, rebuild, run};
use crate::world::{World, until, with_world};

/// The next version, whose build waits for the test.
const NEXT: Definition = Definition { version: 2, apply: gated, ..WALLETS };
static GATE: Semaphore = Semaphore::const_new(0);

fn gated<'a>(
    transaction: &'a mut PgConnection,
    events: &'a [RecordedEvent],
    existing: Existing,
) -> BoxFuture<'a, Result<(), Error>> {
    async move {
        drop(GATE.acquire().await.expect("the gate is never closed"));
        (WALLETS.apply)(transaction, events, existing).await
    }
    .boxed()
}

/// Asks without a pause, and notes the fewest wallets that an answer ever had.
struct Asking {
    stop: CancellationToken,
    task: JoinHandle<(usize, u64)>,
    wrong: &'static AtomicBool,
}

impl Asking {
    fn begin(pool: &PgPool, at_least: usize) -> Self {
        let (stop, wrong, pool) = (CancellationToken::new(), &*Box::leak(Box::default()), pool.clone());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let (tenant, mut fewest, asked) = (Tenant::parse("acme").unwrap(), usize::MAX, AtomicU64::new(0));
            while !stopped.is_cancelled() {
                let found = wallets::list(&pool, &tenant, None, 1000).await;
                let count = found.map_or(0, |page| page.data.len());
                AtomicBool::fetch_or(wrong, count < at_least, Ordering::Relaxed);
                fewest = fewest.min(count);
                asked.fetch_add(1, Ordering::Relaxed);
            }
            (fewest, asked.into_inner())
        });
        Self { stop, task, wrong }
    }

    async fn end(self, at_least: usize) {
        self.stop.cancel();
        let (fewest, asked) = self.task.await.unwrap();
        assert!(!self.wrong.load(Ordering::Relaxed), "an answer had {fewest} wallets, not {at_least}");
        assert!(asked > 0);
    }
}

async fn some_wallets(world: &World, numbers: std::ops::Range<u128>) -> u64 {
    let mut last = 0;
    for number in numbers {
        last = world.append("wallet", &format!("acme.w{number}"), &creation_requested(number)).await;
    }
    last
}

#[tokio::test]
async fn a_new_version_is_built_beside_the_live_one_and_switched_to() {
    with_world(async |world| {
        let last = some_wallets(world, 0..50).await;
        let old = world.run(&WALLETS);
        old.reaches(last).await;

        // A process of the next build: until its version is there, it answers from the old one.
        let pool = world.database.open(&[&NEXT], 4).await.unwrap();
        let asking = Asking::begin(&pool, 50);
        let new = world.run_on(&NEXT, &pool);
        until("the build", async || new.progress.status().state == ProjectionState::Building).await;
        let last = some_wallets(world, 50..60).await;
        old.reaches(last).await;
        until("the old version's position", async || new.progress.status().position == last).await;
        assert_eq!(
            new.progress.status().building,
            Some(0),
            "it holds nothing, and does not say so of what answers"
        );
        assert_eq!(
            wallets::list(&pool, &Tenant::parse("acme").unwrap(), None, 100).await.unwrap().data.len(),
            60
        );
        assert_eq!(world.number("SELECT version::bigint FROM builds WHERE live").await, 1);

        GATE.add_permits(1);
        until("the switch", async || new.progress.status().state == ProjectionState::Running).await;
        asking.end(50).await;
        assert_eq!(world.number("SELECT version::bigint FROM builds WHERE live").await, 2);
        assert_eq!(world.number("SELECT count(*) FROM read_wallets_v2.wallets").await, 60);

        // Both go on, each in its own tables, for as long as both run.
        let last = some_wallets(world, 60..70).await;
        for running in [old, new] {
            running.reaches(last).await;
            running.stop().await;
        }
        assert_eq!(world.number("SELECT count(*) FROM read_wallets_v1.wallets").await, 70);
        assert_eq!(world.number("SELECT count(*) FROM read_wallets_v2.wallets").await, 70);

        // The old build again, as after a step back: its version is still there, and the newer one stays the live one.
        world.project(&WALLETS, last).await;
        assert_eq!(world.number("SELECT version::bigint FROM builds WHERE live").await, 2);
        pool.close().await;
    })
    .await;
}

#[tokio::test]
async fn questions_find_whole_tables_while_they_are_replaced_again_and_again() {
    with_world(async |world| {
        let last = some_wallets(world, 0..50).await;
        let running = world.run(&WALLETS);
        running.reaches(last).await;
        let asking = Asking::begin(&world.pool, 50);
        for number in 50..53 {
            let (code, stdout, stderr) = rebuild(world, &["wallets"]).await;
            assert_eq!(code, 0, "{stderr}");
            assert!(stdout.contains("wallets: version 1 rebuilt to position"), "{stdout}");
            let last = some_wallets(world, number..number + 1).await;
            running.reaches(last).await;
        }
        asking.end(50).await;
        assert_eq!(world.number("SELECT generation FROM builds").await, 4);
        assert_eq!(world.number("SELECT count(*) FROM wallets").await, 53);
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn builds_of_other_versions_are_listed_and_dropped_when_asked() {
    with_world(async |world| {
        let last = some_wallets(world, 0..1).await;
        world.project(&WALLETS, last).await;
        world
            .execute(
                "CREATE SCHEMA read_wallets_v7; CREATE TABLE read_wallets_v7.wallets (id text);
                 INSERT INTO builds (model, version, state, position) VALUES ('wallets', 7, 'served', 1)",
            )
            .await;
        let (code, stdout, _) = run(program(world, &["builds"])).await;
        assert_eq!(
            (code, stdout.as_str()),
            (0, "wallets version 1: served, live, at position 1\nwallets version 7: served, at position 1\n")
        );
        let (code, stdout, _) = run(program(world, &["prune"])).await;
        assert_eq!((code, stdout.as_str()), (0, "wallets version 7: served, at position 1\n"));
        assert_eq!(
            world.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'read_wallets_v7'").await,
            0
        );
        assert_eq!(world.number("SELECT count(*) FROM builds").await, 1);
        assert_eq!(world.number("SELECT count(*) FROM wallets").await, 1);
    })
    .await;
}

#[tokio::test]
async fn what_was_built_before_there_were_versions_is_version_1() {
    with_world(async |world| {
        // As the first migration left it.
        world
            .execute(concat!(
                "DROP SCHEMA read CASCADE; CREATE SCHEMA read; SET search_path = read;",
                include_str!("../../migrations/0001_read_models.sql"),
                "INSERT INTO checkpoints (follower, position) VALUES ('wallets', 5), ('prices', 0);
                 INSERT INTO wallets VALUES ('acme', 'main', 'open', NULL, NULL, '{}', 1, gen_random_uuid(), 5);",
                include_str!("../../migrations/0002_builds.sql"),
            ))
            .await;
        assert_eq!(world.number("SELECT count(*) FROM read_wallets_v1.wallets").await, 1);
        assert_eq!(world.number("SELECT position FROM read.builds WHERE live").await, 5);
        assert_eq!(world.number("SELECT count(*) FROM pg_tables WHERE schemaname = 'read'").await, 1);
    })
    .await;
}
