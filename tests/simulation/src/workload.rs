//! Real signed commands: a tenant's root, its grants, price feeds and their rounds, good and bad ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use nsl_commands::intake;
use nsl_domain::decision::Genesis;
use nsl_schemas::authority::{
    GenesisManifest, IssuerGrant, Quorum, Scope, SealingProvider, Signed, TenantRoot,
};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::envelope::{
    HEADER_COMMAND_ID, HEADER_EXPIRES_AT_MS, HEADER_ISSUED_AT_MS, HEADER_ISSUER, HEADER_SIGNATURE,
    SignedCommand,
};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::Tenant;
use nsl_verify::attestation::TrustRoot;
use uuid::Uuid;

use crate::bus::Published;
use crate::clock;
use crate::ledger::Request;

const TENANT: &str = "acme";
const QUORUM: u8 = 1;
const ROOT: u8 = 2;
/// Has a grant from the beginning.
pub(crate) const ISSUER: u8 = 3;
/// Has none, ever.
pub(crate) const STRANGER: u8 = 4;
/// Gets its grant while others work.
pub(crate) const LATE_ISSUER: u8 = 6;
const RULES: &str = r#"{"rules":{"age_max_ms":3600000,"deviation_floor_bps":100,"price_max_e8":"1000000","price_min_e8":"1","sources_min":1}}"#;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

/// A manifest whose quorum is ours.
pub(crate) fn genesis() -> Arc<Genesis> {
    let manifest = GenesisManifest {
        log_origin: "simulation".into(),
        quorum: Quorum { threshold: 1, keys: vec![key(QUORUM).public()] },
        attestation_root_sha256: Sha256([0; 32]),
        builds: vec![],
        sealing_provider: SealingProvider::Development,
        created_at_ms: 0,
    };
    Arc::new(Genesis { sha256: manifest.sha256(), manifest, trust_root: TrustRoot::aws_nitro() })
}

/// A command ready to be published, as often as it takes.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub(crate) request: Request,
    pub(crate) published: Published,
    /// Whether its issuer will be authorised at some time, so that a no to that is not the last word.
    pub(crate) is_granted: bool,
}

/// A command to be signed.
pub(crate) struct Draft {
    pub(crate) id: Uuid,
    pub(crate) issuer: u8,
    /// `<aggregate>.<id>.<verb>`.
    pub(crate) address: String,
    pub(crate) issued_at_ms: u64,
    pub(crate) lifetime_ms: u64,
    pub(crate) payload: String,
}

impl Draft {
    pub(crate) fn sign(self) -> Ready {
        let subject = CommandSubject::parse(&format!("nsl.v1.cmd.{TENANT}.{}", self.address))
            .expect("addresses are made of tokens");
        let expires_at_ms = self.issued_at_ms + self.lifetime_ms;
        let signed = SignedCommand::sign(
            &key(self.issuer),
            &subject,
            self.id,
            self.issued_at_ms,
            expires_at_ms,
            self.payload,
        );
        let envelope = &signed.envelope;
        let signature = serde_json::to_value(&envelope.signature).unwrap_or_default();
        let headers = BTreeMap::from([
            (HEADER_COMMAND_ID, self.id.to_string()),
            (HEADER_ISSUER, envelope.issuer.to_string()),
            (HEADER_ISSUED_AT_MS, self.issued_at_ms.to_string()),
            (HEADER_EXPIRES_AT_MS, expires_at_ms.to_string()),
            (HEADER_SIGNATURE, signature.as_str().unwrap_or_default().to_owned()),
        ]);
        let request = (self.id, envelope.request_sha256().0);
        let is_granted = self.issuer != STRANGER;
        let published = Published { subject, headers, payload: signed.payload };
        debug_assert!(readable(&published), "the workload's commands are well-formed");
        Ready { request, published, is_granted }
    }
}

fn readable(published: &Published) -> bool {
    let header = |name| Ok(published.headers.get(name).map(String::as_str));
    intake::read(published.subject.clone(), header, published.payload.as_bytes()).is_ok()
}

fn tenant() -> Tenant {
    Tenant::parse(TENANT).expect("a token")
}

/// Names the tenant's root key.
pub(crate) fn register_root(id: Uuid, genesis: &Genesis) -> Draft {
    let (genesis_sha256, tenant, issued_at_ms) = (genesis.sha256, tenant(), 0);
    let statement = TenantRoot { epoch: 0, genesis_sha256, tenant, key: key(ROOT).public(), issued_at_ms };
    let root = Signed::sign(statement, &[&key(QUORUM)]);
    draft(id, ROOT, "authority.root.register-root", serde_json::json!({ "root": root }).to_string())
}

/// Lets a key issue everything.
pub(crate) fn grant(id: Uuid, genesis: &Genesis, issuer: u8) -> Draft {
    let any = || "*".to_owned();
    let statement = IssuerGrant {
        genesis_sha256: genesis.sha256,
        tenant: tenant(),
        key: key(issuer).public(),
        label: "simulated".into(),
        scopes: vec![Scope { aggregate: any(), id: any(), verb: any() }],
        not_before_ms: 0,
        expires_at_ms: (1 << 53) - 1,
    };
    let grant = Signed::sign(statement, &[&key(ROOT)]);
    draft(id, ROOT, "authority.root.grant", serde_json::json!({ "grant": grant }).to_string())
}

/// Begins a feed.
pub(crate) fn register_feed(id: Uuid, issuer: u8, feed: u64) -> Draft {
    draft(id, issuer, &format!("price-feed.feed{feed}.register"), RULES.to_owned())
}

/// Proposes a round.
pub(crate) fn record_round(id: Uuid, issuer: u8, feed: u64, round: u64, price: u64) -> Draft {
    let as_of_ms = clock::now_ms();
    let observation = format!(r#"{{"observed_at_ms":{as_of_ms},"price_e8":"{price}","venue":"a"}}"#);
    let payload = format!(r#"{{"as_of_ms":{as_of_ms},"observations":[{observation}],"round":{round}}}"#);
    draft(id, issuer, &format!("price-feed.feed{feed}.record-round"), payload)
}

fn draft(id: Uuid, issuer: u8, address: &str, payload: String) -> Draft {
    let (address, issued_at_ms) = (address.to_owned(), clock::now_ms());
    Draft { id, issuer, address, issued_at_ms, lifetime_ms: 3_600_000, payload }
}
