//! Sealed state: another wallet's, another policy's, an altered or an older one; and two workers from one state.

use anyhow::Result;
use nsl_enclave_protocol::Response;
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::number::Datoshi;
use nsl_schemas::outcome::{JobResult, SealedKey, SignedOutcome};
use nsl_schemas::policy::Policy;
use nsl_test_site::{OWNER, Order, change, transfer};
use uuid::Uuid;

use super::{
    BOTH, SEAL, SIGN, STATELESS, WITHHELD, accepted, attack, control, detected, refused, same_transaction,
};
use crate::ledger::Ledger;
use crate::matrix::{Attack, Finding, Mode};
use crate::parent::{Parent, name, policy_of};

const STATE: &str = "worker_state_invalid";
const WALLET: &str = "domain/src/outcome.rs";

/// The sound transfer with another state.
macro_rules! presented {
    ($name:literal, $by:expr, $place:expr, $alter:expr) => {
        attack!($name, BOTH, refused($by, $place), |parent, mode| presented(parent, mode, $alter))
    };
}

pub(super) const ATTACKS: &[Attack] = &[
    control!("the state that the key was born with", STATELESS, "a signature", SIGN, |parent, mode| {
        presented(parent, mode, |_, _, _| Ok(()))
    }),
    presented!("the ciphertext is altered", STATE, SEAL, |_, key, _| {
        key.ciphertext.0[0] ^= 1;
        Ok(())
    }),
    presented!("the nonce is altered", STATE, SEAL, |_, key, _| {
        key.nonce.0[0] ^= 1;
        Ok(())
    }),
    presented!("the ciphertext is cut", STATE, SEAL, |_, key, _| {
        key.ciphertext.0.pop();
        Ok(())
    }),
    presented!("another version is claimed", STATE, SEAL, |_, key, _| {
        key.version += 1;
        Ok(())
    }),
    presented!(
        "another sealing key is named",
        "sealing_key_missing",
        "enclave-worker/src/wallet_key.rs",
        |_, key, _| {
            key.sealing_key_id = "0123456789abcdef".into();
            Ok(())
        }
    ),
    presented!("a policy that allows more", STATE, SEAL, |_, _, policy| {
        policy.fee_max_datoshi = Datoshi(u64::MAX);
        Ok(())
    }),
    presented!("a policy that counts nothing, or other things", STATE, SEAL, |_, _, policy| {
        let counts = policy.counts();
        policy.rules.counting =
            policy_of(if counts { Mode::Stateless } else { Mode::Withheld }).rules.counting;
        Ok(())
    }),
    presented!("the key and the policy of another wallet", STATE, SEAL, |parent, key, policy| {
        let other = if policy.counts() { Mode::Stateless } else { Mode::Withheld };
        let other = parent.wallet(other)?.clone();
        (*key, *policy) = (other.sealed_key, other.policy);
        Ok(())
    }),
    attack!("two workers from one state", STATELESS, same_transaction(SIGN), two_workers),
    attack!(
        "two workers from one state, a transfer each",
        WITHHELD,
        refused("withheld_mode_required", SIGN),
        two_workers
    ),
    attack!(
        "an older key and policy, reported as if nothing were",
        STATELESS,
        detected("outcome_invalid", WALLET),
        rolled_back_and_reported
    ),
    attack!(
        "an older key and policy, and the signature kept from the log",
        STATELESS,
        accepted("a signature", "ARCHITECTURE.md"),
        rolled_back
    ),
    attack!("an older key and policy", WITHHELD, refused("withheld_mode_required", SIGN), rolled_back),
];

async fn presented(
    parent: &Parent,
    mode: Mode,
    alter: fn(&Parent, &mut SealedKey, &mut Policy) -> Result<()>,
) -> Result<Finding> {
    let mut job = parent.transfer(mode)?;
    if let EnclaveTask::SignTransfer { sealed_key, policy, .. } = &mut job.task {
        alter(parent, sealed_key, policy)?;
    }
    Ok(Finding::of_worker(&parent.worker().perform(job).await?))
}

