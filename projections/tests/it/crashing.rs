//! Rows and checkpoint are one: neither a lost session nor a second process can part them.

use nsl_projections::read_model::{SIGNING_REQUESTS, WALLETS};
use sqlx::Connection;

use crate::events::*;
use crate::world::{until, with_world};

#[tokio::test]
async fn a_session_lost_between_rows_and_checkpoint_leaves_neither() {
    with_world(async |world| {
        let first = world.append("wallet", "acme.main", &creation_requested(1)).await;
        world.project(&WALLETS, first).await;
        // The checkpoint's update waits for a lock of the test; by then the rows are written.
        world
            .execute(
                "CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END $$;
                 CREATE TRIGGER wait_for_test BEFORE UPDATE OF position ON builds
                 FOR EACH ROW EXECUTE FUNCTION wait_for_test()",
            )
            .await;
        let mut gate = world.session().await;
        sqlx::query("SELECT pg_advisory_lock(7)").execute(&mut gate).await.unwrap();
        let last = world.append("wallet", "acme.main", &key_created(1)).await;

        let running = world.run(&WALLETS);
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        until("the write of the rows", async || world.number(waiting).await == 1).await;
        let killed = world
            .number(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            )
            .await;
        assert_eq!(killed, 1);
        until("the end of the session", async || running.progress.status().error.is_some()).await;
        assert_eq!(world.number("SELECT count(*) FROM wallets WHERE status = 'open'").await, 0);
        assert_eq!(world.number("SELECT position FROM builds").await, 1);

        gate.close().await.unwrap();
        running.reaches(last).await;
        assert_eq!(world.number("SELECT count(*) FROM wallets WHERE status = 'open' AND version = 2").await, 1);
        assert_eq!(running.progress.status().error, None);
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn two_processes_with_the_same_read_model_write_it_once() {
    with_world(async |world| {
        let (one, other) = (world.run(&SIGNING_REQUESTS), world.run(&SIGNING_REQUESTS));
        let mut last = 0;
        for number in 1..=20 {
            world.append("wallet", "acme.main", &transfer_requested(number)).await;
            last = world.append("wallet", "acme.main", &transfer_signed(number)).await;
        }
        one.reaches(last).await;
        other.reaches(last).await;
        assert_eq!(world.number("SELECT count(*) FROM signing_requests WHERE status = 'signed'").await, 20);
        for running in [one, other] {
            assert_eq!(running.progress.status().error, None);
            running.stop().await;
        }
    })
    .await;
}
