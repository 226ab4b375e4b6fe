//! The chain of authority (D8): genesis manifest → tenant roots → issuer grants.
//!
//! Every link is a statement with its signatures; whoever holds the manifest can check the rest.

use serde::{Deserialize, Serialize};

use crate::bytes::{Base64, Pcr, Sha256};
use crate::canonical;
use crate::envelope::statement_bytes;
use crate::nkey::{PublicKey, SigningKey};
use crate::subject::CommandSubject;
use crate::token::Tenant;

/// Most keys in a quorum: more signers than this belong into a tree of quorums.
pub const QUORUM_KEYS_MAX: usize = 16;
/// Most scopes in one grant.
pub const SCOPES_MAX: usize = 32;
/// Most measured builds in a manifest.
pub const BUILDS_MAX: usize = 32;

/// `threshold` of `keys` must sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Quorum {
    /// How many of the keys.
    pub threshold: u8,
    /// The keys, without repeats.
    pub keys: Vec<PublicKey>,
}

impl Quorum {
    /// Whether the quorum can be met and no key counts twice.
    pub fn is_sound(&self) -> bool {
        let distinct: std::collections::BTreeSet<_> = self.keys.iter().collect();
        let threshold = usize::from(self.threshold);
        distinct.len() == self.keys.len()
            && (1..=self.keys.len()).contains(&threshold)
            && self.keys.len() <= QUORUM_KEYS_MAX
    }

    /// Whether enough distinct keys of this quorum signed `message`.
    pub fn is_met(&self, message: &[u8], signatures: &[KeySignature]) -> bool {
        let signers: std::collections::BTreeSet<_> = signatures
            .iter()
            .take(QUORUM_KEYS_MAX)
            .filter(|one| self.keys.contains(&one.key) && one.key.verifies(message, &one.signature.0))
            .map(|one| one.key)
            .collect();
        self.is_sound() && signers.len() >= usize::from(self.threshold)
    }
}

/// One key's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeySignature {
    /// Who signed.
    pub key: PublicKey,
    /// Ed25519.
    pub signature: Base64,
}

/// A statement that carries its kind in its signed bytes.
pub trait Statement: Serialize {
    /// The kind, as `nsl-tenant-root-v1`.
    const TAG: &'static str;
}

/// A statement with signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Signed<T> {
    /// What is stated.
    pub statement: T,
    /// By whom.
    pub signatures: Vec<KeySignature>,
}

impl<T: Statement> Signed<T> {
    /// Signs `statement` with every key given.
    pub fn sign(statement: T, keys: &[&SigningKey]) -> Self {
        let message = statement_bytes(T::TAG, &statement);
        let signatures = keys
            .iter()
            .map(|key| KeySignature { key: key.public(), signature: Base64(key.sign(&message).to_vec()) })
            .collect();
        Self { statement, signatures }
    }

    /// Whether `quorum` signed it.
    pub fn is_signed_by(&self, quorum: &Quorum) -> bool {
        quorum.is_met(&statement_bytes(T::TAG, &self.statement), &self.signatures)
    }
}

/// One measured build of the enclave worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Build {
    /// For people, as `0.1.0`.
    pub name: String,
    /// The whole image.
    pub pcr0: Pcr,
    /// Kernel and boot ramdisk.
    pub pcr1: Pcr,
    /// Application.
    pub pcr2: Pcr,
}

impl Build {
    /// PCR0, PCR1 and PCR2, as a verifier compares them.
    pub fn measurements(&self) -> [[u8; 48]; 3] {
        [self.pcr0.0, self.pcr1.0, self.pcr2.0]
    }
}

/// Where a worker gets its sealing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SealingProvider {
    /// A key file beside the worker; refused by builds without the feature `development`.
    Development,
}

/// Event 1 of every log: what everything else rests on. Workers commit to its hash in PCR16.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GenesisManifest {
    /// Names the log in checkpoints; unique for each log.
    pub log_origin: String,
    /// Who may sign tenant roots and builds.
    pub quorum: Quorum,
    /// SHA-256 of the DER certificate at the root of workers' attestation documents.
    pub attestation_root_sha256: Sha256,
    /// The builds that may hold keys.
    pub builds: Vec<Build>,
    /// Where workers get their sealing key.
    pub sealing_provider: SealingProvider,
    /// Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub created_at_ms: u64,
}

impl GenesisManifest {
    /// The hash that PCR16, statements and certificates commit to.
    pub fn sha256(&self) -> Sha256 {
        canonical::sha256(self)
    }
}

impl Statement for GenesisManifest {
    const TAG: &'static str = "nsl-genesis-v1";
}

/// The quorum names a tenant's root key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TenantRoot {
    /// The log it is for.
    pub genesis_sha256: Sha256,
    /// Whose root.
    pub tenant: Tenant,
    /// The root key.
    pub key: PublicKey,
    /// Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub issued_at_ms: u64,
}

