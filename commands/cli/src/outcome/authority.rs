//! Outcomes about authority: statements and what the operators decided.

use nsl_client::statement::Unsigned;
use nsl_schemas::authority::{Build, EstablishedPool, OperatorAct, Operators, Quorum};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::nkey::PublicKey;
use serde::Serialize;

/// A statement, for whoever signs or delivers it to read.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct StatementShown(Unsigned);

impl StatementShown {
    pub(crate) fn of(statement: Unsigned) -> Self {
        Self(statement)
    }

    /// What it says, in one line.
    pub(crate) fn human(&self) -> String {
        match &self.0 {
            Unsigned::TenantRoot(root) => {
                format!("{} is the root of tenant {} (epoch {})", root.key, root.tenant, root.epoch)
            }
            Unsigned::IssuerGrant(grant) => {
                let scope = |one: &nsl_schemas::authority::Scope| {
                    format!("{}/{}/{}", one.aggregate, one.id, one.verb)
                };
                let scopes: Vec<_> = grant.scopes.iter().map(scope).collect();
                format!(
                    "{} ({}) may issue {} of tenant {}",
                    grant.label,
                    grant.key,
                    scopes.join(", "),
                    grant.tenant
                )
            }
            Unsigned::GrantRevocation(revocation) => {
                let (key, until) = (revocation.key, revocation.revoked_at_ms);
                format!("grants of {key} by tenant {} that begin by {until} end", revocation.tenant)
            }
            Unsigned::OperatorAct(statement) => {
                format!("act {} of the operators: {}", statement.sequence, act(&statement.act))
            }
        }
    }
}

fn act(act: &OperatorAct) -> String {
    match act {
        OperatorAct::AllowBuild { build } => {
            format!("build {} may hold keys ({})", build.name, measured(build))
        }
        OperatorAct::RevokeBuild { build } => {
            format!("build {} may hold keys no longer ({})", build.name, measured(build))
        }
        OperatorAct::RevokeWorker { key } => format!("no report of worker {key} is taken any more"),
        OperatorAct::ReplaceQuorum { quorum, voids_roots } => {
            let keys: Vec<_> = quorum.keys.iter().map(ToString::to_string).collect();
            let roots = if *voids_roots { "; all tenants' roots end" } else { "" };
            format!("{} of {} sign from now on{roots}", quorum.threshold, keys.join(", "))
        }
        OperatorAct::EstablishPool { heads_position, view } => {
            let members: Vec<_> = view.members.iter().map(ToString::to_string).collect();
            format!(
                "{} of {} endorse reservations as view {}, from the log's heads at position {heads_position} ({})",
                view.majority().threshold,
                members.join(", "),
                view.number,
                view.heads_sha256
            )
        }
    }
}

fn measured(build: &Build) -> String {
    format!("PCR0 {}, PCR1 {}, PCR2 {}", build.pcr0, build.pcr1, build.pcr2)
}

/// What the operators decided, checked from the manifest on. Newer acts may have been withheld.
#[derive(Debug, Serialize)]
pub(crate) struct OperatorsShown {
    log_origin: String,
    genesis_sha256: Sha256,
    epoch: u32,
    sequence: u32,
    head_sha256: Sha256,
    quorum: Quorum,
    builds: Vec<Build>,
    revoked_workers: Vec<PublicKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<EstablishedPool>,
}

impl OperatorsShown {
    pub(crate) fn of(log_origin: String, operators: &Operators) -> Self {
        Self {
            log_origin,
            genesis_sha256: operators.genesis_sha256(),
            epoch: operators.epoch(),
            sequence: operators.sequence(),
            head_sha256: operators.head_sha256(),
            quorum: operators.quorum().clone(),
            builds: operators.builds().to_vec(),
            revoked_workers: operators.revoked_workers().iter().copied().collect(),
            pool: operators.pool().cloned(),
        }
    }

    /// Labels and values.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            ("log origin", self.log_origin.clone()),
            ("genesis", self.genesis_sha256.to_string()),
            ("epoch", self.epoch.to_string()),
            ("acts", self.sequence.to_string()),
            ("head", self.head_sha256.to_string()),
            ("quorum", format!("{} of {}", self.quorum.threshold, self.quorum.keys.len())),
        ];
        rows.extend(self.quorum.keys.iter().map(|key| ("operator", key.to_string())));
        rows.extend(self.builds.iter().map(|build| ("build", format!("{} {}", build.name, build.pcr0))));
        rows.extend(self.revoked_workers.iter().map(|key| ("revoked worker", key.to_string())));
        if let Some(EstablishedPool { heads_position, view }) = &self.pool {
            let heads = format!("view {}, heads {} at {heads_position}", view.number, view.heads_sha256);
            rows.push(("pool", heads));
            rows.extend(view.members.iter().map(|key| ("pool member", key.to_string())));
        }
        rows
    }
}
