//! The steps of wallets and transfers, as the log tells them.

use std::time::Duration;

use futures::StreamExt as _;
use nsl_client::transfer::TransferStep;
use nsl_client::{birth, wallet};
use nsl_schemas::authority::GenesisManifest;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::command::wallet::VmState;
use nsl_schemas::number::Datoshi;
use nsl_schemas::token::AggregateId;
use nsl_test_site::{key, manifest, policy};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::world;

const LIMIT: Duration = Duration::from_secs(10);

fn genesis() -> GenesisManifest {
    // AWS's root: admitted by every build.
    let root = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b".parse().unwrap();
    manifest(root, vec![])
}

fn outcome_proof() -> Value {
    let zero = Sha256([0; 32]).to_string();
    json!({
        "worker": key(40).public(),
        "statement": {"job_id": Uuid::nil(), "request_sha256": zero, "result_sha256": zero, "post_state_sha256": zero},
        "signature": "",
    })
}

#[tokio::test]
async fn a_key_whose_certificate_does_not_hold_is_not_handed_out() {
    let Some(world) = world().await else { return };
    let main = AggregateId::parse("main").unwrap();
    let prepared = world.client.prepare_create_wallet(Uuid::now_v7(), &main, &policy()).unwrap();
    let mut commands = world.commands().await;
    let serve = async {
        commands.next().await.unwrap();
        let statement = json!({
            "genesis_sha256": genesis().sha256(), "tenant": world.tenant, "wallet": "main",
            "command_id": prepared.command_id(), "public_key": "02".repeat(33),
            "policy_sha256": policy().sha256(), "owners": policy().owners,
        });
        let created = json!({
            "event": "key-created", "request_id": prepared.command_id(), "public_key": "02".repeat(33),
            "address": "N", "outcome": outcome_proof(),
            "sealed_key": {"sealing_key_id": "k", "version": 1, "nonce": "", "ciphertext": ""},
            "birth_certificate": {"statement": statement, "document": "AAAA"},
        });
        let position = world.publish_event("main", "key-created", &created).await;
        world.accept(prepared.command_id(), position).await;
    };
    let genesis = genesis();
    let (born, ()) = tokio::join!(world.client.create_wallet(&prepared, &genesis, LIMIT), serve);
    assert!(
        matches!(born, Err(wallet::Error::Birth { source: birth::Error::Attestation(_), .. })),
        "{born:?}"
    );
}

#[tokio::test]
async fn a_refused_creation_ends_the_wait() {
    let Some(world) = world().await else { return };
    let main = AggregateId::parse("main").unwrap();
    let prepared = world.client.prepare_create_wallet(Uuid::now_v7(), &main, &policy()).unwrap();
    let mut commands = world.commands().await;
    let serve = async {
        commands.next().await.unwrap();
        let mut refused = json!({
            "event": "creation-refused", "request_id": Uuid::nil(),
            "refusal": {"code": "worker_policy_denied", "message": "no", "outcome": outcome_proof()},
        });
        let position = world.publish_event("main", "creation-refused", &refused).await;
        refused["request_id"] = json!(prepared.command_id());
        refused["refusal"]["code"] = json!("worker_authority_denied");
        world.publish_event("main", "creation-refused", &refused).await;
        world.accept(prepared.command_id(), position).await;
    };
    let genesis = genesis();
    let (born, ()) = tokio::join!(world.client.create_wallet(&prepared, &genesis, LIMIT), serve);
    assert!(
        matches!(&born, Err(wallet::Error::Refused { code, .. }) if code == "worker_authority_denied"),
        "{born:?}"
    );
}

#[tokio::test]
async fn a_transfer_is_followed_step_by_step_among_others() {
    let Some(world) = world().await else { return };
    let main = AggregateId::parse("main").unwrap();
    let request_id = Uuid::now_v7();
    let signed = |request_id: Uuid| {
        json!({
            "event": "transfer-signed", "request_id": request_id, "tx_hash": "0x1", "valid_until_block": 9,
            "transaction": "", "outcome": outcome_proof(),
        })
    };
    let first = world.publish_event("main", "transfer-signed", &signed(Uuid::nil())).await;
    world.publish_event("main", "of-a-newer-service", &json!({"anything": true})).await;
    let signed_at = world.publish_event("main", "transfer-signed", &signed(request_id)).await;
    let confirmed = json!({
        "event": "transfer-confirmed", "request_id": request_id, "tx_hash": "0x1", "block_index": 8,
        "block_hash": "0x2", "vm_state": "HALT", "gas_consumed_datoshi": "997775",
    });
    let confirmed_at = world.publish_event("main", "transfer-confirmed", &confirmed).await;
    let mut steps = world.client.follow_transfer(&world.tenant, &main, request_id, first).await.unwrap();
    let expected = TransferStep::Signed { tx_hash: "0x1".into(), valid_until_block: 9, position: signed_at };
    assert_eq!(steps.next(LIMIT).await.unwrap(), expected);
    let expected = TransferStep::Confirmed {
        tx_hash: "0x1".into(),
        block_index: 8,
        vm_state: VmState::Halt,
        exception: None,
        gas_consumed_datoshi: Datoshi(997_775),
        position: confirmed_at,
    };
    assert_eq!(steps.next(LIMIT).await.unwrap(), expected);
}

#[tokio::test]
async fn a_transfer_that_nobody_signed_ends_with_its_request() {
    let Some(world) = world().await else { return };
    let main = AggregateId::parse("main").unwrap();
    let request_id = Uuid::now_v7();
    let expired = |request_id: Uuid| {
        json!({
            "event": "transfer-request-expired", "request_id": request_id, "tx_hash": "0x1",
            "valid_until_block": 9, "sign_by_ms": "7",
        })
    };
    let first = world.publish_event("main", "transfer-request-expired", &expired(Uuid::nil())).await;
    let position = world.publish_event("main", "transfer-request-expired", &expired(request_id)).await;
    let mut steps = world.client.follow_transfer(&world.tenant, &main, request_id, first).await.unwrap();
    let expected = TransferStep::RequestExpired { tx_hash: "0x1".into(), valid_until_block: 9, position };
    assert_eq!(steps.next(LIMIT).await.unwrap(), expected);
}
