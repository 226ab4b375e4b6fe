//! Whole lives of a wallet: whatever is asked in whatever order, its jobs, its state and its replay agree.

use std::collections::{BTreeMap, BTreeSet};

use nsl_schemas::authority::Signed;
use nsl_schemas::command::wallet::{
    Create, ExpireRequest, RecordConfirmation, RecordExpiry, RecordOutcome, SetPolicy, VmState, WalletCommand,
};
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::job::{ENCLAVE_KINDS, SUBMIT_KIND};
use nsl_schemas::number::Datoshi;
use nsl_schemas::outcome::{JobResult, SealedKey};
use proptest::prelude::*;
use uuid::Uuid;

use crate::process::{self, State};
use crate::test_world::{
    Life, NOW_MS, SIGNING_MS, birth, key, neo_key, outcome_of, policy, policy_change, refused, sealed, sign,
    transfer,
};
use crate::wallet::Wallet;

/// What somebody does next; work is done for the open job of this index.
#[derive(Debug, Clone)]
enum Step {
    Create,
    SetPolicy,
    RequestTransfer,
    Finish(prop::sample::Index),
    GiveUp(prop::sample::Index),
    PassDeadline(prop::sample::Index),
    FinishWhatWasNeverAsked,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Create),
        2 => Just(Step::SetPolicy),
        4 => Just(Step::RequestTransfer),
        6 => any::<prop::sample::Index>().prop_map(Step::Finish),
        2 => any::<prop::sample::Index>().prop_map(Step::GiveUp),
        2 => any::<prop::sample::Index>().prop_map(Step::PassDeadline),
        1 => Just(Step::FinishWhatWasNeverAsked),
    ]
}

