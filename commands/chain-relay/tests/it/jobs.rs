//! From a job to its recorded end.

use nsl_neo_rpc::KnownWhere;
use nsl_neo_rpc::Submission;
use nsl_schemas::command::wallet::{RecordConfirmation, RecordExpiry, VmState, WalletCommand};
use nsl_schemas::errors;
use nsl_schemas::job::SubmitJob;
use nsl_schemas::result::Answer;

use crate::chain::{ONE_GAS, fresh_account, fresh_key};
use crate::service::{World, world};
use crate::write_side::Heard;

fn confirmation(heard: &Heard) -> &RecordConfirmation {
    match &heard.command {
        WalletCommand::RecordConfirmation(confirmation) => confirmation,
        other => panic!("{other:?}"),
    }
}

fn expiry(heard: &Heard) -> &RecordExpiry {
    match &heard.command {
        WalletCommand::RecordExpiry(expiry) => expiry,
        other => panic!("{other:?}"),
    }
}

/// A transfer of one datoshi by an account that has `funds`, valid for `blocks`.
async fn transfer(world: &World, funds: u128, blocks: u32) -> SubmitJob {
    let key = fresh_key();
    if funds > 0 {
        world.chain.fund(key.public_key().script_hash(), funds).await;
    }
    let last_block = world.chain.block_count().await + blocks;
    world.write_side.job(&world.chain.transfer(&key, fresh_account(), 1, last_block))
}

#[tokio::test]
async fn a_transfer_is_confirmed_from_its_block_once_for_all_copies_of_its_job() {
    let Some(mut world) = world().await else { return };
    let _relay = world.relay();
    let job = transfer(&world, ONE_GAS, 100).await;
    let first = world.write_side.publish(&job).await;
    let copy = world.write_side.publish(&job).await;
    let heard = world.write_side.hear(&job).await;

    let confirmed = confirmation(&heard);
    let hash = job.tx_hash.parse().unwrap();
    let node = &world.chain.node;
    let block = node.block(confirmed.block_index).await.unwrap().unwrap();
    let log = node.application_log(hash).await.unwrap().unwrap();
    assert!(block.transaction_hashes.contains(&hash));
    assert_eq!(confirmed.block_hash, block.hash.to_string());
    assert_eq!((confirmed.request_id, &confirmed.tx_hash), (job.request_id, &job.tx_hash));
    assert_eq!((confirmed.vm_state, &confirmed.exception), (VmState::Halt, &None));
    assert_eq!(
        i64::try_from(confirmed.gas_consumed_datoshi.0).unwrap(),
        log.executions[0].gas_consumed_datoshi
    );

    // Whichever was taken first is held until the end is recorded.
    let held = tokio::select! {
        () = world.write_side.done(first) => copy,
        () = world.write_side.done(copy) => first,
    };
    assert!(world.write_side.has(held).await);
    world.write_side.accept(&heard).await;
    world.write_side.done(held).await;
    assert!(world.write_side.is_silent());
}

#[tokio::test]
async fn a_transfer_that_faults_is_confirmed_with_the_machine_s_words() {
    let Some(mut world) = world().await else { return };
    let _relay = world.relay();
    let key = fresh_key();
    world.chain.fund(key.public_key().script_hash(), ONE_GAS).await;
    let last_block = world.chain.block_count().await + 100;
    // It can pay its fees, and not the amount.
    let transaction = world.chain.transfer(&key, fresh_account(), 2 * ONE_GAS, last_block);
    let job = world.write_side.job(&transaction);
    let sequence = world.write_side.publish(&job).await;
    let heard = world.write_side.hear(&job).await;
    assert_eq!(confirmation(&heard).vm_state, VmState::Fault);
    assert!(confirmation(&heard).exception.as_ref().is_some_and(|text| text.contains("ASSERT")));
    world.write_side.accept(&heard).await;
    world.write_side.done(sequence).await;
}

