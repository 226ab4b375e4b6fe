//! Jobs: what the client ordered is altered, invented, replayed, reordered, or not waited for.

use anyhow::Result;
use nsl_enclave_protocol::{Request, Response};
use nsl_schemas::authority::Signed;
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::ids;
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::number::Amount;
use nsl_schemas::outcome::JobResult;
use nsl_schemas::policy::{ApprovalRule, Policy, TimeLocks, TransferApproval, TransferLock};
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::AggregateId;
use nsl_test_site::{COMMAND_ID, Order, acme, key, mutate, policy, quorum, transfer};
use uuid::Uuid;

use super::{BOTH, JUDGE, SIGN, STATELESS, WITHHELD, attack, control, refused, same_transaction};
use crate::matrix::{Attack, Finding, Mode, Verdict};
use crate::parent::{PARENT, Parent, name};

const DENIED: &str = "worker_authority_denied";
const INVALID: &str = "worker_command_invalid";
/// Jobs with random changes that are tried.
const MUTATIONS: u64 = 500;

/// The sound transfer with something altered.
macro_rules! altered {
    ($name:literal, $by:expr, $alter:expr) => {
        attack!($name, BOTH, refused($by, JUDGE), |parent, mode| altered(parent, mode, $alter))
    };
}

pub(super) const ATTACKS: &[Attack] = &[
    control!("a transfer as it was ordered", STATELESS, "a signature", SIGN, |parent, mode| altered(
        parent,
        mode,
        |_, _| {}
    )),
    attack!(
        "a transfer as it was ordered, with nothing that proves that it is counted",
        WITHHELD,
        refused("withheld_mode_required", SIGN),
        |parent, mode| altered(parent, mode, |_, _| {})
    ),
    altered!("the payload is altered", DENIED, |_, job| job.command.payload.push(' ')),
    altered!("the payload and its signed hash are altered", DENIED, |_, job| {
        job.command.payload = job.command.payload.replace("\"100\"", "\"99\"");
        job.command.envelope.payload_sha256 = nsl_schemas::bytes::Sha256::of(job.command.payload.as_bytes());
    }),
    altered!("the client's signature is altered", DENIED, |_, job| job.command.envelope.signature.0[0] ^= 1),
    altered!("the command is given another id", DENIED, |_, job| {
        job.command.envelope.command_id = Uuid::from_u128(8);
        job.job_id = ids::job_id(ids::event_id(Uuid::from_u128(8), 0));
    }),
    altered!("the command is turned to another wallet", DENIED, |_, job| {
        job.command.envelope.subject = "nsl.v1.cmd.acme.wallet.other.request-transfer".into();
    }),
    altered!("the command is turned to another tenant", DENIED, |_, job| {
        job.command.envelope.subject = job.command.envelope.subject.replace("acme", "other");
    }),
    altered!("the command is dated back", DENIED, |_, job| job.command.envelope.issued_at_ms -= 1),
    altered!("the command is signed by the parent in the client's name", DENIED, |parent, job| {
        let issuer = job.command.envelope.issuer;
        job.command = signed_by_parent(parent, job);
        job.command.envelope.issuer = issuer;
    }),
    altered!("a command of the parent's own, with the client's grant", DENIED, |parent, job| {
        job.command = signed_by_parent(parent, job);
    }),
    altered!("the job has another id", INVALID, |_, job| job.job_id = Uuid::from_u128(1)),
    altered!("a transfer as the birth of a key", INVALID, |_, job| job.task = EnclaveTask::CreateKey),
    altered!("a transfer as a change of policy", INVALID, |_, job| {
        if let EnclaveTask::SignTransfer { sealed_key, policy, .. } = job.task.clone() {
            job.task = EnclaveTask::ReplacePolicy { sealed_key, policy };
        }
    }),
    altered!("a creation as a transfer", INVALID, |parent, job| {
        let created = Order::create(policy(), parent.now_ms).of_wallet("stateless");
        job.command = created.signed();
    }),
    altered!("a command from the future", INVALID, |parent, job| {
        job.command = Order::transfer(&transfer(), parent.now_ms + 3_600_000).signed();
    }),
    attack!("bytes of the job are changed, 500 times", STATELESS, refused("0 of 500", JUDGE), mutated),
    attack!(
        "a transfer above the policy's bound, as its client ordered it",
        STATELESS,
        refused("worker_policy_denied", SIGN),
        too_much
    ),
    attack!("the same job again", STATELESS, same_transaction(SIGN), replayed),
    attack!("the same job to another worker", STATELESS, same_transaction(SIGN), elsewhere),
    attack!("the later of two transfers first", STATELESS, same_transaction(SIGN), reordered),
    attack!(
        "the transfer of one command with the id of another's job",
        STATELESS,
        refused(INVALID, JUDGE),
        |parent, mode| altered(parent, mode, |_, job| {
            job.job_id = ids::job_id(ids::event_id(Uuid::from_u128(8), 0));
        })
    ),
    attack!("one approval of two", STATELESS, refused("worker_policy_denied", SIGN), |parent, _| held(
        parent,
        |parent, job| vec![approval(parent, job, 11)]
    )),
    attack!("one approval twice", STATELESS, refused("worker_policy_denied", SIGN), |parent, _| held(
        parent,
        |parent, job| vec![approval(parent, job, 11); 2]
    )),
    attack!("an approval by the parent", STATELESS, refused("worker_policy_denied", SIGN), |parent, _| held(
        parent,
        |parent, job| vec![approval(parent, job, 11), approval(parent, job, PARENT)]
    )),
    attack!(
        "an approval of another request",
        STATELESS,
        refused("worker_policy_denied", SIGN),
        |parent, _| held(parent, |parent, job| {
            let mut other = job.clone();
            other.command.envelope.command_id = Uuid::from_u128(8);
            vec![approval(parent, job, 11), approval(parent, &other, 12)]
        })
    ),
    attack!("an approval that is altered", STATELESS, refused("worker_policy_denied", SIGN), |parent, _| {
        held(parent, |parent, job| {
            let mut other = approval(parent, job, 12);
            other.statement.expires_at_ms += 1;
            vec![approval(parent, job, 11), other]
        })
    }),
    control!("both approvals", STATELESS, "a signature", SIGN, |parent, _| held(parent, |parent, job| {
        vec![approval(parent, job, 11), approval(parent, job, 12)]
    })),
    attack!("a transfer before its time lock ends", STATELESS, refused("unavailable", SIGN), too_early),
];

