//! `nsl` as a person or a script uses it, with the context that a local site writes.

use std::io::BufRead as _;

use std::process::Output;

use nsl_local_services::NETWORK_MAGIC;
use nsl_neo::Address;
use serde_json::Value;

use crate::chain::gas;
use crate::system::{System, text};
use crate::{log, wallets};

/// What the wallet gets, in GAS.
const FUNDS_GAS: u32 = 20;
/// The same in datoshi.
const FUNDS_DATOSHI: u128 = FUNDS_GAS as u128 * 1_0000_0000;
/// What it sends: 1.5 GAS.
const SENT_DATOSHI: u128 = 1_5000_0000;

/// The JSON that a run ended with.
fn json(output: &Output, exit_code: i32) -> Value {
    assert_eq!(output.status.code(), Some(exit_code), "{}", text(output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_and_events_work_from_the_command_line() {
    let Some(system) = System::start().await else { return };
    let magic = NETWORK_MAGIC.to_string();
    let created = json(
        &system.nsl(&["wallet", "create", "till", "--network-magic", &magic, "--allow", "GAS=10", "--json"]),
        0,
    );
    assert_eq!(created["reason"], "wallet_created");
    let address: Address = created["address"].as_str().unwrap().parse().unwrap();
    let shown = json(&system.nsl(&["wallet", "show", "till", "--json"]), 0);
    assert_eq!((&shown["status"], &shown["address"]), (&"open".into(), &created["address"]), "{shown}");

    transfers(&system, address).await;
    raw_commands(&system);
    replay(&system).await;
}

async fn transfers(system: &System, address: Address) {
    let node = system.node();
    system.fund(address, FUNDS_GAS);
    let to = wallets::stranger("command line");
    let transfer = |wallet: &str, amount: &str| {
        let to = to.to_string();
        system.nsl(&["wallet", "transfer", wallet, amount, "GAS", &to, "--wait", "confirmed", "--json"])
    };
    let confirmed = json(&transfer("till", "1.5"), 0);
    assert_eq!(confirmed["reason"], "transfer_confirmed");
    let fee = |name: &str| confirmed["transfer"][name].as_str().unwrap().parse::<u128>().unwrap();
    let fees = fee("system_fee_datoshi") + fee("network_fee_datoshi");
    assert_eq!(gas(&node, to).await, SENT_DATOSHI);
    assert_eq!(gas(&node, address).await, FUNDS_DATOSHI - SENT_DATOSHI - fees);

    let id = confirmed["command"]["command_id"].as_str().unwrap();
    for (wallet, amount, exit_code, code) in
        [("till", "10.00000001", 6, "amount_not_allowed"), ("no-such-wallet", "1", 5, "not_found")]
    {
        let refused = json(&transfer(wallet, amount), exit_code);
        assert_eq!(refused["code"], code, "{refused}");
    }
    let recorded = json(&system.nsl(&["command", "result", id, "--json"]), 0);
    assert_eq!(recorded["result"]["first_position"], confirmed["command"]["first_position"]);
    assert_eq!(gas(&node, to).await, SENT_DATOSHI, "what was refused moved nothing");
}

fn raw_commands(system: &System) {
    let client_key = system.key("developer").public();
    let payload = serde_json::json!({ "policy": {
        "owners": { "threshold": 1, "keys": [client_key] },
        "network_magic": NETWORK_MAGIC, "assets": [{ "asset": nsl_neo::native::GAS.to_string(), "amount_max": "1" }], "fee_max_datoshi": "1",
    }});
    let file = system.path().join("create.json");
    std::fs::write(&file, payload.to_string()).unwrap();
    let send = |subject: &str, id: &str| {
        let file = file.to_str().unwrap();
        system.nsl(&["command", "send", subject, "--file", file, "--id", id, "--json"])
    };
    let id = uuid::Uuid::now_v7().to_string();
    let first = json(&send("nsl.v1.cmd.demo.wallet.raw.create", &id), 0);
    assert_eq!(first["reason"], "command_accepted");
    // Its result is known and its bytes are no longer kept: under its id this is another command.
    assert_eq!(json(&send("nsl.v1.cmd.demo.wallet.raw.create", &id), 6)["code"], "id_reused");
    let result = json(&system.nsl(&["command", "result", &id, "--json"]), 0);
    assert_eq!(result["result"]["first_position"], first["command"]["first_position"]);
    let other = uuid::Uuid::now_v7().to_string();
    let exists = json(&send("nsl.v1.cmd.demo.wallet.raw.create", &other), 6);
    assert_eq!(exists["code"], "wallet_exists");
    let denied = json(&send("nsl.v1.cmd.other.wallet.raw.create", &uuid::Uuid::now_v7().to_string()), 4);
    assert_eq!(denied["code"], "not_authorised");
}

async fn replay(system: &System) {
    let output = system.nsl(&["events", "replay", "--context", "operator", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let positions: Vec<u64> = lines.iter().map(|line| line["position"].as_u64().unwrap()).collect();
    assert_eq!(positions, (1..=u64::try_from(lines.len()).unwrap()).collect::<Vec<_>>());
    let recorded = log::publishable(&system.database(), positions.len().try_into().unwrap()).await;
    let told = |line: &Value| {
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (line["position"].as_u64().unwrap(), text("subject"), text("id"))
    };
    let told: Vec<_> = lines.iter().map(told).collect();
    let recorded: Vec<_> =
        recorded.into_iter().map(|(position, subject, id, _)| (position, subject, id)).collect();
    assert_eq!(told, recorded);
    let own = system.nsl(&["events", "replay", "--json"]);
    assert_eq!(own.status.code(), Some(0), "{}", text(&own));
    let own: Vec<Value> =
        own.stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let of_demo = |line: &&Value| line["subject"].as_str().unwrap().starts_with("nsl.v1.evt.demo.");
    assert_eq!(own, lines.iter().filter(of_demo).cloned().collect::<Vec<_>>());
}