#[tokio::test]
async fn a_transfer_that_is_on_chain_already_is_confirmed_without_submission() {
    let Some(mut world) = world().await else { return };
    let key = fresh_key();
    world.chain.fund(key.public_key().script_hash(), ONE_GAS).await;
    let last_block = world.chain.block_count().await + 100;
    let transaction = world.chain.transfer(&key, fresh_account(), 1, last_block);
    let node = &world.chain.node;
    assert_eq!(node.send_raw_transaction(&transaction).await.unwrap(), Submission::Accepted);
    while node.send_raw_transaction(&transaction).await.unwrap()
        != Submission::AlreadyKnown(KnownWhere::Chain)
    {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let job = world.write_side.job(&transaction);
    let sequence = world.write_side.publish(&job).await;
    let _relay = world.relay();
    let heard = world.write_side.hear(&job).await;
    let height = world.chain.node.transaction_height(transaction.hash()).await.unwrap();
    assert_eq!(Some(confirmation(&heard).block_index), height);
    world.write_side.accept(&heard).await;
    world.write_side.done(sequence).await;
}

#[tokio::test]
async fn a_transfer_whose_last_block_has_passed_expires_without_a_reason() {
    let Some(mut world) = world().await else { return };
    let _relay = world.relay();
    let last_block = world.chain.block_count().await - 1;
    let transaction = world.chain.transfer(&fresh_key(), fresh_account(), 1, last_block);
    let job = world.write_side.job(&transaction);
    let sequence = world.write_side.publish(&job).await;
    let heard = world.write_side.hear(&job).await;
    let expired = expiry(&heard);
    assert!(expired.block_index > last_block);
    assert!(expired.block_index < world.chain.block_count().await, "the later block exists");
    assert_eq!(expired.reason, None);
    world.write_side.accept(&heard).await;
    world.write_side.done(sequence).await;
}

#[tokio::test]
async fn a_transfer_without_funds_is_tried_to_its_last_block_and_expires_with_the_node_s_reason() {
    let Some(mut world) = world().await else { return };
    let _relay = world.relay();
    let job = transfer(&world, 0, 10).await;
    let sequence = world.write_side.publish(&job).await;
    let heard = world.write_side.hear(&job).await;
    let expired = expiry(&heard);
    assert!(expired.block_index > job.valid_until_block);
    assert!(expired.reason.as_ref().is_some_and(|reason| reason.contains("(-511)")), "{expired:?}");
    world.write_side.accept(&heard).await;
    world.write_side.done(sequence).await;
}

#[tokio::test]
async fn a_job_of_a_killed_or_stopped_relay_is_done_by_the_next_and_funds_may_come_late() {
    let Some(mut world) = world().await else { return };
    let key = fresh_key();
    let last_block = world.chain.block_count().await + 300;
    let transaction = world.chain.transfer(&key, fresh_account(), 1, last_block);
    let job = world.write_side.job(&transaction);
    let sequence = world.write_side.publish(&job).await;

    let before = world.write_side.deliveries().await;
    let relay = world.relay();
    world.delivers_after(before).await;
    relay.kill();
    let before = world.write_side.deliveries().await;
    let relay = world.relay();
    world.delivers_after(before).await;
    assert_eq!(relay.stop().await, Some(0));
    assert!(world.write_side.has(sequence).await);

    let _relay = world.relay();
    world.chain.fund(key.public_key().script_hash(), ONE_GAS).await;
    let heard = world.write_side.hear(&job).await;
    assert_eq!(confirmation(&heard).vm_state, VmState::Halt);
    world.write_side.accept(&heard).await;
    world.write_side.done(sequence).await;
}

#[tokio::test]
async fn a_node_that_is_away_costs_no_job() {
    let Some(mut world) = world().await else { return };
    let job = transfer(&world, ONE_GAS, 300).await;
    let sequence = world.write_side.publish(&job).await;
    let before = world.write_side.deliveries().await;
    let without_node = world.relay_of("http://127.0.0.1:1");
    world.delivers_after(before).await;
    assert!(world.write_side.is_silent());
    without_node.kill();
    let _relay = world.relay();
    let heard = world.write_side.hear(&job).await;
    assert_eq!(confirmation(&heard).vm_state, VmState::Halt);
    world.write_side.accept(&heard).await;
    world.write_side.done(sequence).await;
}

#[tokio::test]
async fn a_report_is_repeated_until_it_is_decided_and_an_earlier_one_counts() {
    let Some(mut world) = world().await else { return };
    let _relay = world.relay();
    let unknown = || Answer::Rejected { code: errors::TRANSFER_UNKNOWN.to_string(), message: "gone".into() };
    let job = transfer(&world, 0, 0).await;
    let sequence = world.write_side.publish(&job).await;
    for code in [errors::UNAVAILABLE, errors::NOT_AUTHORISED] {
        let heard = world.write_side.hear(&job).await;
        world.write_side.refuse(&heard, code).await;
        assert!(world.write_side.has(sequence).await);
    }
    let heard = world.write_side.hear(&job).await;
    world.write_side.refuse(&heard, errors::ID_REUSED).await;
    world.write_side.done(sequence).await;

    let job = transfer(&world, 0, 0).await;
    let sequence = world.write_side.publish(&job).await;
    let heard = world.write_side.hear(&job).await;
    world.write_side.decide(&heard, unknown()).await;
    world.write_side.done(sequence).await;
}

#[tokio::test]
async fn a_job_that_makes_no_sense_is_parked_and_its_neighbours_go_on() {
    let Some(mut world) = world().await else { return };
    let _relay = world.relay();
    let job = transfer(&world, 0, 0).await;
    let tampered = SubmitJob { valid_until_block: job.valid_until_block + 1, ..job.clone() };
    for payload in [b"not a job".to_vec(), nsl_schemas::canonical::to_string(&tampered).into_bytes()] {
        let sequence = world.write_side.publish_bytes(payload.clone()).await;
        world.write_side.done(sequence).await;
        assert_eq!(world.write_side.last_parked().await, payload);
    }
    let sequence = world.write_side.publish(&job).await;
    let heard = world.write_side.hear(&job).await;
    world.write_side.accept(&heard).await;
    world.write_side.done(sequence).await;
}