async fn altered(parent: &Parent, mode: Mode, alter: fn(&Parent, &mut EnclaveJob)) -> Result<Finding> {
    let mut job = parent.transfer(mode)?;
    alter(parent, &mut job);
    Ok(Finding::of_worker(&parent.worker().perform(job).await?))
}

/// The job's command, as the parent's key signs it.
fn signed_by_parent(parent: &Parent, job: &EnclaveJob) -> SignedCommand {
    let envelope = &job.command.envelope;
    let (subject, now_ms) = (&envelope.subject, parent.now_ms);
    let subject = CommandSubject::parse(subject).expect("the subject of a sound job");
    let payload = job.command.payload.clone();
    SignedCommand::sign(&key(PARENT), &subject, COMMAND_ID, now_ms, now_ms + 60_000, payload)
}

async fn mutated(parent: &Parent, mode: Mode) -> Result<Finding> {
    let sound = Request::Perform { certificate: None, job: Box::new(parent.transfer(mode)?) }.to_bytes();
    let mut got = 0;
    for seed in 0..MUTATIONS {
        let (mut random, mut bytes) = (fastrand::Rng::with_seed(seed), sound.clone());
        for _ in 0..=random.usize(..3) {
            mutate(&mut random, &mut bytes);
        }
        let answer = parent.worker().answer(bytes).await?;
        let finding = parent.signed_again(mode, &answer)?;
        got += u64::from(finding.verdict == Verdict::Accepted);
    }
    let verdict = if got == 0 { Verdict::Refused } else { Verdict::Accepted };
    Ok(Finding::new(verdict, format!("{got} of {MUTATIONS} mutations signed for anything else")))
}

