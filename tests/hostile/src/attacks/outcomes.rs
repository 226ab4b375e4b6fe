//! Outcomes: what a worker signed is altered, moved to another request, or made up.

use anyhow::Result;
use nsl_enclave_protocol::Response;
use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::outcome::{JobResult, SealedKey, SignedOutcome};
use nsl_test_site::{Order, key, transfer};
use uuid::Uuid;

use super::sealed_state::register;
use super::{STATELESS, attack, control, detected};
use crate::ledger::Ledger;
use crate::matrix::{Attack, Finding, Mode};
use crate::parent::{Born, PARENT, Parent, name};

const WALLET: &str = "domain/src/outcome.rs";
const RECORD: &str = "domain/src/wallet/record_outcome.rs";

/// The outcome of a transfer as the parent altered it.
macro_rules! reported {
    ($name:literal, $by:literal, $place:expr, $alter:expr) => {
        attack!($name, STATELESS, detected($by, $place), |parent, mode| reported(parent, mode, $alter))
    };
}

/// The outcome of a creation as the parent altered it.
macro_rules! born {
    ($name:literal, $by:literal, $place:expr, $alter:expr) => {
        attack!($name, STATELESS, detected($by, $place), |parent, mode| born(parent, mode, $alter))
    };
}

pub(super) const ATTACKS: &[Attack] = &[
    control!("a transfer's outcome as it is", STATELESS, "recorded", RECORD, |parent, mode| reported(
        parent,
        mode,
        |_, _| {}
    )),
    reported!("the worker's signature is altered", "outcome_invalid", WALLET, |outcome, _| {
        outcome.signature.0[0] ^= 1;
    }),
    reported!("the result is altered", "outcome_invalid", WALLET, |outcome, _| {
        if let JobResult::TransferSigned { signature, .. } = &mut outcome.result {
            signature.0[0] ^= 1;
        }
    }),
    reported!("the statement is altered", "outcome_invalid", WALLET, |outcome, _| {
        outcome.statement.post_state_sha256 = Sha256([0; 32]);
    }),
    reported!("the same, signed by the parent's key", "worker_unknown", WALLET, |outcome, state| {
        *outcome = by(PARENT, outcome, outcome.result.clone(), state);
    }),
    reported!(
        "the same, signed by the parent in the worker's name",
        "outcome_invalid",
        WALLET,
        |outcome, state| {
            let worker = outcome.worker;
            *outcome = SignedOutcome { worker, ..by(PARENT, outcome, outcome.result.clone(), state) };
        }
    ),
    reported!("a refusal that no worker gave", "worker_unknown", WALLET, |outcome, state| {
        let refused = JobResult::Refused { code: "worker_policy_denied".into(), message: "no".into() };
        *outcome = by(PARENT, outcome, refused, state);
    }),
    reported!(
        "a signature that is none, made up in the worker's name",
        "outcome_invalid",
        WALLET,
        |outcome, _| {
            let JobResult::TransferSigned { tx_hash, .. } = &outcome.result else { return };
            outcome.result =
                JobResult::TransferSigned { tx_hash: tx_hash.clone(), signature: Base64(vec![0; 64]) };
        }
    ),
    attack!(
        "one request's outcome moved to another",
        STATELESS,
        detected("outcome_invalid", WALLET),
        moved_to_another
    ),
    attack!("the same outcome twice", STATELESS, detected("outcome_unexpected", RECORD), twice),
    attack!(
        "an outcome of a request that the log does not hold",
        STATELESS,
        detected("outcome_unexpected", RECORD),
        unheard_of
    ),
    attack!(
        "an outcome by a worker that the operators revoked",
        STATELESS,
        detected("worker_unknown", WALLET),
        by_revoked
    ),
    attack!(
        "an outcome by a worker that never registered",
        STATELESS,
        detected("worker_unknown", WALLET),
        by_unregistered
    ),
    control!("a creation's outcome as it is", STATELESS, "recorded", RECORD, |parent, mode| born(
        parent,
        mode,
        |_, _| {}
    )),
    born!("another wallet's birth", "outcome_unexpected", RECORD, |outcome, other| {
        *outcome = other.outcome.clone();
    }),
    born!("the public key in the certificate is the parent's", "outcome_invalid", WALLET, |outcome, _| {
        if let JobResult::KeyCreated { birth_certificate, .. } = &mut outcome.result {
            birth_certificate.statement.public_key = "02".repeat(33);
        }
    }),
    born!("another sealed key in the outcome", "outcome_invalid", WALLET, |outcome, other| {
        if let JobResult::KeyCreated { sealed_key, .. } = &mut outcome.result {
            *sealed_key = other.sealed_key.clone();
        }
    }),
];

