//! Authority: grants and roots that nobody gave, and what people took back, left out.

use anyhow::Result;
use nsl_schemas::authority::{
    GrantChain, GrantRevocation, IssuerGrant, OperatorAct, OperatorStatement, Operators, Quorum, Scope,
    Signed, TenantRoot,
};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::token::Tenant;
use nsl_test_site::{ISSUER, OPERATOR, ROOT, acme, key, quorum};

use super::{ANY, BOTH, JUDGE, OPERATORS, STATELESS, WITHHELD, accepted, attack, control, detected, refused};
use crate::matrix::{Attack, Finding, Mode};
use crate::parent::{PARENT, Parent};

const DENIED: &str = "worker_authority_denied";
const ACTS: &str = "bus-schemas/src/authority/operators.rs";
/// Before any command was signed.
const LONG_AGO_MS: u64 = 1;

/// The sound transfer with another chain of grants.
macro_rules! granted {
    ($name:literal, $alter:expr) => {
        attack!($name, BOTH, refused(DENIED, JUDGE), |parent, mode| granted(parent, mode, $alter))
    };
}

/// The operators' acts as a client is told them.
macro_rules! told {
    ($name:literal, $by:literal, $alter:expr) => {
        attack!($name, ANY, detected($by, ACTS), async |parent: &Parent, _| {
            let mut acts = acts(parent);
            $alter(&mut acts);
            Ok(Finding::of(parent.site.operators().follow(&acts), "believed"))
        })
    };
}

pub(super) const ATTACKS: &[Attack] = &[
    control!("the chain as people signed it", STATELESS, "a signature", JUDGE, |parent, mode| granted(
        parent,
        mode,
        |_, _| {}
    )),
    granted!("the root has no signature", |_, chain| chain.root.signatures.clear()),
    granted!("the root is altered", |_, chain| chain.root.statement.issued_at_ms += 1),
    granted!("a root that the parent signed", |_, chain| {
        chain.root = Signed::sign(chain.root.statement.clone(), &[&key(PARENT)]);
    }),
    granted!("root and grant of the parent's own", |parent, chain| {
        let root = TenantRoot { key: key(PARENT).public(), ..parent.site.root(acme()) };
        chain.root = Signed::sign(root, &[&key(PARENT)]);
        chain.grant = Signed::sign(chain.grant.statement.clone(), &[&key(PARENT)]);
    }),
    granted!("the root of another tenant", |parent, chain| {
        let other = Tenant::parse("other").expect("a tenant's name");
        chain.root = parent.site.chain(other).root;
    }),
    granted!("the grant is altered", |_, chain| chain.grant.statement.expires_at_ms -= 1),
    granted!("a grant that the parent signed", |_, chain| {
        chain.grant = Signed::sign(chain.grant.statement.clone(), &[&key(PARENT)]);
    }),
    granted!("a grant to another key", |parent, chain| {
        *chain = with_grant(parent, |grant| grant.key = key(PARENT).public());
    }),
    granted!("a grant that ended", |parent, chain| {
        *chain = with_grant(parent, |grant| grant.expires_at_ms = LONG_AGO_MS);
    }),
    granted!("a grant that has not begun", |parent, chain| {
        *chain = with_grant(parent, |grant| grant.not_before_ms = grant.expires_at_ms - 1);
    }),
    granted!("a grant of another log", |parent, chain| {
        *chain = with_grant(parent, |grant| grant.genesis_sha256 = Sha256([0; 32]));
    }),
    granted!("a grant of another tenant", |parent, chain| {
        *chain = with_grant(parent, |grant| grant.tenant = Tenant::system());
    }),
    granted!("a grant of another verb", |parent, chain| {
        *chain = with_grant(parent, |grant| {
            let any = || "*".to_owned();
            grant.scopes = vec![Scope { aggregate: any(), id: any(), verb: "create".into() }];
        });
    }),
    attack!("the revocation is shown", BOTH, refused(DENIED, JUDGE), |parent, mode| revoked(
        parent, mode, true
    )),
    attack!(
        "the revocation is left out, and the signature kept from the log",
        STATELESS,
        accepted("a signature", "ARCHITECTURE.md"),
        |parent, mode| revoked(parent, mode, false)
    ),
    attack!(
        "the revocation is left out",
        WITHHELD,
        refused("withheld_mode_required", super::SIGN),
        |parent, mode| revoked(parent, mode, false)
    ),
    control!("the operators' acts as they are", ANY, "follows", OPERATORS, |parent, _| shown(parent, |_| {})),
    attack!(
        "an act of the parent's own, to a worker",
        ANY,
        refused("statement_invalid", OPERATORS),
        |parent, _| {
            shown(parent, |acts| acts[0] = Signed::sign(acts[0].statement.clone(), &[&key(PARENT)]))
        }
    ),
    attack!("an altered act, to a worker", ANY, refused("statement_invalid", OPERATORS), |parent, _| shown(
        parent,
        |acts| acts[0].statement.issued_at_ms += 1
    )),
    attack!("an act left out, to a worker", ANY, refused("statement_invalid", OPERATORS), |parent, _| shown(
        parent,
        |acts| drop(acts.remove(0))
    )),
    attack!(
        "acts in another order, to a worker",
        ANY,
        refused("statement_invalid", OPERATORS),
        |parent, _| shown(parent, |acts| acts.swap(0, 1))
    ),
    control!("the operators' acts, to a client", ANY, "believed", ACTS, async |parent: &Parent, _| {
        Ok(Finding::of(parent.site.operators().follow(&acts(parent)), "believed"))
    }),
    told!("an act of the parent's own, to a client", "the act is not signed", |acts: &mut Acts| {
        acts[0] = Signed::sign(acts[0].statement.clone(), &[&key(PARENT)]);
    }),
    told!("an altered act, to a client", "the act is not signed", |acts: &mut Acts| {
        acts[1].statement.issued_at_ms += 1;
    }),
    told!("an act left out, to a client", "the act is number 2", |acts: &mut Acts| drop(acts.remove(0))),
    told!("acts in another order, to a client", "the act is number 2", |acts: &mut Acts| acts.swap(0, 1)),
    told!("a quorum that begins itself, to a client", "the act is not signed", |acts: &mut Acts| {
        acts[1] = Signed::sign(acts[1].statement.clone(), &[&key(7)]);
    }),
    attack!(
        "the acts of another log, to a client",
        ANY,
        detected("the act is for another", ACTS),
        async |parent: &Parent, _| {
            let mut manifest = parent.site.genesis.statement.clone();
            manifest.log_origin = "other".into();
            Ok(Finding::of(Operators::of_genesis(&manifest).follow(&acts(parent)), "believed"))
        }
    ),
];