async fn too_much(parent: &Parent, mode: Mode) -> Result<Finding> {
    let job = parent.transfer_of(mode, &RequestTransfer { amount: Amount(101), ..transfer() })?;
    Ok(Finding::of_worker(&parent.worker().perform(job).await?))
}

async fn replayed(parent: &Parent, mode: Mode) -> Result<Finding> {
    let job = parent.transfer(mode)?;
    parent.worker().perform(job.clone()).await?;
    let again = parent.worker().perform(job).await?;
    parent.signed_again(mode, &again)
}

async fn elsewhere(parent: &Parent, mode: Mode) -> Result<Finding> {
    let job = parent.transfer(mode)?;
    parent.worker().perform(job.clone()).await?;
    let again = parent.workers[1].perform(job).await?;
    parent.signed_again(mode, &again)
}

async fn reordered(parent: &Parent, mode: Mode) -> Result<Finding> {
    let earlier = parent.transfer(mode)?;
    let order = Order::transfer(&transfer(), parent.now_ms).of_wallet(&name(mode));
    let later = parent.site.job(order.with_id(Uuid::from_u128(8)), earlier.task.clone());
    let later = parent.worker().perform(later).await?;
    let Response::Outcome { outcome } = &later else { anyhow::bail!("{later:?}") };
    let JobResult::TransferSigned { tx_hash, .. } = &outcome.result else { anyhow::bail!("{outcome:?}") };
    anyhow::ensure!(*tx_hash != parent.wallet(mode)?.tx_hash(&transfer())?, "two commands, one transaction");
    let earlier = parent.worker().perform(earlier).await?;
    parent.signed_again(mode, &earlier)
}

/// A transfer of a wallet whose policy wants two of the keys 11, 12 and 13 to approve.
async fn held(
    parent: &Parent,
    approvals: fn(&Parent, &EnclaveJob) -> Vec<Signed<TransferApproval>>,
) -> Result<Finding> {
    let mut job = of_another_wallet(parent, held_policy(), parent.now_ms).await?;
    let by = approvals(parent, &job);
    if let EnclaveTask::SignTransfer { approvals, .. } = &mut job.task {
        *approvals = by;
    }
    Ok(Finding::of_worker(&parent.worker().perform(job).await?))
}

async fn too_early(parent: &Parent, _: Mode) -> Result<Finding> {
    let mut locked = policy();
    let transfer = Some(TransferLock { delay_seconds: 3_600, free: vec![] });
    locked.rules.time_locks = Some(TimeLocks { policy_change_seconds: None, transfer });
    let job = of_another_wallet(parent, locked, parent.now_ms).await?;
    Ok(Finding::of_worker(&parent.worker().perform(job).await?))
}

/// The job of a transfer of a wallet under this policy.
async fn of_another_wallet(parent: &Parent, policy: Policy, issued_at_ms: u64) -> Result<EnclaveJob> {
    let born = parent.bear(parent.worker(), "held", policy).await?;
    let (sealed_key, policy) = (born.sealed_key, born.policy);
    let task = EnclaveTask::SignTransfer { approvals: vec![], reservation: None, sealed_key, policy };
    Ok(parent.site.job(Order::transfer(&transfer(), issued_at_ms).of_wallet("held"), task))
}

fn held_policy() -> Policy {
    let mut policy = policy();
    let approvers = quorum(2, &[11, 12, 13]);
    policy.rules.approvals = Some(ApprovalRule { approvers, free: vec![], within_seconds: 3_600 });
    policy
}

fn approval(parent: &Parent, job: &EnclaveJob, approver: u8) -> Signed<TransferApproval> {
    let statement = TransferApproval {
        expires_at_ms: parent.now_ms + 3_600_000,
        genesis_sha256: parent.site.sha256(),
        policy_sha256: held_policy().sha256(),
        request_id: job.command.envelope.command_id,
        request_sha256: job.command.envelope.request_sha256(),
        tenant: acme(),
        transfer: transfer(),
        wallet: AggregateId::parse("held").expect("the name of a wallet"),
    };
    Signed::sign(statement, &[&key(approver)])
}
