use nsl_schemas::authority::{GrantChain, IssuerGrant, Signed, TenantRoot};
use nsl_schemas::command::wallet::{Create, RecordOutcome, SetPolicy, WalletCommand};
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::ids;
use nsl_schemas::job::EnclaveTask;
use nsl_schemas::outcome::JobResult;
use nsl_schemas::subject::CommandSubject;
use uuid::Uuid;

use super::{Cause, Job, job};
use crate::test_world::{
    CHANGE, CREATE, Life, NOW_MS, TRANSFER, acme, genesis, id, key, neo_key, next_policy, outcome_of, policy,
    policy_change, refused, sealed, sign, transfer,
};
use crate::wallet::Wallet;

const EVENT: Uuid = Uuid::from_u128(77);

fn command() -> SignedCommand {
    let subject = CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.create").unwrap();
    SignedCommand::sign(&key(21), &subject, CREATE, NOW_MS, NOW_MS + 1, "{}".into())
}

fn chain() -> GrantChain {
    let genesis_sha256 = genesis().sha256;
    let root =
        TenantRoot { genesis_sha256, tenant: acme(), key: key(20).public(), issued_at_ms: 1, epoch: 0 };
    let grant = IssuerGrant {
        genesis_sha256,
        tenant: acme(),
        key: key(21).public(),
        label: "app".into(),
        scopes: vec![],
        not_before_ms: 0,
        expires_at_ms: NOW_MS + 1,
    };
    let (root, grant) = (Signed::sign(root, &[&key(1), &key(2)]), Signed::sign(grant, &[&key(20)]));
    GrantChain { root, grant, revocation: None }
}

fn asks(event: &WalletEvent, wallet: &Wallet, authority: Option<&GrantChain>) -> Option<Job> {
    let (tenant, wallet_id, command) = (acme(), id("main"), command());
    job(
        event,
        wallet,
        Cause { tenant: &tenant, id: &wallet_id, event_id: EVENT, command: &command, authority },
    )
}

fn only(mut events: Vec<WalletEvent>) -> WalletEvent {
    assert_eq!(events.len(), 1);
    events.remove(0)
}

fn creation_requested() -> WalletEvent {
    only(Life::default().ask(CREATE, WalletCommand::Create(Create { policy: policy() })).unwrap())
}

fn change_requested() -> WalletEvent {
    let change = Signed::sign(policy_change(&policy()), &[&key(11), &key(12)]);
    only(Life::open().ask(CHANGE, WalletCommand::SetPolicy(SetPolicy { change })).unwrap())
}

fn transfer_requested() -> WalletEvent {
    only(Life::open().ask(TRANSFER, WalletCommand::RequestTransfer(transfer())).unwrap())
}

fn outcome(life: &Life, request: Uuid, result: JobResult, version: Option<u32>) -> WalletEvent {
    let outcome = outcome_of(request, result, version.map(sealed).as_ref());
    only(life.ask(CREATE, WalletCommand::RecordOutcome(RecordOutcome { outcome })).unwrap())
}

#[test]
fn a_request_asks_the_enclave_with_all_it_needs_to_judge_for_itself() {
    let (sealed_key, policy) = (sealed(1), policy());
    let cases = [
        (creation_requested(), Life::creating(), EnclaveTask::CreateKey),
        (
            change_requested(),
            Life::open().and_changing(),
            EnclaveTask::ReplacePolicy { sealed_key: sealed_key.clone(), policy: policy.clone() },
        ),
        (
            transfer_requested(),
            Life::requested(),
            EnclaveTask::SignTransfer { approvals: vec![], reservation: None, sealed_key, policy },
        ),
    ];
    for (event, life, task) in cases {
        let Some(Job::Enclave(job)) = asks(&event, life.wallet(), Some(&chain())) else {
            panic!("{event:?}")
        };
        assert_eq!(job.job_id, ids::job_id(EVENT));
        assert_eq!(job.command, command());
        assert_eq!(job.authority, chain());
        assert_eq!(job.task, task);
    }
}

#[test]
fn a_transfer_is_signed_by_the_policy_in_force_not_by_that_of_its_request() {
    let replaced = JobResult::PolicyReplaced { sealed_key: sealed(2) };
    let changed =
        Life::requested().and_changing().and_outcome(outcome_of(CHANGE, replaced, Some(&sealed(2))));
    let Some(Job::Enclave(job)) = asks(&transfer_requested(), changed.wallet(), Some(&chain())) else {
        panic!("no job")
    };
    let expected = EnclaveTask::SignTransfer {
        approvals: vec![],
        reservation: None,
        sealed_key: sealed(2),
        policy: next_policy(&policy()),
    };
    assert_eq!(job.task, expected);
}

#[test]
fn the_enclave_is_asked_for_nothing_without_authority_or_key() {
    for (event, life) in [
        (creation_requested(), Life::creating()),
        (change_requested(), Life::open().and_changing()),
        (transfer_requested(), Life::requested()),
    ] {
        assert_eq!(asks(&event, life.wallet(), None), None, "{event:?}");
    }
    for event in [change_requested(), transfer_requested()] {
        assert_eq!(asks(&event, Life::creating().wallet(), Some(&chain())), None, "{event:?}");
    }
}

#[test]
fn a_signed_transfer_goes_to_the_relay_byte_for_byte() {
    let signed = sign(&neo_key(), TRANSFER, &transfer());
    let event = outcome(&Life::requested(), TRANSFER, signed, Some(1));
    let WalletEvent::TransferSigned(recorded) = &event else { panic!("{event:?}") };
    let Some(Job::Submit(job)) = asks(&event, Life::signed().wallet(), None) else { panic!("no job") };
    assert_eq!(job.job_id, ids::job_id(EVENT));
    assert_eq!((job.tenant, job.wallet), (acme(), id("main")));
    assert_eq!(job.request_id, TRANSFER);
    assert_eq!(job.tx_hash, recorded.tx_hash);
    assert_eq!(job.valid_until_block, 5_000);
    assert_eq!(job.transaction, recorded.transaction);
}

#[test]
fn an_ending_asks_for_nothing() {
    let changing = Life::open().and_changing();
    let replaced = JobResult::PolicyReplaced { sealed_key: sealed(2) };
    for event in [
        outcome(&Life::creating(), CREATE, refused(), None),
        outcome(&changing, CHANGE, replaced, Some(2)),
        outcome(&changing, CHANGE, refused(), Some(1)),
        outcome(&Life::requested(), TRANSFER, refused(), Some(1)),
    ] {
        assert_eq!(asks(&event, Life::open().wallet(), Some(&chain())), None, "{event:?}");
    }
}
