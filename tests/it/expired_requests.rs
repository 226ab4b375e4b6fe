//! Nobody signs: the transfer is given up at its deadline, and the signature that comes after all is not taken.

use std::time::Duration;

use nix::sys::signal::Signal;
use nsl_client::transfer::TransferStep;
use serde_json::Value;
use uuid::Uuid;

use crate::patience::until;
use crate::system::{System, text};
use crate::wallets;

/// All jobs go through it.
const HOST: &str = "enclave-host";
/// The shortest there is: what is left to wait for is the skew of clocks.
const DEADLINE: &str = "signing_deadline_ms = 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_whose_workers_are_stopped_expires_and_stays_expired_when_they_sign_it_later() {
    let Some(system) = System::start().await else { return };
    system.configure("commands", "processor", DEADLINE);
    system.end("commands", Signal::SIGKILL).await;
    let client = system.client().await;
    let wallet = wallets::create(&client, &system.genesis()).await;
    system.fund(wallets::address(&wallet), 1);
    let transfer = wallets::gas_transfer(wallets::stranger("expired"), 1);
    let quote = client.quote_transfer(client.tenant(), &wallet.public_key, &transfer).await.unwrap();
    system.signal(HOST, Signal::SIGSTOP).await;
    let prepared = client.prepare_transfer(Uuid::now_v7(), &wallet.wallet, &transfer, &quote).unwrap();
    let asked = client.send(&prepared).await.unwrap();
    system.end("commands", Signal::SIGKILL).await;
    let (request_id, position) = (asked.command_id, asked.first_position);
    let mut steps =
        client.follow_transfer(client.tenant(), &wallet.wallet, request_id, position).await.unwrap();
    match steps.next(Duration::from_mins(2)).await.unwrap() {
        TransferStep::RequestExpired { valid_until_block, .. } => {
            assert_eq!(valid_until_block, quote.valid_until_block);
        }
        other => panic!("{other:?}"),
    }
    system.signal(HOST, Signal::SIGCONT).await;
    let database = system.database();
    until("the worker's late signature is rejected", async || {
        let query = "SELECT payload->>'code' FROM events WHERE event_type = 'command-rejected' \
                     AND payload->>'subject' LIKE '%.record-outcome'";
        let code: Option<String> = sqlx::query_scalar(query).fetch_optional(&database).await.unwrap();
        code.map(|code| assert_eq!(code, "outcome_unexpected"))
    })
    .await;
    let signed = "SELECT count(*) FROM events WHERE event_type = 'transfer-signed'";
    assert_eq!(sqlx::query_scalar::<_, i64>(signed).fetch_one(&database).await.unwrap(), 0);
    let shown = system.nsl(&["request", "show", &request_id.to_string(), "--json"]);
    assert!(shown.status.success(), "{}", text(&shown));
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["status"], "expired", "{shown}");
    system.check_read_models();
}
