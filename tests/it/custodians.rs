//! A site that seals by a custodian quorum: what its custodians bring back signs again, on the real chain.

use std::time::Duration;

use nix::sys::signal::Signal;
use nsl_client::Client;
use nsl_client::transfer::TransferStep;
use nsl_client::wallet::BornWallet;
use serde_json::Value;
use uuid::Uuid;

use crate::patience::until;
use crate::system::{System, text};
use crate::wallets;

const WORKERS: [&str; 3] = ["enclave-worker-1", "enclave-worker-2", "enclave-worker-3"];

/// Asks for a transfer and returns when it is confirmed.
pub(crate) async fn transfer(client: &Client, wallet: &BornWallet, name: &str) {
    let transfer = wallets::gas_transfer(wallets::stranger(name), 1);
    let quote = client.quote_transfer(client.tenant(), &wallet.public_key, &transfer).await.unwrap();
    let prepared = client.prepare_transfer(Uuid::now_v7(), &wallet.wallet, &transfer, &quote).unwrap();
    let asked = client.send(&prepared).await.unwrap();
    let (request_id, position) = (asked.command_id, asked.first_position);
    let mut steps =
        client.follow_transfer(client.tenant(), &wallet.wallet, request_id, position).await.unwrap();
    loop {
        match steps.next(Duration::from_mins(2)).await.unwrap() {
            TransferStep::Confirmed { .. } => return,
            TransferStep::Signed { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// What `nsl custodian status` shows, once as many workers as this answer.
async fn workers(system: &System, count: usize) -> Vec<Value> {
    until("the host shows its workers", async || {
        let output = system.nsl(&["--context", "operator", "custodian", "status", "--json"]);
        let status: Value = serde_json::from_slice(&output.stdout).ok()?;
        let workers = status["workers"].as_array()?.clone();
        (workers.len() == count).then_some(workers)
    })
    .await
}

/// Returns when every worker has as many keys.
async fn await_keys(system: &System, count: usize) {
    until("every worker has the sealing keys", async || {
        let workers = workers(system, WORKERS.len()).await;
        let has =
            |worker: &Value| worker["status"]["keys"].as_array().is_some_and(|keys| keys.len() == count);
        workers.iter().all(has).then_some(())
    })
    .await;
}

/// `nsl custodian …` as the operators.
fn custodian(system: &System, arguments: &[&str]) -> Value {
    let arguments = [&["--context", "operator", "--json", "custodian"], arguments].concat();
    let output = system.nsl(&arguments);
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn key_file(system: &System, name: &str) -> String {
    system.path().join(format!("keys/{name}.key")).to_str().unwrap().to_owned()
}

fn provide(system: &System, name: &str, worker: &str) {
    custodian(system, &["provision", "--key", &key_file(system, name), "--worker", worker]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_custodians_bring_back_has_its_addresses_and_signs_again() {
    let Some(system) = System::start_with_custodians().await else { return };
    let client = system.client().await;
    let wallet = wallets::create(&client, &system.genesis()).await;
    system.fund(wallets::address(&wallet), 1);
    transfer(&client, &wallet, "first").await;

    // One worker ends: the other gives the key to the one in its place, without people.
    await_keys(&system, 1).await;
    system.end(WORKERS[0], Signal::SIGKILL).await;
    await_keys(&system, 1).await;

    // All workers end at once, and with them the key: only custodians have it, others than those of the first time.
    for name in WORKERS {
        system.signal(name, Signal::SIGSTOP).await;
    }
    for name in WORKERS {
        system.end(name, Signal::SIGKILL).await;
    }
    let fresh = workers(&system, WORKERS.len()).await;
    for worker in &fresh {
        assert_eq!(worker["status"]["keys"], serde_json::json!([]), "{worker}");
    }
    let chosen = fresh[0]["worker"].as_str().unwrap();
    provide(&system, "custodian-2", chosen);
    provide(&system, "custodian-3", chosen);
    await_keys(&system, 1).await;
    transfer(&client, &wallet, "second").await;
    let verified = system.nsl(&["wallet", "verify", wallet.wallet.as_str()]);
    assert!(verified.status.success(), "{}", text(&verified));
    assert!(text(&verified).contains(&wallets::address(&wallet).to_string()), "{}", text(&verified));

    rotate(&system, &client, &wallet).await;
}

/// A key of the next epoch, of other custodians: the wallet's key moves to it and signs on.
async fn rotate(system: &System, client: &Client, wallet: &BornWallet) {
    let custodians: Vec<String> = ["ada", "ben"]
        .map(|name| {
            let made = custodian(system, &["keygen", "--out", &key_file(system, name)]);
            format!("{name}={}", made["public_key"].as_str().unwrap())
        })
        .into();
    let quorum = system.path().join("keys/quorum.seed");
    let (ada, ben) = (&custodians[0], &custodians[1]);
    let founded = custodian(
        system,
        &[
            "found",
            "--threshold",
            "2",
            "--custodian",
            ada,
            "--custodian",
            ben,
            "--seed",
            quorum.to_str().unwrap(),
        ],
    );
    assert_eq!(founded["epoch"], 2, "{founded}");
    let chosen = workers(system, WORKERS.len()).await[1]["worker"].as_str().unwrap().to_owned();
    for name in ["ada", "ben"] {
        provide(system, name, &chosen);
    }
    await_keys(system, 2).await;
    assert_eq!(custodian(system, &["reseal"])["asked"], 1);
    until("every wallet's key is sealed anew", async || {
        let told = custodian(system, &["reseal"]);
        (told["asked"] == 0 && told["pending"] == 0).then_some(())
    })
    .await;
    transfer(client, wallet, "third").await;
    let sealed =
        "SELECT payload->'sealed_key'->>'sealing_key_id' FROM events WHERE event_type = 'key-resealed'";
    let sealed: String = sqlx::query_scalar(sealed).fetch_one(&system.database()).await.unwrap();
    assert_eq!(sealed, founded["key_id"].as_str().unwrap());
    system.check_read_models();
}
