//! A rebuild equals the live read model, shows a planted difference, and mends it.

use std::process::Output;

use nsl_projections::read_model::{self, SIGNING_REQUESTS, WALLETS};
use nsl_schemas::command::wallet::VmState;
use serde_json::Value;
use sqlx::Connection;
use tokio::process::Command;

use crate::events::*;
use crate::world::{PATIENCE, Running, World, until, with_world};

pub(crate) fn program(world: &World, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nsl-projections"));
    command
        .args(arguments)
        .args(["--set", &format!("log.url={}", world.url), "--set", &format!("read.url={}", world.url)])
        .kill_on_drop(true);
    command
}

pub(crate) async fn rebuild(world: &World, arguments: &[&str]) -> (i32, String, String) {
    run(program(world, &[&["rebuild"], arguments].concat())).await
}

pub(crate) async fn run(mut program: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        tokio::time::timeout(PATIENCE, program.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

async fn story(world: &World) -> u64 {
    for event in [creation_requested(1), key_created(1)] {
        world.append("wallet", "acme.main", &event).await;
    }
    world.append("price-feed", "system.NEO-USD", &feed_registered(60_000)).await;
    let mut last = 0;
    for number in 2..=30 {
        world.append("wallet", "acme.main", &transfer_requested(number)).await;
        world.append("wallet", "acme.main", &transfer_signed(number)).await;
        world.append("wallet", "acme.main", &transfer_confirmed(number, VmState::Halt)).await;
        last = world
            .append("price-feed", "system.NEO-USD", &round_recorded(u64::try_from(number).unwrap() - 1, 5))
            .await;
    }
    last
}

async fn all_live(world: &World, position: u64) -> Vec<Running> {
    let running: Vec<_> = read_model::ALL.into_iter().map(|model| world.run(model)).collect();
    for one in &running {
        one.reaches(position).await;
    }
    running
}

#[tokio::test]
async fn a_rebuild_equals_the_live_rows_until_somebody_changes_one() {
    with_world(async |world| {
        let last = story(world).await;
        let running = all_live(world, last).await;

        let (code, stdout, stderr) = rebuild(world, &["--verify"]).await;
        assert_eq!(code, 0, "{stdout}{stderr}");
        for line in [
            format!("wallets: 1 rows equal at position {last}"),
            format!("signing-requests: 29 rows equal at position {last}"),
            format!("transactions: 29 rows equal at position {last}"),
            format!("prices: 30 rows equal at position {last}"),
        ] {
            assert!(stdout.lines().any(|found| found == line), "{line} missing in {stdout}");
        }

        // One row changed, one missing, one too many.
        world.execute("UPDATE wallets SET status = 'refused'").await;
        world.execute(&format!("DELETE FROM transactions WHERE tx_hash = '{}'", tx_hash(7))).await;
        world
            .execute("INSERT INTO price_feeds (tenant, pair, age_max_ms, position) VALUES ('system', 'XXX-USD', 1, 1)")
            .await;
        let (code, stdout, _) = rebuild(world, &["all", "--verify", "--json"]).await;
        assert_eq!(code, 3, "{stdout}");
        let reports: Vec<Value> = stdout
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|report| report["outcome"] != "building")
            .collect();
        let outcomes: Vec<_> =
            reports.iter().map(|r| (r["projection"].as_str().unwrap(), r["outcome"].as_str().unwrap())).collect();
        assert_eq!(
            outcomes,
            [("wallets", "different"), ("signing-requests", "equal"), ("transactions", "different"), ("prices", "different"), ("secrets", "equal")]
        );
        let difference = |report: usize| &reports[report]["differences"][0];
        assert_eq!((&difference(0)["live"]["status"], &difference(0)["rebuilt"]["status"]), (&"refused".into(), &"open".into()));
        assert_eq!((difference(2)["live"].is_null(), difference(2)["rebuilt"].is_null()), (true, false));
        assert_eq!(difference(3)["key"], "system/XXX-USD");
        assert_eq!((difference(3)["live"].is_null(), difference(3)["rebuilt"].is_null()), (false, true));
        assert!(reports.iter().all(|report| report["differing"].as_u64().unwrap() <= 1));

        let (code, stdout, _) = rebuild(world, &["wallets", "--verify"]).await;
        assert_eq!(code, 3);
        assert!(stdout.contains("wallets: 1 of 1 rows differ"), "{stdout}");

        // A rebuild puts it right under the running service, which goes on.
        let (code, stdout, stderr) = rebuild(world, &["all"]).await;
        assert_eq!(code, 0, "{stdout}{stderr}");
        let next = world.append("wallet", "acme.second", &creation_requested(50)).await;
        for one in &running {
            one.reaches(next).await;
        }
        let (code, stdout, stderr) = rebuild(world, &["--verify"]).await;
        assert_eq!(code, 0, "{stdout}{stderr}");
        assert!(stdout.contains(&format!("wallets: 2 rows equal at position {next}")), "{stdout}");
        assert_eq!(world.number("SELECT count(*) FROM pg_namespace WHERE nspname ~ '_(building|checking|replaced)$'").await, 0);
        for one in running {
            one.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_stopped_projection_goes_on_after_a_rebuild() {
    with_world(async |world| {
        let last = world.append("wallet", "acme.main", &creation_requested(1)).await;
        world.project(&WALLETS, last).await;
        // Somebody damaged the rows, so the next event finds none to change.
        world.execute("DELETE FROM wallets").await;
        let last = world.append("wallet", "acme.main", &key_created(1)).await;
        let running = world.run(&WALLETS);
        until("the stop", async || running.progress.status().error.is_some()).await;

        let recorded = "SELECT count(*) FROM builds WHERE error IS NOT NULL";
        until("the recorded reason", async || world.number(recorded).await == 1).await;
        let (code, _, stderr) = rebuild(world, &["wallets", "--verify"]).await;
        assert_eq!(code, 1);
        assert!(stderr.contains("live wallets is at position 1 and does not reach 2"), "{stderr}");

        let (code, _, stderr) = rebuild(world, &["wallets"]).await;
        assert_eq!(code, 0, "{stderr}");
        running.reaches(last).await;
        until("readiness", async || running.progress.status().error.is_none()).await;
        assert_eq!(world.number("SELECT count(*) FROM wallets WHERE status = 'open'").await, 1);
        running.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_rebuild_over_an_event_that_cannot_be_applied_fails_and_changes_nothing() {
    with_world(async |world| {
        let last = world.append("wallet", "acme.main", &creation_requested(1)).await;
        world.project(&WALLETS, last).await;
        world
            .append_text(
                "wallet",
                "acme.main",
                "wallet-teleported",
                r#"{"event":"wallet-teleported"}"#.into(),
            )
            .await;
        let (code, stdout, stderr) = rebuild(world, &["wallets"]).await;
        assert_eq!((code, stdout.as_str()), (1, ""));
        assert!(
            stderr.contains("rebuilding wallets failed: event 2 (")
                && stderr.contains("event 2 cannot be read: "),
            "{stderr}"
        );
        assert_eq!(world.number("SELECT count(*) FROM wallets").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_killed_rebuild_goes_on_from_its_last_commit() {
    with_world(async |world| {
        let first = world.append("wallet", "acme.w1", &creation_requested(1)).await;
        world.project(&SIGNING_REQUESTS, first).await;
        let last = world.fill_with_transfers(5_000).await;
        // The commit of the second chunk waits for a lock of the test.
        world
            .execute(
                "CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END $$;
                 CREATE TRIGGER wait_for_test BEFORE UPDATE OF position ON builds FOR EACH ROW
                 WHEN (OLD.position > 0 AND OLD.state = 'building') EXECUTE FUNCTION wait_for_test()",
            )
            .await;
        let mut gate = world.session().await;
        sqlx::query("SELECT pg_advisory_lock(7)").execute(&mut gate).await.unwrap();
        let mut killed = program(world, &["rebuild", "signing-requests", "--json"]).spawn().unwrap();
        let built = "SELECT coalesce(max(position), 0) FROM builds WHERE state = 'building'";
        until("the first chunk", async || world.number(built).await > 0).await;
        killed.kill().await.unwrap(); // SIGKILL
        gate.close().await.unwrap();
        let position = world.number(built).await;
        assert!((1..i64::try_from(last).unwrap()).contains(&position), "{position}");
        assert_eq!(world.number("SELECT position FROM builds WHERE state = 'served'").await, 1);

        // The first chunk is not read again: its rows stay as they are, also this one.
        world
            .execute("UPDATE read_signing_requests_v4_building.signing_requests SET asset = 'kept' WHERE first_position = 2")
            .await;
        let (code, stdout, stderr) = rebuild(world, &["signing-requests", "--json"]).await;
        assert_eq!(code, 0, "{stderr}");
        let reports: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(reports[0]["position"].as_i64().unwrap() > position, "{stdout}");
        let done = reports.last().unwrap();
        assert_eq!((&done["outcome"], done["position"].as_u64()), (&"replaced".into(), Some(last)));
        assert_eq!(world.number("SELECT count(*) FROM signing_requests WHERE asset = 'kept'").await, 1);
        assert_eq!(world.number("SELECT count(*) FROM signing_requests WHERE status = 'signed'").await, 5_000);

        // Begun afresh, nothing of it is left.
        let (code, _, stderr) = rebuild(world, &["signing-requests", "--fresh"]).await;
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(world.number("SELECT count(*) FROM signing_requests WHERE asset = 'kept'").await, 0);
        assert_eq!(world.number("SELECT count(*) FROM signing_requests").await, 5_000);
    })
    .await;
}

#[tokio::test]
async fn one_rebuild_at_a_time() {
    with_world(async |world| {
        let mut other = world.session().await;
        sqlx::query("SELECT pg_advisory_lock(x'6e736c62'::int, hashtext('wallets'))")
            .execute(&mut other)
            .await
            .unwrap();
        let (code, _, stderr) = rebuild(world, &["wallets"]).await;
        assert_eq!(code, 1);
        assert!(stderr.contains("another build of wallets is under way"), "{stderr}");
    })
    .await;
}