async fn two_workers(parent: &Parent, mode: Mode) -> Result<Finding> {
    let job = parent.transfer(mode)?;
    let (one, two) =
        futures::try_join!(parent.workers[0].perform(job.clone()), parent.workers[1].perform(job))?;
    let finding = parent.signed_again(mode, &one)?;
    let other = parent.signed_again(mode, &two)?;
    anyhow::ensure!(finding == other, "the workers differ: {finding:?}, {other:?}");
    Ok(finding)
}

/// A wallet whose owners made its policy stricter.
struct Stricter {
    ledger: Ledger,
    /// A transfer that the first policy allowed and the present one forbids, with the state before the change.
    job: EnclaveJob,
}

impl Stricter {
    async fn new(parent: &Parent, mode: Mode) -> Result<Self> {
        let (worker, wallet) = (parent.worker(), format!("older-{}", name(mode)));
        // The change is one of wallet `main`; so is the wallet.
        let (first, main) = (policy_of(mode), "main");
        let born = parent.bear(worker, main, first.clone()).await?;
        let mut ledger = Ledger::of(parent, main)?;
        register(parent, &mut ledger).await?;
        ledger.record(&Order::create(first.clone(), parent.now_ms).signed())?;
        ledger.take(&born.outcome)?;
        let next = Policy { fee_max_datoshi: Datoshi(9), ..first.clone() };
        let order = Order::set_policy(change(&first, next, OWNER), parent.now_ms).with_id(Uuid::from_u128(9));
        let task = EnclaveTask::ReplacePolicy { sealed_key: born.sealed_key.clone(), policy: first.clone() };
        let job = parent.site.job(order, task);
        ledger.record(&job.command)?;
        let Response::Outcome { outcome } = worker.perform(job).await? else { anyhow::bail!("no {wallet}") };
        anyhow::ensure!(matches!(outcome.result, JobResult::PolicyReplaced { .. }), "{outcome:?}");
        ledger.take(&outcome)?;
        let task = EnclaveTask::SignTransfer {
            approvals: vec![],
            reservation: None,
            sealed_key: born.sealed_key,
            policy: first,
        };
        let order = Order::transfer(&transfer(), parent.now_ms).with_id(Uuid::from_u128(10));
        Ok(Self { ledger, job: parent.site.job(order, task) })
    }
}

/// Lets the attacked worker report.
pub(super) async fn register(parent: &Parent, ledger: &mut Ledger) -> Result<()> {
    let nonce = nsl_schemas::bytes::Base64(vec![1; 32]);
    let answer = parent.worker().ask(&nsl_enclave_protocol::Request::Register { nonce }).await?;
    let Response::Registration { key, attestation } = answer else { anyhow::bail!("{answer:?}") };
    Ok(ledger.register(key, attestation)?)
}

async fn rolled_back(parent: &Parent, mode: Mode) -> Result<Finding> {
    let Stricter { job, .. } = Stricter::new(parent, mode).await?;
    Ok(Finding::of_worker(&parent.worker().perform(job).await?))
}

/// A transfer that both policies allow is asked for, and signed with the state before the change.
async fn rolled_back_and_reported(parent: &Parent, mode: Mode) -> Result<Finding> {
    let Stricter { mut ledger, job } = Stricter::new(parent, mode).await?;
    let cheaper =
        nsl_schemas::command::wallet::RequestTransfer { network_fee_datoshi: Datoshi(3), ..transfer() };
    let order = Order::transfer(&cheaper, parent.now_ms).with_id(Uuid::from_u128(11));
    let job = parent.site.job(order, job.task);
    ledger.record(&job.command)?;
    let outcome = signed(parent.worker().perform(job).await?)?;
    Ok(Finding::of(ledger.report(&outcome), "recorded"))
}

fn signed(answer: Response) -> Result<SignedOutcome> {
    match answer {
        Response::Outcome { outcome } if matches!(outcome.result, JobResult::TransferSigned { .. }) => {
            Ok(*outcome)
        }
        other => anyhow::bail!("not signed: {other:?}"),
    }
}
