//! The chain of authority (D8): genesis manifest → operators' acts → tenant roots → issuer grants.
//!
//! Every link is a statement with its signatures; whoever holds the manifest can check the rest.

mod operators;

use serde::{Deserialize, Serialize};

use crate::bytes::{Base64, Pcr, Sha256};
use crate::canonical;
use crate::envelope::statement_bytes;
use crate::kms::AwsKms;
use crate::nkey::{PublicKey, SigningKey};
use crate::subject::CommandSubject;
use crate::token::Tenant;

pub(crate) use operators::operator_acts;
pub use operators::{
    ACTS_MAX, ActError, EstablishedPool, OPERATOR_ACT_TAG, OperatorAct, OperatorStatement, Operators,
};

/// Most keys in a quorum: more signers than this belong into a tree of quorums.
pub const QUORUM_KEYS_MAX: usize = 16;
/// Most signatures of a statement that are looked at: a new quorum signs its beginning beside the old one.
pub const SIGNATURES_MAX: usize = 2 * QUORUM_KEYS_MAX;
/// Most scopes in one grant.
pub const SCOPES_MAX: usize = 32;
/// Most measured builds that are allowed at a time.
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
            .take(SIGNATURES_MAX)
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SealingProvider {
    /// A key file beside the worker; refused by builds without the feature `development`.
    Development,
    /// Born in a worker, split among custodians, brought back by a quorum of them; see [`crate::sealing`].
    CustodianQuorum,
    /// Born in AWS KMS, which gives it to attested workers alone; see [`crate::kms`].
    AwsKms(AwsKms),
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
///
/// `epoch` counts the quorums of the log from 0, the manifest's; statements from before there were others lack it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TenantRoot {
    /// Which quorum signs.
    #[serde(default, skip_serializing_if = "is_first_epoch")]
    pub epoch: u32,
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first_epoch(epoch: &u32) -> bool {
    *epoch == 0
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

/// Verbs by which services of ours report what happened, and operators rotate keys; only grants of the system tenant allow them.
pub const SERVICE_VERBS: [&str; 5] =
    ["record-outcome", "record-confirmation", "record-expiry", "expire-request", "reseal-key"];

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

/// A tenant root takes back what it let a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GrantRevocation {
    /// The log it is for.
    pub genesis_sha256: Sha256,
    /// Whose grants end.
    pub key: PublicKey,
    /// Every grant of the key that begins by then has ended, whether it is recorded or not. Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub revoked_at_ms: u64,
    /// The tenant that granted.
    pub tenant: Tenant,
}

impl Statement for GrantRevocation {
    const TAG: &'static str = "nsl-grant-revocation-v1";
}

impl GrantRevocation {
    /// Whether it ends `grant`.
    pub fn ends(&self, grant: &IssuerGrant) -> bool {
        self.key == grant.key && self.tenant == grant.tenant && grant.not_before_ms <= self.revoked_at_ms
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
    /// That the root took it back, where it did: an honest host says so, and the job is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Signed<GrantRevocation>>,
}

/// Why an issuer has no authority for a command. The order is the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A statement for another log.
    #[error("statement is for another genesis manifest")]
    OtherGenesis,
    /// The root is of a quorum that the operators' acts did not name yet.
    #[error("tenant root is of a quorum that is not known here yet")]
    EpochUnknown,
    /// A later quorum voided it.
    #[error("tenant root is of a quorum whose roots were voided")]
    RootVoid,
    /// The root is not signed by the quorum.
    #[error("tenant root is not signed by the operators' quorum")]
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
    /// The root took the grant back.
    #[error("grant was revoked")]
    Revoked,
    /// Not yet or no longer in force.
    #[error("grant is not in force")]
    NotInForce,
}

impl GrantChain {
    /// Checks every link, and that the chain lets `issuer` issue `subject` at `now_ms`.
    pub fn authorises(
        &self,
        operators: &Operators,
        issuer: PublicKey,
        subject: &CommandSubject,
        now_ms: u64,
    ) -> Result<(), ChainError> {
        self.is_genuine(operators)?;
        self.allows(issuer, subject, now_ms)
    }

    /// Checks every link: what does not change while chain and operators are the same.
    pub fn is_genuine(&self, operators: &Operators) -> Result<(), ChainError> {
        let (root, grant) = (&self.root.statement, &self.grant.statement);
        operators.check_root(&self.root)?;
        let root_quorum = Quorum { threshold: 1, keys: vec![root.key] };
        if grant.genesis_sha256 != root.genesis_sha256 {
            return Err(ChainError::OtherGenesis);
        }
        if root.tenant != grant.tenant || !self.grant.is_signed_by(&root_quorum) {
            return Err(ChainError::Grant);
        }
        let is_revoked = |revocation: &Signed<GrantRevocation>| {
            revocation.statement.genesis_sha256 == root.genesis_sha256
                && revocation.statement.ends(grant)
                && revocation.is_signed_by(&root_quorum)
        };
        if self.revocation.as_ref().is_some_and(is_revoked) {
            return Err(ChainError::Revoked);
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
mod tests;