type OpenJob = (Uuid, &'static str);

/// The command that `step` stands for, or none where there is no job to do.
fn command(
    step: &Step,
    command_id: Uuid,
    wallet: &Wallet,
    open: &BTreeSet<OpenJob>,
) -> Option<WalletCommand> {
    let pick = |index: &prop::sample::Index| -> Option<OpenJob> {
        let jobs: Vec<_> = open.iter().copied().collect();
        (!jobs.is_empty()).then(|| jobs[index.index(jobs.len())])
    };
    Some(match step {
        Step::Create => WalletCommand::Create(Create { policy: policy() }),
        Step::SetPolicy => {
            let present = wallet.signing_state().map_or_else(policy, |(_, policy)| policy.clone());
            let change = Signed::sign(policy_change(&present), &[&key(11), &key(12)]);
            WalletCommand::SetPolicy(SetPolicy { change })
        }
        Step::RequestTransfer => WalletCommand::RequestTransfer(transfer()),
        Step::Finish(index) => done(pick(index)?, wallet),
        Step::GiveUp(index) => given_up(pick(index)?, wallet),
        Step::PassDeadline(index) => {
            let (request_id, kind) = pick(index)?;
            if kind != ENCLAVE_KINDS[2] {
                return None;
            }
            WalletCommand::ExpireRequest(ExpireRequest { request_id })
        }
        Step::FinishWhatWasNeverAsked => done((command_id, ENCLAVE_KINDS[2]), wallet),
    })
}

fn key_in_force(wallet: &Wallet) -> Option<SealedKey> {
    wallet.signing_state().map(|(sealed_key, _)| sealed_key.clone())
}

fn hash_of(request: Uuid) -> String {
    match sign(&neo_key(), request, &transfer()) {
        JobResult::TransferSigned { tx_hash, .. } => tx_hash,
        other => unreachable!("sign makes a signed transfer, not {other:?}"),
    }
}

/// What the worker or the relay reports of a job that it did.
fn done((request, kind): OpenJob, wallet: &Wallet) -> WalletCommand {
    let in_force = key_in_force(wallet);
    let [create_key, replace_policy, ..] = ENCLAVE_KINDS;
    let (result, after) = if kind == SUBMIT_KIND {
        return WalletCommand::RecordConfirmation(RecordConfirmation {
            request_id: request,
            tx_hash: hash_of(request),
            block_index: 1,
            block_hash: format!("0x{}", "1".repeat(64)),
            vm_state: VmState::Halt,
            exception: None,
            gas_consumed_datoshi: Datoshi(1),
        });
    } else if kind == create_key {
        let mut birth_certificate = birth();
        birth_certificate.statement.command_id = request;
        (JobResult::KeyCreated { sealed_key: sealed(1), birth_certificate }, Some(sealed(1)))
    } else if kind == replace_policy {
        let next = sealed(in_force.map_or(1, |sealed_key| sealed_key.version + 1));
        (JobResult::PolicyReplaced { sealed_key: next.clone() }, Some(next))
    } else {
        (sign(&neo_key(), request, &transfer()), in_force)
    };
    WalletCommand::RecordOutcome(RecordOutcome { outcome: outcome_of(request, result, after.as_ref()) })
}

/// What the worker or the relay reports of a job that it could not do.
fn given_up((request, kind): OpenJob, wallet: &Wallet) -> WalletCommand {
    if kind == SUBMIT_KIND {
        return WalletCommand::RecordExpiry(RecordExpiry {
            request_id: request,
            tx_hash: hash_of(request),
            block_index: transfer().valid_until_block + 1,
            reason: None,
        });
    }
    let outcome = outcome_of(request, refused(), key_in_force(wallet).as_ref());
    WalletCommand::RecordOutcome(RecordOutcome { outcome })
}

/// The transfer that `event` ends.
fn end_of_transfer(event: &WalletEvent) -> Option<Uuid> {
    match event {
        WalletEvent::TransferRefused(event) => Some(event.request_id),
        WalletEvent::TransferConfirmed(event) => Some(event.request_id),
        WalletEvent::TransferExpired(event) => Some(event.request_id),
        WalletEvent::TransferRequestExpired(event) => Some(event.request_id),
        _ => None,
    }
}

proptest! {
    /// A job opens once, is closed by its own outcome alone, and an honest report of an open job is always taken.
    #[test]
    fn jobs_state_and_replay_agree_at_every_step(steps in prop::collection::vec(step(), 1..48)) {
        let mut life = Life::default();
        let mut open: BTreeSet<OpenJob> = BTreeSet::new();
        let mut processes: BTreeMap<Uuid, State> = BTreeMap::new();
        let (mut keys, mut ended) = (0, BTreeSet::new());
        for (number, step) in steps.iter().enumerate() {
            let command_id = Uuid::from_u128(100 + u128::try_from(number).unwrap());
            let Some(command) = command(step, command_id, life.wallet(), &open) else { continue };
            let before = life.wallet().clone();
            let now_ms =
                if matches!(step, Step::PassDeadline(_)) { NOW_MS + SIGNING_MS } else { NOW_MS };
            match life.step_at(now_ms, command_id, command) {
                Ok(events) => {
                    prop_assert!(!matches!(step, Step::FinishWhatWasNeverAsked));
                    prop_assert_eq!(events.len(), 1, "a job's id rests on its event being the command's first");
                    keys += events.iter().filter(|event| matches!(event, WalletEvent::KeyCreated(_))).count();
                    prop_assert!(keys <= 1, "a second key");
                    if let Some(request_id) = events.iter().find_map(end_of_transfer) {
                        prop_assert!(ended.insert(request_id), "a transfer ended twice");
                    }
                    for event in &events {
                        let request_id = process::request_id(event);
                        let before = processes.get(&request_id).copied();
                        let after = process::react(before, event);
                        prop_assert_ne!(before, after, "{:?} leads nowhere", event);
                        if let Some(kind) = before.and_then(State::job_kind) {
                            prop_assert!(open.remove(&(request_id, kind)), "{} was not open", kind);
                        }
                        if let Some(kind) = after.and_then(State::job_kind) {
                            prop_assert!(open.insert((request_id, kind)), "{} opened twice", kind);
                        }
                        processes.extend(after.map(|state| (request_id, state)));
                    }
                }
                Err(no) => {
                    prop_assert!(
                        !matches!(step, Step::Finish(_) | Step::GiveUp(_) | Step::PassDeadline(_)),
                        "{}",
                        no
                    );
                    prop_assert_eq!(&before, life.wallet());
                }
            }
            prop_assert_eq!(&life.replayed(), life.wallet());
            let text = serde_json::to_string(life.wallet()).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Wallet>(&text).unwrap(), life.wallet());
        }
    }
}