type Acts = Vec<Signed<OperatorStatement>>;

async fn granted(parent: &Parent, mode: Mode, alter: fn(&Parent, &mut GrantChain)) -> Result<Finding> {
    let mut job = parent.transfer(mode)?;
    alter(parent, &mut job.authority);
    Ok(Finding::of_worker(&parent.worker().perform(job).await?))
}

fn with_grant(parent: &Parent, change: impl FnOnce(&mut IssuerGrant)) -> GrantChain {
    parent.site.chain_with(acme(), change)
}

/// A transfer of an issuer whose grant was taken back.
async fn revoked(parent: &Parent, mode: Mode, is_shown: bool) -> Result<Finding> {
    let statement = GrantRevocation {
        genesis_sha256: parent.site.sha256(),
        key: key(ISSUER).public(),
        revoked_at_ms: parent.now_ms,
        tenant: acme(),
    };
    let mut job = parent.transfer(mode)?;
    if is_shown {
        job.authority.revocation = Some(Signed::sign(statement, &[&key(ROOT)]));
    }
    Ok(Finding::of_worker(&parent.worker().perform(job).await?))
}

/// Two acts, the second of them a new quorum.
fn acts(parent: &Parent) -> Acts {
    let quorum: Quorum = quorum(1, &[7]);
    parent.site.acts(vec![
        (OperatorAct::RevokeWorker { key: key(40).public() }, &[OPERATOR]),
        (OperatorAct::ReplaceQuorum { quorum, voids_roots: true }, &[OPERATOR, 7]),
    ])
}

/// What a worker that was shown nothing makes of acts.
async fn shown(parent: &Parent, alter: fn(&mut Acts)) -> Result<Finding> {
    let mut acts = acts(parent);
    alter(&mut acts);
    Ok(Finding::of_worker(&parent.another_worker().await?.follow(&acts).await?))
}
