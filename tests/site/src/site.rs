//! A manifest, and what its operators and roots sign under it.

use nsl_schemas::authority::{
    Build, GenesisManifest, GrantChain, IssuerGrant, OperatorAct, OperatorStatement, Operators, Scope,
    SealingProvider, Signed, TenantRoot,
};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::token::Tenant;

use crate::{ISSUER, OPERATOR, ROOT, key, quorum};

/// The last time that JSON's readers agree about.
const FOR_EVER_MS: u64 = (1 << 53) - 1;

/// A manifest of [`OPERATOR`]'s that allows these builds under this attestation root.
pub fn manifest(attestation_root_sha256: Sha256, builds: Vec<Build>) -> GenesisManifest {
    GenesisManifest {
        log_origin: "test".into(),
        quorum: quorum(1, &[OPERATOR]),
        attestation_root_sha256,
        builds,
        sealing_provider: SealingProvider::Development,
        created_at_ms: 1,
    }
}

/// A log by its manifest.
#[derive(Debug, Clone)]
pub struct Site {
    /// The manifest with its operator's signature.
    pub genesis: Signed<GenesisManifest>,
}

impl Site {
    /// The site of a manifest, signed by [`OPERATOR`].
    pub fn of(manifest: GenesisManifest) -> Self {
        Self { genesis: Signed::sign(manifest, &[&key(OPERATOR)]) }
    }

    /// The manifest's hash.
    pub fn sha256(&self) -> Sha256 {
        self.genesis.statement.sha256()
    }

    /// The operators before their first act.
    pub fn operators(&self) -> Operators {
        Operators::of_genesis(&self.genesis.statement)
    }

    /// Acts one after the other, each signed by the keys of these numbers.
    pub fn acts(&self, acts: Vec<(OperatorAct, &[u8])>) -> Vec<Signed<OperatorStatement>> {
        let mut operators = self.operators();
        let sign = |(act, signers): (OperatorAct, &[u8])| {
            let keys: Vec<_> = signers.iter().map(|number| key(*number)).collect();
            let act = Signed::sign(operators.next(act, 1), &keys.iter().collect::<Vec<_>>());
            operators.follow(std::slice::from_ref(&act)).unwrap();
            act
        };
        acts.into_iter().map(sign).collect()
    }

    /// [`ROOT`] as the tenant's root.
    pub fn root(&self, tenant: Tenant) -> TenantRoot {
        TenantRoot {
            epoch: 0,
            genesis_sha256: self.sha256(),
            tenant,
            key: key(ROOT).public(),
            issued_at_ms: 1,
        }
    }

    /// The tenant's grant to [`ISSUER`], of everything and for ever.
    pub fn grant(&self, tenant: Tenant) -> IssuerGrant {
        let any = || "*".to_owned();
        IssuerGrant {
            genesis_sha256: self.sha256(),
            tenant,
            key: key(ISSUER).public(),
            label: "test".into(),
            scopes: vec![Scope { aggregate: any(), id: any(), verb: any() }],
            not_before_ms: 0,
            expires_at_ms: FOR_EVER_MS,
        }
    }

    /// From the manifest over the tenant's root to [`ISSUER`].
    pub fn chain(&self, tenant: Tenant) -> GrantChain {
        self.chain_with(tenant, |_| {})
    }

    /// The same with another grant, which the root really signed.
    pub fn chain_with(&self, tenant: Tenant, change: impl FnOnce(&mut IssuerGrant)) -> GrantChain {
        let mut grant = self.grant(tenant.clone());
        change(&mut grant);
        GrantChain {
            root: Signed::sign(self.root(tenant), &[&key(OPERATOR)]),
            grant: Signed::sign(grant, &[&key(ROOT)]),
            revocation: None,
        }
    }
}
