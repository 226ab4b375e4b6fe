//! The log's head: the parent says that the log, or what the operators decided in it, ends earlier than it does.

use anyhow::Result;
use nsl_enclave_protocol::Response;
use nsl_schemas::authority::{OperatorAct, OperatorStatement, Signed};
use nsl_test_site::{OPERATOR, quorum};

use super::{BOTH, OPERATORS, SIGN, STATELESS, WITHHELD, accepted, attack, refused};
use crate::matrix::{Attack, Finding, Mode};
use crate::parent::Parent;

pub(super) const ATTACKS: &[Attack] = &[
    attack!(
        "the build was revoked, and the worker was shown that",
        BOTH,
        refused("unavailable", OPERATORS),
        |p, m| { after(p, m, build_revoked, Told::All) }
    ),
    attack!(
        "the build was revoked, and an older head is shown after that",
        BOTH,
        refused("unavailable", OPERATORS),
        |p, m| after(p, m, build_revoked, Told::AllThenNone)
    ),
    attack!(
        "the build was revoked, which no worker is shown, and the signature kept from the log",
        STATELESS,
        accepted("a signature", "ARCHITECTURE.md"),
        |p, m| after(p, m, build_revoked, Told::None)
    ),
    attack!(
        "the build was revoked, which no worker is shown",
        WITHHELD,
        refused("withheld_mode_required", SIGN),
        |p, m| after(p, m, build_revoked, Told::None)
    ),
    attack!(
        "the roots were voided, and the worker was shown that",
        BOTH,
        refused("worker_authority_denied", "enclave-worker/src/chains.rs"),
        |p, m| after(p, m, roots_voided, Told::All)
    ),
    attack!(
        "the roots were voided, which no worker is shown, and the signature kept from the log",
        STATELESS,
        accepted("a signature", "ARCHITECTURE.md"),
        |p, m| after(p, m, roots_voided, Told::None)
    ),
    attack!(
        "the roots were voided, which no worker is shown",
        WITHHELD,
        refused("withheld_mode_required", SIGN),
        |p, m| after(p, m, roots_voided, Told::None)
    ),
];

/// What a worker is told of the operators' acts.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    None,
    All,
    /// And then that there are none.
    AllThenNone,
}

type Acts = Vec<Signed<OperatorStatement>>;

fn build_revoked(parent: &Parent) -> Acts {
    let build = parent.site.genesis.statement.builds[0].clone();
    parent.site.acts(vec![(OperatorAct::RevokeBuild { build }, &[OPERATOR])])
}

fn roots_voided(parent: &Parent) -> Acts {
    let quorum = quorum(1, &[7]);
    parent.site.acts(vec![(OperatorAct::ReplaceQuorum { quorum, voids_roots: true }, &[OPERATOR, 7])])
}

/// A transfer at a new worker that was told so of what the operators decided.
async fn after(parent: &Parent, mode: Mode, acts: fn(&Parent) -> Acts, told: Told) -> Result<Finding> {
    let worker = parent.another_worker().await?;
    if told != Told::None {
        let following = worker.follow(&acts(parent)).await?;
        anyhow::ensure!(matches!(following, Response::Following { sequence: 1, .. }), "{following:?}");
    }
    if told == Told::AllThenNone {
        worker.follow(&[]).await?;
    }
    Ok(Finding::of_worker(&worker.perform(parent.transfer(mode)?).await?))
}
