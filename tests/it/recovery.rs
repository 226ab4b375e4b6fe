//! A site is lost, all of it: every process, the database, the bus. From the log's archives and the custodians' shares
//! comes the same site again.

use nix::sys::signal::Signal;
use nsl_client::prepared::Prepared;
use nsl_client::{Client, SendError};
use nsl_schemas::result::CommandResult;
use uuid::Uuid;

use crate::chain::gas;
use crate::custodians::transfer;
use crate::patience::until;
use crate::system::{System, text};
use crate::{log, wallets};

/// What a tenant is shown, by the question that shows it.
const SHOWN: [&[&str]; 3] = [&["wallet", "list"], &["request", "list"], &["transaction", "list"]];

/// The rows of every read model of wallets.
fn shown(system: &System) -> [String; 3] {
    let rows = |question: &&[&str]| {
        let output = system.nsl(&[question, &["--json"][..]].concat());
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    SHOWN.each_ref().map(rows)
}

/// A command that was accepted or rejected, and what its issuer heard.
async fn answered(client: &Client, prepared: &Prepared) -> Result<CommandResult, String> {
    match client.send(prepared).await {
        Ok(result) => Ok(result),
        Err(SendError::Rejected { code, .. }) => Err(code),
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_site_comes_back_from_its_archives_and_its_custodians() {
    let Some(system) = System::start_with_custodians().await else { return };
    let client = system.client().await;
    let id = wallets::fresh_id();
    let created = client.prepare_create_wallet(Uuid::now_v7(), &id, &wallets::policy(&client)).unwrap();
    let wallet = client.create_wallet(&created, &system.genesis(), crate::patience::PATIENCE).await.unwrap();
    system.fund(wallets::address(&wallet), 3);
    transfer(&client, &wallet, "before").await;
    let second = client.prepare_create_wallet(Uuid::now_v7(), &id, &wallets::policy(&client)).unwrap();
    let mut old = Vec::new();
    for command in [created, second] {
        let answer = answered(&client, &command).await;
        old.push((command, answer));
    }
    assert!(old[0].1.is_ok() && old[1].1 == Err("wallet_exists".to_owned()), "{old:?}");

    // Nobody decides any more: what is archived is the whole log.
    system.signal("commands", Signal::SIGSTOP).await;
    let head = log::head(&system.database()).await;
    let newest = "SELECT max(position) FROM events WHERE aggregate_type = 'wallet'";
    let newest = format!("\"position\":{}", log::count(&system.database(), newest).await);
    let before = until("the read models are at the head", async || {
        let [wallets, requests, transactions] = shown(&system);
        let are_there = wallets.contains(&newest) && requests.contains("signed");
        (are_there && transactions.contains("confirmed")).then_some([wallets, requests, transactions])
    })
    .await;
    let archives = tempfile::tempdir().unwrap();
    let folder = archives.path().to_str().unwrap();
    let archived = system.event_log(&["archive", "--up-to-head", "--to", folder]);
    assert!(archived.status.success(), "{}", text(&archived));
    let (node_had, stranger) = (gas(&system.node(), wallets::stranger("before")).await, "after");

    let remains = system.lose();
    let system = remains
        .rebuild(async |parts| {
            let (genesis, head) = (parts.path().join("genesis.json"), head.to_string());
            let genesis = genesis.to_str().unwrap();
            let restored =
                parts.event_log(&["restore", "--from", folder, "--genesis", genesis, "--head", &head]);
            assert!(restored.status.success(), "{}", text(&restored));
        })
        .await;

    let client = system.client().await;
    until("the read models are those of before", async || (shown(&system) == before).then_some(())).await;
    let verified = system.nsl(&["wallet", "verify", wallet.wallet.as_str()]);
    assert!(verified.status.success(), "{}", text(&verified));
    assert!(text(&verified).contains(&wallets::address(&wallet).to_string()), "{}", text(&verified));
    for (command, answer) in &old {
        assert_eq!(answered(&client, command).await, *answer);
    }
    assert_eq!(gas(&system.node(), wallets::stranger("before")).await, node_had);
    transfer(&client, &wallet, stranger).await;
    assert_eq!(gas(&system.node(), wallets::stranger(stranger)).await, 1);
    assert_eq!(log::faults(&system.database()).await, [""; 0]);
    system.check_read_models();
}
