//! Two of three approvers let a transfer be signed; before that nobody can, and an owner may stop it.

use std::path::PathBuf;
use std::time::Duration;

use nsl_client::transfer::{TransferStep, TransferSteps};
use nsl_client::wallet::BornWallet;
use nsl_client::{Client, events};
use nsl_schemas::authority::Quorum;
use nsl_schemas::command::wallet::VmState;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::policy::ApprovalRule;
use uuid::Uuid;

use crate::chain::gas;
use crate::patience::{PATIENCE, until};
use crate::system::{System, text};
use crate::wallets;

/// What moves: 1 GAS.
const SENT_DATOSHI: u128 = 1_0000_0000;
/// In which a transfer without its approvals would have been signed; it is not waited for in vain but once.
const QUIET: Duration = Duration::from_secs(3);

/// The seed files of three approvers, as `--key` takes them.
fn approvers(system: &System) -> Vec<(PathBuf, SigningKey)> {
    let file = |number: u8| {
        let path = system.path().join(format!("approver-{number}.seed"));
        std::fs::write(&path, SigningKey::seed_text(&[number; 32]).as_bytes()).unwrap();
        (path, SigningKey::from_seed(&[number; 32]))
    };
    (101..=103).map(file).collect()
}

async fn asked(client: &Client, wallet: &BornWallet, to: &str) -> (Uuid, TransferSteps) {
    let transfer = wallets::gas_transfer(wallets::stranger(to), SENT_DATOSHI);
    let quote = client.quote_transfer(client.tenant(), &wallet.public_key, &transfer).await.unwrap();
    let prepared = client.prepare_transfer(Uuid::now_v7(), &wallet.wallet, &transfer, &quote).unwrap();
    let sent = client.send(&prepared).await.unwrap();
    let (request_id, position) = (sent.command_id, sent.first_position);
    let steps = client.follow_transfer(client.tenant(), &wallet.wallet, request_id, position).await.unwrap();
    (request_id, steps)
}

/// Runs `nsl request approve` until the read model has the request.
async fn approve(system: &System, request_id: Uuid, key: &std::path::Path) {
    let (request, key) = (request_id.to_string(), key.to_str().unwrap());
    until("the approval is accepted", async || {
        let output = system.nsl(&["request", "approve", &request, "--key", key]);
        match output.status.code() {
            Some(0) => Some(()),
            Some(5) => None,
            _ => panic!("{}", text(&output)),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_signed_once_two_of_three_approved_it_and_never_after_an_owner_ended_it() {
    let Some(system) = System::start().await else { return };
    let (client, approvers) = (system.client().await, approvers(&system));
    let keys = approvers.iter().map(|(_, key)| key.public()).collect();
    let mut policy = wallets::policy(&client);
    let rule = ApprovalRule { approvers: Quorum { threshold: 2, keys }, free: vec![], within_seconds: 3_600 };
    policy.rules.approvals = Some(rule);
    let wallet = wallets::create_under(&client, &system.genesis(), &policy).await;
    system.fund(wallets::address(&wallet), 5);

    let (request_id, mut steps) = asked(&client, &wallet, "approved").await;
    approve(&system, request_id, &approvers[2].0).await;
    let first = steps.next(PATIENCE).await.unwrap();
    assert!(matches!(first, TransferStep::Approved { approvals_missing: 1, .. }), "{first:?}");
    assert!(matches!(steps.next(QUIET).await, Err(events::Error::TimedOut { .. })), "one is not enough");
    let shown = system.nsl(&["request", "list", "--pending"]);
    assert!(text(&shown).contains("awaiting-approvals"), "{}", text(&shown));
    approve(&system, request_id, &approvers[0].0).await;
    let second = steps.next(PATIENCE).await.unwrap();
    assert!(matches!(second, TransferStep::Approved { approvals_missing: 0, .. }), "{second:?}");
    let signed = steps.next(PATIENCE).await.unwrap();
    assert!(matches!(signed, TransferStep::Signed { .. }), "{signed:?}");
    let confirmed = steps.next(PATIENCE).await.unwrap();
    assert!(matches!(confirmed, TransferStep::Confirmed { vm_state: VmState::Halt, .. }), "{confirmed:?}");
    assert_eq!(gas(&system.node(), wallets::stranger("approved")).await, SENT_DATOSHI);

    let (request_id, mut steps) = asked(&client, &wallet, "cancelled").await;
    let owner = system.path().join("owner.seed");
    std::fs::write(&owner, std::fs::read(system.path().join("keys/developer.seed")).unwrap()).unwrap();
    let (id, request) = (wallet.wallet.to_string(), request_id.to_string());
    let cancelled = system.nsl(&["request", "cancel", &id, &request, "--key", owner.to_str().unwrap()]);
    assert_eq!(cancelled.status.code(), Some(0), "{}", text(&cancelled));
    let step = steps.next(PATIENCE).await.unwrap();
    assert!(matches!(step, TransferStep::Cancelled { .. }), "{step:?}");
    system.check_read_models();
}
