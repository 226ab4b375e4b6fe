//! A canary: the secrets of a site after a full run, searched in everything that it wrote. None may be found, and a control
//! that was planted in each kind of file has to be.

use std::path::PathBuf;

use async_nats::jetstream::stream::Config;
use nix::sys::signal::Signal;
use nsl_enclave_worker::seal::SealingKey;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::outcome::{BirthStatement, SealedKey, SealedKeyBinding};
use serde_json::Value;
use sqlx::PgPool;

use crate::crashes::confirmed;
use crate::load::Load;
use crate::patience::until;
use crate::secrets::{Secret, search};
use crate::system::{System, text};

/// Transfers that are confirmed before the search.
const TRANSFERS: usize = 20;
/// What is planted: the bytes of no key.
const CONTROL: [u8; 32] = *b"this control is planted: find it";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_anything_that_a_site_writes() {
    let Some(system) = System::start().await else { return };
    let database = system.database();
    let mut load = Load::start(&system).await;
    let before = confirmed(&database).await.unwrap();
    until("transfers are confirmed", async || {
        (confirmed(&database).await? >= before + TRANSFERS).then_some(())
    })
    .await;
    load.stop().await;
    let stored = store_and_read(&system);
    // A worker that dies at its worst leaves nothing of its memory.
    system.end("enclave-worker-1", Signal::SIGABRT).await;

    let sealing_file = system.path().join("keys/development-sealing.key");
    let sealing: [u8; 32] = std::fs::read(&sealing_file).unwrap().try_into().unwrap();
    let mut secrets = vec![Secret::new("sealing secret", &sealing)];
    secrets.extend(private_keys(&database, &sealing).await);
    secrets.push(stored);
    assert!(secrets.len() > 7, "{} keys", secrets.len());
    let control = Secret::new("control", &CONTROL);
    plant(&system, &database, &control).await;
    let forms = control.forms();
    secrets.push(control);

    dump(&system, &database).await;
    let searched = search(system.path(), &[sealing_file], &secrets);
    println!("{} secrets in {} files of {} bytes", secrets.len(), searched.files, searched.bytes);
    let (found, leaked): (Vec<_>, Vec<_>) =
        searched.hits.into_iter().partition(|hit| hit.secret == "control");
    assert_eq!(leaked, []);
    for place in ["logs/", "postgres/", "pg_wal/", "nats/", "dump/"] {
        assert!(found.iter().any(|hit| hit.file.to_str().unwrap().contains(place)), "{place}: {found:?}");
    }
    let in_log = found.iter().filter(|hit| hit.file.ends_with("logs/planted.log")).count();
    // Two alphabets of base64 are one form each.
    assert_eq!(in_log, forms - 3);
}

/// A secret that a client stored and a reader read, both as processes of their own.
fn store_and_read(system: &System) -> Secret {
    // Beside the site: the client's own file is no place where the site wrote.
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("secret");
    let bytes = Sha256::of(uuid::Uuid::now_v7().as_bytes()).0;
    std::fs::write(&file, bytes).unwrap();
    let put = system.nsl(&["secret", "put", "canary", "--file", file.to_str().unwrap()]);
    assert!(put.status.success(), "{}", text(&put));
    let got = system.nsl(&["secret", "get", "canary"]);
    assert_eq!(got.stdout, bytes, "{}", String::from_utf8_lossy(&got.stderr));
    Secret::new("stored secret", &bytes)
}

/// The private keys of all wallets, opened as a worker opens them.
async fn private_keys(database: &PgPool, sealing: &[u8; 32]) -> Vec<Secret> {
    let query = "SELECT payload::text FROM events WHERE event_type = 'key-created'";
    let payloads: Vec<String> = sqlx::query_scalar(query).fetch_all(database).await.unwrap();
    let open = |payload: String| {
        let created: Value = serde_json::from_str(&payload).unwrap();
        let sealed_key: SealedKey = serde_json::from_value(created["sealed_key"].clone()).unwrap();
        let born = created["birth_certificate"]["statement"].clone();
        let born: BirthStatement = serde_json::from_value(born).unwrap();
        let binding = SealedKeyBinding {
            genesis_sha256: born.genesis_sha256,
            tenant: &born.tenant,
            wallet: &born.wallet,
            version: sealed_key.version,
            policy_sha256: born.policy_sha256,
        };
        let sealing_key = SealingKey::derive(sealing, born.genesis_sha256).unwrap();
        let key = sealing_key.open(&sealed_key, &binding).unwrap();
        Secret::new(created["address"].as_str().unwrap(), &key)
    };
    payloads.into_iter().map(open).collect()
}

/// Puts the control where a careless program might put a secret: a log, a table, a stream.
async fn plant(system: &System, database: &PgPool, control: &Secret) {
    let planted = control.planted();
    std::fs::write(system.path().join("logs/planted.log"), &planted).unwrap();
    sqlx::query("CREATE TABLE planted (bytes bytea)").execute(database).await.unwrap();
    sqlx::query("INSERT INTO planted VALUES ($1)").bind(&planted).execute(database).await.unwrap();
    // What is in memory of the database comes to its files.
    sqlx::query("CHECKPOINT").execute(database).await.unwrap();
    let jetstream = async_nats::jetstream::new(system.bus().await);
    let config = Config { name: "PLANTED".into(), subjects: vec!["planted".into()], ..Config::default() };
    jetstream.create_stream(config).await.unwrap();
    jetstream.publish("planted", planted.into()).await.unwrap().await.unwrap();
}

/// Writes every table as text: what the database compresses within its files is found there.
async fn dump(system: &System, database: &PgPool) {
    let folder = system.path().join("dump");
    std::fs::create_dir_all(&folder).unwrap();
    let query = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
                 WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    let tables: Vec<String> = sqlx::query_scalar(query).fetch_all(database).await.unwrap();
    for table in tables {
        let rows: Vec<Option<String>> =
            sqlx::query_scalar(&format!("SELECT t::text FROM {table} t")).fetch_all(database).await.unwrap();
        let file: PathBuf = folder.join(&table);
        std::fs::write(file, rows.into_iter().flatten().collect::<Vec<_>>().join("\n")).unwrap();
    }
}
