//! A limit over time holds although workers die, one by one and all at once: a majority of the pool remembers what was
//! reserved, and where it is lost, transfers wait until the operators establish a pool anew.

use std::time::Duration;

use nix::sys::signal::Signal;
use nsl_client::transfer::{TransferStep, TransferSteps};
use nsl_client::wallet::BornWallet;
use nsl_client::{Client, events};
use nsl_neo::native;
use nsl_schemas::errors;
use nsl_schemas::number::Amount;
use nsl_schemas::policy::{AmountWindow, CountingRules, Policy};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use crate::patience::{PATIENCE, until};
use crate::system::{System, text};
use crate::wallets;

/// All workers of a local site.
const WORKERS: [&str; 3] = ["enclave-worker-1", "enclave-worker-2", "enclave-worker-3"];
/// What one transfer moves: 1 GAS.
const SENT_DATOSHI: u128 = 1_0000_0000;
/// Transfers that the window has room for.
const ROOM: u128 = 5;
/// In which a transfer would have been signed that waits for a pool; it is not waited for in vain but twice.
const QUIET: Duration = Duration::from_secs(5);

/// At most so much in a day.
fn counting_policy(client: &Client) -> Policy {
    let mut policy = wallets::policy(client);
    let window = AmountWindow {
        amount_max: Amount(ROOM * SENT_DATOSHI),
        asset: native::GAS.to_string(),
        window_seconds: 24 * 60 * 60,
    };
    policy.rules.counting = Some(CountingRules { amounts: vec![window], ..CountingRules::default() });
    policy
}

/// A transfer that was asked for.
async fn ask(client: &Client, wallet: &BornWallet) -> TransferSteps {
    let transfer = wallets::gas_transfer(wallets::stranger("withheld"), SENT_DATOSHI);
    let quote = client.quote_transfer(client.tenant(), &wallet.public_key, &transfer).await.unwrap();
    let prepared = client.prepare_transfer(Uuid::now_v7(), &wallet.wallet, &transfer, &quote).unwrap();
    let sent = client.send(&prepared).await.unwrap();
    let (request_id, position) = (sent.command_id, sent.first_position);
    client.follow_transfer(client.tenant(), &wallet.wallet, request_id, position).await.unwrap()
}

/// What became of it: signed, or refused with this code. Nothing, when nothing did within the time.
async fn verdict(steps: &mut TransferSteps, limit: Duration) -> Option<Result<(), String>> {
    let deadline = Instant::now() + limit;
    loop {
        match steps.next(deadline.saturating_duration_since(Instant::now())).await {
            Ok(TransferStep::Signed { .. }) => return Some(Ok(())),
            Ok(TransferStep::Refused { code, .. }) => return Some(Err(code)),
            Ok(_) => {}
            Err(events::Error::TimedOut { .. }) => return None,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn must_be_signed(steps: &mut TransferSteps) {
    assert_eq!(verdict(steps, PATIENCE).await, Some(Ok(())));
}

/// The operators make the workers that serve the pool.
fn establish(system: &System) {
    let seed = system.path().join("keys/quorum.seed").display().to_string();
    let output = system.nsl(&["--context", "operator", "authority", "establish-pool", "--seed", &seed]);
    assert!(output.status.success(), "{}", text(&output));
}

/// The view that the host says there is: number, how many endorse, how many are members.
fn view(system: &System) -> Option<(u64, usize, usize)> {
    let output = system.nsl(&["--context", "operator", "worker", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&output.stdout).ok()?;
    let view = listed["hosts"].get(0)?.get("pool_view")?.clone();
    let count = |member: &str| view[member].as_array().map_or(0, Vec::len);
    Some((view["number"].as_u64()?, count("endorsing"), count("members")))
}

async fn all_serve(system: &System) {
    until("all workers serve", async || {
        let output = system.nsl(&["--context", "operator", "worker", "list", "--json"]);
        let listed: Value = serde_json::from_slice(&output.stdout).ok()?;
        let workers = listed["hosts"].get(0)?["workers"].as_array()?.clone();
        let serving = workers.iter().filter(|worker| worker["state"] == "serving").count();
        (serving == WORKERS.len()).then_some(())
    })
    .await;
}

async fn all_endorse(system: &System, number_min: u64) {
    until("all workers endorse", async || {
        view(system).filter(|(number, endorsing, members)| {
            *number >= number_min && (*endorsing, *members) == (WORKERS.len(), WORKERS.len())
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_over_time_holds_when_workers_die_and_waits_for_operators_when_all_do() {
    let Some(system) = System::start().await else { return };
    let client = system.client().await;
    let counted = wallets::create_under(&client, &system.genesis(), &counting_policy(&client)).await;
    let free = wallets::create(&client, &system.genesis()).await;
    system.fund(wallets::address(&counted), 20);
    system.fund(wallets::address(&free), 20);

    // Before there is a pool: whoever counts waits, whoever does not goes on.
    let mut first = ask(&client, &counted).await;
    assert_eq!(verdict(&mut first, QUIET).await, None, "nothing is signed, and nothing refused");
    must_be_signed(&mut ask(&client, &free).await).await;
    establish(&system);
    must_be_signed(&mut first).await;
    all_endorse(&system, 1).await;
    must_be_signed(&mut ask(&client, &counted).await).await;

    // One dies: the two others are a majority, and the one that takes its place becomes a member.
    system.end(WORKERS[0], Signal::SIGKILL).await;
    must_be_signed(&mut ask(&client, &counted).await).await;
    all_endorse(&system, 2).await;
    must_be_signed(&mut ask(&client, &counted).await).await;

    // All die: what they remembered is gone, so nothing is signed until the operators vouch for the log.
    for worker in WORKERS {
        system.signal(worker, Signal::SIGKILL).await;
    }
    until("the pool is lost", async || view(&system).filter(|view| view.1 == 0)).await;
    all_serve(&system).await;
    let mut last = ask(&client, &counted).await;
    assert_eq!(verdict(&mut last, QUIET).await, None, "nothing is signed, and nothing refused");
    must_be_signed(&mut ask(&client, &free).await).await;
    establish(&system);
    must_be_signed(&mut last).await;

    // The window's room is used up, and stays so.
    let refused = Some(Err(errors::AMOUNT_WINDOW_EXCEEDED.code.to_owned()));
    assert_eq!(verdict(&mut ask(&client, &counted).await, PATIENCE).await, refused);
    system.check_read_models();
}