impl Statement for TenantRoot {
    const TAG: &'static str = "nsl-tenant-root-v1";
}

/// What a grant allows; `*` in a field allows any value of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Scope {
    /// An aggregate type or `*`.
    pub aggregate: String,
    /// An aggregate id or `*`.
    pub id: String,
    /// A verb or `*`.
    pub verb: String,
}

/// A tenant root lets a key issue commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IssuerGrant {
    /// The log it is for.
    pub genesis_sha256: Sha256,
    /// The tenant that grants. A grant of the system tenant reaches into every tenant, but only for service verbs.
    pub tenant: Tenant,
    /// Who may issue.
    pub key: PublicKey,
    /// For people and logs, as `enclave-host`.
    pub label: String,
    /// What.
    pub scopes: Vec<Scope>,
    /// From when, Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub not_before_ms: u64,
    /// Until when, Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub expires_at_ms: u64,
}

impl Statement for IssuerGrant {
    const TAG: &'static str = "nsl-issuer-grant-v1";
}

/// Verbs by which services of ours report what happened; only grants of the system tenant allow them.
pub const SERVICE_VERBS: [&str; 4] =
    ["record-outcome", "record-confirmation", "record-expiry", "expire-request"];

impl IssuerGrant {
    /// Whether the grant lets its key issue `subject`, times aside.
    pub fn covers(&self, subject: &CommandSubject) -> bool {
        let is_service_verb = SERVICE_VERBS.contains(&subject.verb.as_str());
        let reaches_tenant =
            if is_service_verb { self.tenant.is_system() } else { self.tenant == subject.tenant };
        let allows = |pattern: &str, value: &str| pattern == "*" || pattern == value;
        reaches_tenant
            && self.scopes.iter().any(|scope| {
                allows(&scope.aggregate, subject.aggregate.as_str())
                    && allows(&scope.id, subject.id.as_str())
                    && allows(&scope.verb, subject.verb.as_str())
            })
    }

    /// Whether the grant is in force at `now_ms`.
    pub fn is_in_force(&self, now_ms: u64) -> bool {
        (self.not_before_ms..self.expires_at_ms).contains(&now_ms)
    }
}

/// The links from the manifest to an issuer, as every job carries them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GrantChain {
    /// Quorum → tenant root.
    pub root: Signed<TenantRoot>,
    /// Tenant root → issuer.
    pub grant: Signed<IssuerGrant>,
}

/// Why an issuer has no authority for a command. The order is the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A statement for another log.
    #[error("statement is for another genesis manifest")]
    OtherGenesis,
    /// The root is not signed by the quorum.
    #[error("tenant root is not signed by the genesis quorum")]
    Root,
    /// The grant is not signed by the root.
    #[error("grant is not signed by the tenant root")]
    Grant,
    /// The grant names another key.
    #[error("grant is for another key")]
    OtherKey,
    /// The grant does not cover the subject.
    #[error("grant does not cover this command")]
    Scope,
    /// Not yet or no longer in force.
    #[error("grant is not in force")]
    NotInForce,
}

impl GrantChain {
    /// Checks every link, and that the chain lets `issuer` issue `subject` at `now_ms`.
    pub fn authorises(
        &self,
        genesis: &GenesisManifest,
        issuer: PublicKey,
        subject: &CommandSubject,
        now_ms: u64,
    ) -> Result<(), ChainError> {
        self.is_genuine(genesis)?;
        self.allows(issuer, subject, now_ms)
    }

    /// Checks every link: what does not change while the chain is the same.
    pub fn is_genuine(&self, genesis: &GenesisManifest) -> Result<(), ChainError> {
        let genesis_sha256 = genesis.sha256();
        let (root, grant) = (&self.root.statement, &self.grant.statement);
        if root.genesis_sha256 != genesis_sha256 || grant.genesis_sha256 != genesis_sha256 {
            return Err(ChainError::OtherGenesis);
        }
        if !self.root.is_signed_by(&genesis.quorum) {
            return Err(ChainError::Root);
        }
        let root_quorum = Quorum { threshold: 1, keys: vec![root.key] };
        if root.tenant != grant.tenant || !self.grant.is_signed_by(&root_quorum) {
            return Err(ChainError::Grant);
        }
        Ok(())
    }

