//! Makes the statements by which operators name tenant roots and roots grant issuers (D8).

use nsl_schemas::authority::{
    GenesisManifest, IssuerGrant, Operators, Quorum, SCOPES_MAX, Scope, Signed, TenantRoot,
};
use nsl_schemas::canonical;
use nsl_schemas::command::authority::{Grant, RegisterRoot};
use nsl_schemas::nkey::{PublicKey, SigningKey};
use nsl_schemas::token::{AggregateId, AggregateType, Tenant, Verb};

/// Why a statement would not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The genesis file holds no manifest.
    #[error("genesis file holds no signed manifest")]
    GenesisContent(#[source] canonical::Error),
    /// The manifest is not signed by the quorum that it names.
    #[error("genesis manifest is not signed by its own quorum")]
    GenesisUnsigned,
    /// The keys given are not the quorum.
    #[error("these keys do not meet the operators' quorum of {threshold} of {keys}")]
    QuorumNotMet {
        /// How many must sign.
        threshold: u8,
        /// Of how many.
        keys: usize,
    },
    /// No scope, or too many.
    #[error("a grant has 1 to {SCOPES_MAX} scopes, not {count}")]
    ScopeCount {
        /// How many were given.
        count: usize,
    },
    /// A field of a scope is neither a token nor `*`.
    #[error("scope {scope:?} is not <aggregate>/<id>/<verb>, each a name or *")]
    ScopeForm {
        /// The scope as given.
        scope: String,
    },
    /// The grant would never be in force.
    #[error("the grant ends before it begins")]
    NeverInForce,
}

/// Reads a genesis file and checks that the manifest's own quorum signed it. Whether it is the right manifest, only
/// the reader can know: by its SHA-256.
pub fn read_genesis(bytes: &[u8]) -> Result<Signed<GenesisManifest>, Error> {
    let manifest: Signed<GenesisManifest> = canonical::from_slice(bytes).map_err(Error::GenesisContent)?;
    if manifest.is_signed_by(&manifest.statement.quorum) { Ok(manifest) } else { Err(Error::GenesisUnsigned) }
}

/// Reads `<aggregate>/<id>/<verb>`, where `*` stands for any value.
pub fn parse_scope(text: &str) -> Result<Scope, Error> {
    let malformed = || Error::ScopeForm { scope: text.to_owned() };
    let parts: Vec<&str> = text.splitn(4, '/').collect();
    let [aggregate, id, verb] = parts.as_slice() else { return Err(malformed()) };
    let is_sound = (*aggregate == "*" || AggregateType::parse(aggregate).is_ok())
        && (*id == "*" || AggregateId::parse(id).is_ok())
        && (*verb == "*" || Verb::parse(verb).is_ok());
    if is_sound {
        Ok(Scope { aggregate: (*aggregate).to_owned(), id: (*id).to_owned(), verb: (*verb).to_owned() })
    } else {
        Err(malformed())
    }
}

/// What the operators sign to name `key` as the root of `tenant`.
pub fn tenant_root(operators: &Operators, tenant: &Tenant, key: PublicKey, issued_at_ms: u64) -> TenantRoot {
    let (epoch, genesis_sha256) = (operators.epoch(), operators.genesis_sha256());
    TenantRoot { epoch, genesis_sha256, tenant: tenant.clone(), key, issued_at_ms }
}

/// Lets the operators name `key` as the root of `tenant`.
pub fn register_root(
    operators: &Operators,
    tenant: &Tenant,
    key: PublicKey,
    issued_at_ms: u64,
    quorum_keys: &[&SigningKey],
) -> Result<RegisterRoot, Error> {
    let root = Signed::sign(tenant_root(operators, tenant, key, issued_at_ms), quorum_keys);
    let quorum = operators.quorum();
    if root.is_signed_by(quorum) {
        Ok(RegisterRoot { root })
    } else {
        let Quorum { threshold, keys } = quorum;
        Err(Error::QuorumNotMet { threshold: *threshold, keys: keys.len() })
    }
}

/// What a tenant root grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantTerms {
    /// Who may issue.
    pub key: PublicKey,
    /// For people and logs.
    pub label: String,
    /// What.
    pub scopes: Vec<Scope>,
    /// From when, Unix ms.
    pub not_before_ms: u64,
    /// Until when, Unix ms.
    pub expires_at_ms: u64,
}

/// Lets the root of `tenant` grant `terms`.
pub fn grant(
    genesis: &GenesisManifest,
    tenant: &Tenant,
    terms: GrantTerms,
    root_key: &SigningKey,
) -> Result<Grant, Error> {
    Ok(Grant { grant: Signed::sign(issuer_grant(genesis, tenant, terms)?, &[root_key]) })
}

