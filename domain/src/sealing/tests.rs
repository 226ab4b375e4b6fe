use std::sync::Arc;

use nsl_schemas::authority::{GenesisManifest, Operators, SealingProvider, Signed};
use nsl_schemas::bytes::{Base64, HpkeKey, Sha256};
use nsl_schemas::command::sealing::{RecordKey, SEALING_ID, SealingCommand};
use nsl_schemas::errors;
use nsl_schemas::event::sealing::SealingKeyFounded;
use nsl_schemas::sealing::{Custodian, EncryptedShare, SealingOrder, SealingRecord, SealingStatement};
use nsl_schemas::token::Tenant;
use uuid::Uuid;

use super::Sealing;
use crate::decision::{Genesis, Order, Rejection};
use crate::test_world::{acme, genesis, id, key, order};

/// The tests' log with custodians.
fn log() -> Arc<Genesis> {
    let genesis = genesis();
    let sealing_provider = SealingProvider::CustodianQuorum;
    let manifest = GenesisManifest { sealing_provider, ..genesis.manifest.clone() };
    Arc::new(Genesis { sha256: manifest.sha256(), manifest, trust_root: genesis.trust_root })
}

fn record(epoch: u32) -> SealingRecord {
    let statement = SealingOrder {
        custodians: vec![Custodian { key: HpkeKey([1; 32]), name: "one".into() }],
        epoch,
        genesis_sha256: log().sha256,
        issued_at_ms: 1,
        quorum_epoch: 0,
        threshold: 1,
    };
    let order = Signed::sign(statement, &[&key(1), &key(2)]);
    let shares = vec![EncryptedShare { commitment: Sha256([0; 32]), message: Base64(vec![]) }];
    let statement = SealingStatement { ciphertext: None, key_id: "k".into(), order, shares };
    SealingRecord { document: Base64(vec![0; 64]), statement }
}

fn ask(record: SealingRecord) -> Order<SealingCommand> {
    let body = SealingCommand::RecordKey(RecordKey { record });
    let mut order = order(id(SEALING_ID), Uuid::nil(), body);
    order.facts.operators = Operators::of_genesis(&log().manifest).into();
    order.facts.genesis = log();
    Order { tenant: Tenant::system(), ..order }
}

fn refusal(state: &Sealing, order: &Order<SealingCommand>) -> Rejection {
    state.decide(order).unwrap_err()
}

#[test]
fn the_logs_keys_are_recorded_in_one_place() {
    for order in [Order { tenant: acme(), ..ask(record(1)) }, Order { id: id("other"), ..ask(record(1)) }] {
        let no = refusal(&Sealing::default(), &order);
        assert_eq!(
            (no.code, no.message.as_str()),
            (errors::SEALING_RECORD_INVALID, "the log's sealing keys are system/root")
        );
    }
}

#[test]
fn only_what_the_quorum_ordered_is_recorded() {
    let mut unsigned = record(1);
    unsigned.statement.order.signatures.pop();
    let mut incomplete = record(1);
    incomplete.statement.shares.clear();
    for wrong in [unsigned, incomplete] {
        assert_eq!(refusal(&Sealing::default(), &ask(wrong)).code, errors::SEALING_RECORD_INVALID);
    }
}

#[test]
fn epochs_follow_one_another_and_each_key_is_attested() {
    let mut state = Sealing::default();
    for epoch in 1..=2 {
        for wrong in [epoch - 1, epoch + 1].into_iter().filter(|wrong| *wrong > 0) {
            assert_eq!(refusal(&state, &ask(record(wrong))).code, errors::SEALING_RECORD_INVALID);
        }
        // Right but for the document, which only a worker's NSM can sign.
        assert_eq!(refusal(&state, &ask(record(epoch))).code, errors::ATTESTATION_INVALID);
        state.evolve(SealingKeyFounded { record: record(epoch) }.into());
    }
}