    /// Whether a genuine chain lets `issuer` issue `subject` at `now_ms`.
    pub fn allows(&self, issuer: PublicKey, subject: &CommandSubject, now_ms: u64) -> Result<(), ChainError> {
        let grant = &self.grant.statement;
        if grant.key != issuer {
            return Err(ChainError::OtherKey);
        }
        if !grant.covers(subject) {
            return Err(ChainError::Scope);
        }
        if !grant.is_in_force(now_ms) {
            return Err(ChainError::NotInForce);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        genesis: GenesisManifest,
        chain: GrantChain,
        issuer: SigningKey,
    }

    fn world(tenant: &str, scope: (&str, &str, &str)) -> World {
        let (quorum, root, issuer) = (
            SigningKey::from_seed(&[1; 32]),
            SigningKey::from_seed(&[2; 32]),
            SigningKey::from_seed(&[3; 32]),
        );
        let genesis = GenesisManifest {
            log_origin: "test".into(),
            quorum: Quorum { threshold: 1, keys: vec![quorum.public()] },
            attestation_root_sha256: Sha256([0; 32]),
            builds: vec![],
            sealing_provider: SealingProvider::Development,
            created_at_ms: 1,
        };
        let genesis_sha256 = genesis.sha256();
        let tenant = Tenant::parse(tenant).unwrap();
        let root_statement =
            TenantRoot { genesis_sha256, tenant: tenant.clone(), key: root.public(), issued_at_ms: 1 };
        let scopes = vec![Scope { aggregate: scope.0.into(), id: scope.1.into(), verb: scope.2.into() }];
        let grant = IssuerGrant {
            genesis_sha256,
            tenant,
            key: issuer.public(),
            label: "test".into(),
            scopes,
            not_before_ms: 10,
            expires_at_ms: 20,
        };
        let chain = GrantChain {
            root: Signed::sign(root_statement, &[&quorum]),
            grant: Signed::sign(grant, &[&root]),
        };
        World { genesis, chain, issuer }
    }

    fn judge(world: &World, subject: &str, now_ms: u64) -> Result<(), ChainError> {
        let subject = CommandSubject::parse(subject).unwrap();
        world.chain.authorises(&world.genesis, world.issuer.public(), &subject, now_ms)
    }

    #[test]
    fn a_grant_reaches_exactly_its_scope() {
        let acme = world("acme", ("wallet", "main", "*"));
        assert_eq!(judge(&acme, "nsl.v1.cmd.acme.wallet.main.create", 15), Ok(()));
        assert_eq!(judge(&acme, "nsl.v1.cmd.acme.wallet.other.create", 15), Err(ChainError::Scope));
        assert_eq!(judge(&acme, "nsl.v1.cmd.other.wallet.main.create", 15), Err(ChainError::Scope));
        assert_eq!(judge(&acme, "nsl.v1.cmd.acme.wallet.main.record-outcome", 15), Err(ChainError::Scope));
        assert_eq!(judge(&acme, "nsl.v1.cmd.acme.wallet.main.create", 9), Err(ChainError::NotInForce));
        assert_eq!(judge(&acme, "nsl.v1.cmd.acme.wallet.main.create", 20), Err(ChainError::NotInForce));
        let system = world("system", ("*", "*", "*"));
        assert_eq!(judge(&system, "nsl.v1.cmd.acme.wallet.main.record-outcome", 15), Ok(()));
        assert_eq!(judge(&system, "nsl.v1.cmd.acme.wallet.main.create", 15), Err(ChainError::Scope));
    }

    #[test]
    fn a_broken_link_breaks_the_chain() {
        let subject = "nsl.v1.cmd.acme.wallet.main.create";
        let mut forged_root = world("acme", ("*", "*", "*"));
        forged_root.chain.root.statement.issued_at_ms = 2;
        assert_eq!(judge(&forged_root, subject, 15), Err(ChainError::Root));
        let mut forged_grant = world("acme", ("*", "*", "*"));
        forged_grant.chain.grant.statement.expires_at_ms = 30;
        assert_eq!(judge(&forged_grant, subject, 15), Err(ChainError::Grant));
        let mut other_log = world("acme", ("*", "*", "*"));
        other_log.genesis.log_origin = "other".into();
        assert_eq!(judge(&other_log, subject, 15), Err(ChainError::OtherGenesis));
        let mut other_key = world("acme", ("*", "*", "*"));
        other_key.issuer = SigningKey::from_seed(&[9; 32]);
        assert_eq!(judge(&other_key, subject, 15), Err(ChainError::OtherKey));
    }

    #[test]
    fn a_quorum_counts_each_key_once() {
        let keys: Vec<_> = (1..=3).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
        let quorum = Quorum { threshold: 2, keys: keys.iter().map(SigningKey::public).collect() };
        let sign =
            |key: &SigningKey| KeySignature { key: key.public(), signature: Base64(key.sign(b"m").to_vec()) };
        assert!(quorum.is_met(b"m", &[sign(&keys[0]), sign(&keys[2])]));
        assert!(!quorum.is_met(b"m", &[sign(&keys[0]), sign(&keys[0])]));
        assert!(!quorum.is_met(b"m", &[sign(&keys[0]), sign(&SigningKey::from_seed(&[8; 32]))]));
        assert!(!Quorum { threshold: 0, keys: quorum.keys.clone() }.is_met(b"m", &[]));
        assert!(!Quorum { threshold: 1, keys: vec![keys[0].public(); 2] }.is_sound());
    }
}