/// The outcome that the key of this number signs.
fn by(number: u8, of: &SignedOutcome, result: JobResult, state: &SealedKey) -> SignedOutcome {
    let statement = &of.statement;
    SignedOutcome::sign(&key(number), statement.job_id, statement.request_sha256, result, Some(state))
}

/// The mode's wallet as the log knows it, its worker registered.
async fn recorded(parent: &Parent, mode: Mode) -> Result<Ledger> {
    let Born { policy, outcome, .. } = parent.wallet(mode)?.clone();
    let mut ledger = Ledger::of(parent, &name(mode))?;
    register(parent, &mut ledger).await?;
    ledger.record(&Order::create(policy, parent.now_ms).of_wallet(&name(mode)).signed())?;
    ledger.take(&outcome)?;
    Ok(ledger)
}

/// Has a transfer asked for and signed, as the command of this id.
async fn ordered(parent: &Parent, mode: Mode, ledger: &mut Ledger, id: u128) -> Result<SignedOutcome> {
    let (order, task) =
        (Order::transfer(&transfer(), parent.now_ms).of_wallet(&name(mode)), parent.transfer(mode)?.task);
    let job = parent.site.job(order.with_id(Uuid::from_u128(id)), task);
    ledger.record(&job.command)?;
    match parent.worker().perform(job).await? {
        Response::Outcome { outcome } => Ok(*outcome),
        other => anyhow::bail!("{other:?}"),
    }
}

async fn reported(parent: &Parent, mode: Mode, alter: fn(&mut SignedOutcome, &SealedKey)) -> Result<Finding> {
    let mut ledger = recorded(parent, mode).await?;
    let mut outcome = ordered(parent, mode, &mut ledger, 20).await?;
    alter(&mut outcome, &parent.wallet(mode)?.sealed_key);
    Ok(Finding::of(ledger.report(&outcome), "recorded"))
}

/// Two transfers that differ in nothing but their commands.
async fn moved_to_another(parent: &Parent, mode: Mode) -> Result<Finding> {
    let mut ledger = recorded(parent, mode).await?;
    let mut outcome = ordered(parent, mode, &mut ledger, 20).await?;
    let other = ordered(parent, mode, &mut ledger, 21).await?;
    outcome.statement.job_id = other.statement.job_id;
    outcome.statement.request_sha256 = other.statement.request_sha256;
    Ok(Finding::of(ledger.report(&outcome), "recorded"))
}

async fn twice(parent: &Parent, mode: Mode) -> Result<Finding> {
    let mut ledger = recorded(parent, mode).await?;
    let outcome = ordered(parent, mode, &mut ledger, 20).await?;
    ledger.take(&outcome)?;
    Ok(Finding::of(ledger.report(&outcome), "recorded"))
}

async fn unheard_of(parent: &Parent, mode: Mode) -> Result<Finding> {
    let ledger = recorded(parent, mode).await?;
    let answer = parent.worker().perform(parent.transfer(mode)?).await?;
    let Response::Outcome { outcome } = answer else { anyhow::bail!("{answer:?}") };
    Ok(Finding::of(ledger.report(&outcome), "recorded"))
}

async fn by_revoked(parent: &Parent, mode: Mode) -> Result<Finding> {
    let mut ledger = recorded(parent, mode).await?;
    let outcome = ordered(parent, mode, &mut ledger, 20).await?;
    let act = nsl_schemas::authority::OperatorAct::RevokeWorker { key: outcome.worker };
    let mut operators = parent.site.operators();
    operators.follow(&parent.site.acts(vec![(act, &[nsl_test_site::OPERATOR])]))?;
    ledger.follow(operators);
    Ok(Finding::of(ledger.report(&outcome), "recorded"))
}

async fn by_unregistered(parent: &Parent, mode: Mode) -> Result<Finding> {
    let mut ledger = recorded(parent, mode).await?;
    let order = Order::transfer(&transfer(), parent.now_ms).of_wallet(&name(mode));
    let job = parent.site.job(order.with_id(Uuid::from_u128(20)), parent.transfer(mode)?.task);
    ledger.record(&job.command)?;
    let answer = parent.workers[1].perform(job).await?;
    let Response::Outcome { outcome } = answer else { anyhow::bail!("{answer:?}") };
    Ok(Finding::of(ledger.report(&outcome), "recorded"))
}

async fn born(parent: &Parent, mode: Mode, alter: fn(&mut SignedOutcome, &Born)) -> Result<Finding> {
    let (born, other) = (parent.wallet(mode)?.clone(), parent.wallet(Mode::Withheld)?);
    let mut ledger = Ledger::of(parent, &name(mode))?;
    register(parent, &mut ledger).await?;
    ledger.record(&Order::create(born.policy.clone(), parent.now_ms).of_wallet(&name(mode)).signed())?;
    let mut outcome = born.outcome;
    alter(&mut outcome, other);
    Ok(Finding::of(ledger.report(&outcome), "recorded"))
}
