//! The chain from a genesis manifest to an issuer, and verdicts about it.

use nsl_schemas::authority::{
    Build, GenesisManifest, GrantChain, GrantRevocation, IssuerGrant, OperatorAct, OperatorStatement,
    Operators, Quorum, Scope, SealingProvider, Signed, TenantRoot,
};
use nsl_schemas::bytes::{Pcr, Sha256};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::subject::CommandSubject;
use serde_json::{Value, json};

use super::{EXPIRES_AT_MS, ISSUED_AT_MS, ISSUER_SEED, QUORUM_SEED, ROOT_SEED, key, statement, tenant};

/// Subject and time of each verdict: allowed, out of scope, of another tenant, a service verb, too early, too late.
const QUESTIONS: [(&str, u64); 6] = [
    ("nsl.v1.cmd.acme.wallet.main.create", ISSUED_AT_MS),
    ("nsl.v1.cmd.acme.worker.main.register", ISSUED_AT_MS),
    ("nsl.v1.cmd.other.wallet.main.create", ISSUED_AT_MS),
    ("nsl.v1.cmd.acme.wallet.main.record-outcome", ISSUED_AT_MS),
    ("nsl.v1.cmd.acme.wallet.main.create", ISSUED_AT_MS - 1),
    ("nsl.v1.cmd.acme.wallet.main.create", EXPIRES_AT_MS),
];

pub(super) fn document() -> Value {
    let manifest = manifest();
    let chain = chain(&manifest.statement);
    let verdicts: Vec<Value> =
        QUESTIONS.iter().map(|(subject, now_ms)| verdict(&manifest, &chain, subject, *now_ms)).collect();
    json!({
        "about": "Signed bytes are 0xFF, the tag behind its length as a big-endian u32, then the statement's \
            canonical JSON; signatures are Ed25519.",
        "keys": { "quorum": key(&QUORUM_SEED), "root": key(&ROOT_SEED), "issuer": key(&ISSUER_SEED) },
        "genesis": statement(&manifest),
        "tenant_root": statement(&chain.root),
        "issuer_grant": statement(&chain.grant),
        "grant_revocation": statement(&revocation(&manifest.statement)),
        "operator_act": statement(&operator_act(&manifest.statement)),
        "grant_chain": chain,
        "verdicts": verdicts,
    })
}

pub(in super::super) fn manifest() -> Signed<GenesisManifest> {
    let quorum = SigningKey::from_seed(&QUORUM_SEED);
    let manifest = GenesisManifest {
        log_origin: "nsl.example/vectors".to_owned(),
        quorum: Quorum { threshold: 1, keys: vec![quorum.public()] },
        attestation_root_sha256: Sha256::of(b"attestation root"),
        builds: vec![Build {
            name: "0.1.0".to_owned(),
            pcr0: Pcr([0x10; 48]),
            pcr1: Pcr([0x11; 48]),
            pcr2: Pcr([0x12; 48]),
        }],
        sealing_provider: SealingProvider::Development,
        created_at_ms: ISSUED_AT_MS,
    };
    Signed::sign(manifest, &[&quorum])
}

pub(in super::super) fn chain(manifest: &GenesisManifest) -> GrantChain {
    let (quorum, root) = (SigningKey::from_seed(&QUORUM_SEED), SigningKey::from_seed(&ROOT_SEED));
    let genesis_sha256 = manifest.sha256();
    let tenant_root = TenantRoot {
        epoch: 0,
        genesis_sha256,
        tenant: tenant(),
        key: root.public(),
        issued_at_ms: ISSUED_AT_MS,
    };
    let any = || "*".to_owned();
    let grant = IssuerGrant {
        genesis_sha256,
        tenant: tenant(),
        key: SigningKey::from_seed(&ISSUER_SEED).public(),
        label: "vectors".to_owned(),
        scopes: vec![Scope { aggregate: "wallet".to_owned(), id: any(), verb: any() }],
        not_before_ms: ISSUED_AT_MS,
        expires_at_ms: EXPIRES_AT_MS,
    };
    let (root, grant) = (Signed::sign(tenant_root, &[&quorum]), Signed::sign(grant, &[&root]));
    GrantChain { root, grant, revocation: None }
}

/// The grant of the chain, taken back.
fn revocation(manifest: &GenesisManifest) -> Signed<GrantRevocation> {
    let statement = GrantRevocation {
        genesis_sha256: manifest.sha256(),
        key: SigningKey::from_seed(&ISSUER_SEED).public(),
        revoked_at_ms: ISSUED_AT_MS,
        tenant: tenant(),
    };
    Signed::sign(statement, &[&SigningKey::from_seed(&ROOT_SEED)])
}

/// The operators' first act: its `previous_sha256` is the manifest's hash.
fn operator_act(manifest: &GenesisManifest) -> Signed<OperatorStatement> {
    let [pcr0, pcr1, pcr2] = [0x20, 0x21, 0x22].map(|byte| Pcr([byte; 48]));
    let build = Build { name: "0.2.0".to_owned(), pcr0, pcr1, pcr2 };
    let act = OperatorAct::AllowBuild { build };
    let statement = Operators::of_genesis(manifest).next(act, ISSUED_AT_MS);
    Signed::sign(statement, &[&SigningKey::from_seed(&QUORUM_SEED)])
}

fn verdict(manifest: &Signed<GenesisManifest>, chain: &GrantChain, subject: &str, now_ms: u64) -> Value {
    let issuer = SigningKey::from_seed(&ISSUER_SEED).public();
    let parsed = CommandSubject::parse(subject).expect("the subjects of this file are command subjects");
    let operators = Operators::of_genesis(&manifest.statement);
    let refused = chain.authorises(&operators, issuer, &parsed, now_ms).err();
    json!({
        "subject": subject,
        "now_ms": now_ms,
        "authorised": refused.is_none(),
        "reason": refused.map(|error| error.to_string()),
    })
}