/// What the root of `tenant` signs to grant `terms`.
pub fn issuer_grant(
    genesis: &GenesisManifest,
    tenant: &Tenant,
    terms: GrantTerms,
) -> Result<IssuerGrant, Error> {
    let GrantTerms { key, label, scopes, not_before_ms, expires_at_ms } = terms;
    if !(1..=SCOPES_MAX).contains(&scopes.len()) {
        return Err(Error::ScopeCount { count: scopes.len() });
    }
    if expires_at_ms <= not_before_ms {
        return Err(Error::NeverInForce);
    }
    let genesis_sha256 = genesis.sha256();
    let tenant = tenant.clone();
    Ok(IssuerGrant { genesis_sha256, tenant, key, label, scopes, not_before_ms, expires_at_ms })
}

#[cfg(test)]
mod tests {
    use nsl_schemas::authority::GrantChain;
    use nsl_schemas::bytes::Sha256;
    use nsl_schemas::subject::CommandSubject;
    use nsl_test_site::{key, manifest, quorum};

    use super::*;

    fn genesis() -> GenesisManifest {
        GenesisManifest { quorum: quorum(2, &[1, 2, 3]), ..manifest(Sha256([0; 32]), vec![]) }
    }

    fn terms(scopes: &[&str]) -> GrantTerms {
        GrantTerms {
            key: key(5).public(),
            label: "test".into(),
            scopes: scopes.iter().map(|scope| parse_scope(scope).unwrap()).collect(),
            not_before_ms: 10,
            expires_at_ms: 20,
        }
    }

    #[test]
    fn statements_made_here_form_a_chain_that_authorises() {
        let (genesis, tenant) = (genesis(), Tenant::parse("acme").unwrap());
        let operators = Operators::of_genesis(&genesis);
        let root = register_root(&operators, &tenant, key(4).public(), 1, &[&key(1), &key(3)]).unwrap().root;
        let grant = grant(&genesis, &tenant, terms(&["wallet/*/create"]), &key(4)).unwrap().grant;
        let chain = GrantChain { root, grant, revocation: None };
        let subject = CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.create").unwrap();
        assert_eq!(chain.authorises(&operators, key(5).public(), &subject, 15), Ok(()));
    }

    #[test]
    fn too_few_quorum_keys_make_no_root() {
        let (operators, tenant) = (Operators::of_genesis(&genesis()), Tenant::parse("acme").unwrap());
        for keys in [vec![], vec![&key(1)], vec![&key(1), &key(1)], vec![&key(1), &key(9)]] {
            let made = register_root(&operators, &tenant, key(4).public(), 1, &keys);
            assert!(matches!(made, Err(Error::QuorumNotMet { threshold: 2, keys: 3 })));
        }
    }

    #[test]
    fn refuses_grants_that_nobody_could_use() {
        let (genesis, tenant) = (genesis(), Tenant::parse("acme").unwrap());
        let many = vec!["a/b/c"; SCOPES_MAX + 1];
        for scopes in [&[][..], &many] {
            let made = grant(&genesis, &tenant, terms(scopes), &key(4));
            assert!(matches!(made, Err(Error::ScopeCount { .. })));
        }
        let never = GrantTerms { expires_at_ms: 10, ..terms(&["*/*/*"]) };
        assert!(matches!(grant(&genesis, &tenant, never, &key(4)), Err(Error::NeverInForce)));
    }

    #[test]
    fn reads_scopes_of_three_names() {
        for (text, is_scope) in [
            ("wallet/main/create", true),
            ("*/*/*", true),
            ("wallet/*/request-transfer", true),
            ("", false),
            ("wallet", false),
            ("wallet/main", false),
            ("wallet/main/create/more", false),
            ("wal*/main/create", false),
            ("//", false),
        ] {
            assert_eq!(parse_scope(text).is_ok(), is_scope, "{text:?}");
        }
    }

    #[test]
    fn a_genesis_file_must_be_signed_by_its_own_quorum() {
        let signed = Signed::sign(genesis(), &[&key(1), &key(2)]);
        assert_eq!(read_genesis(canonical::to_string(&signed).as_bytes()).unwrap(), signed);
        let unsigned = Signed::sign(genesis(), &[&key(1)]);
        let verdict = read_genesis(canonical::to_string(&unsigned).as_bytes());
        assert!(matches!(verdict, Err(Error::GenesisUnsigned)));
        assert!(matches!(read_genesis(b"{}"), Err(Error::GenesisContent(_))));
    }
}
