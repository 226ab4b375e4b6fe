use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use nsl_domain::decision::Genesis;
use nsl_schemas::authority::{
    GenesisManifest, IssuerGrant, Quorum, Scope, SealingProvider, Signed, TenantRoot,
};
use nsl_schemas::bytes::{Base64, Pcr, Sha256};
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::errors;
use nsl_schemas::event::authority::{IssuerGranted, RootRegistered};
use nsl_schemas::event::worker::WorkerRegistered;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::{canonical, event::WireEvent as _};
use nsl_verify::attestation::TrustRoot;
use uuid::Uuid;

use super::*;
use crate::admission::Admission;
use crate::config::{LimitsConfig, TenantLimits};
use crate::intake::Incoming;
use crate::limits::Limits;

const NOW_MS: u64 = 1_000;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn genesis() -> GenesisManifest {
    GenesisManifest {
        log_origin: "test".into(),
        quorum: Quorum { threshold: 1, keys: vec![key(1).public()] },
        attestation_root_sha256: Sha256([0; 32]),
        builds: vec![],
        sealing_provider: SealingProvider::Development,
        created_at_ms: 0,
    }
}

fn recorded(position: u64, aggregate: &str, id: &str, name: &str, payload: String) -> RecordedEvent {
    RecordedEvent {
        position,
        aggregate_type: aggregate.into(),
        aggregate_id: id.into(),
        sequence: position,
        event_id: Uuid::from_u128(position.into()),
        command_id: Uuid::from_u128(position.into()),
        event_type: name.into(),
        event_version: "1.0.0".into(),
        payload,
        metadata: "{}".into(),
        recorded_at_ms: 0,
        content_hash: [0; 32],
    }
}

fn authority(position: u64, tenant: &str, event: &AuthorityEvent) -> RecordedEvent {
    let id = format!("{tenant}.root");
    recorded(position, "authority", &id, event.event_name(), canonical::to_string(event))
}

fn root(position: u64, tenant: &str) -> RecordedEvent {
    let statement = TenantRoot {
        genesis_sha256: genesis().sha256(),
        tenant: Tenant::parse(tenant).unwrap(),
        key: key(2).public(),
        issued_at_ms: 0,
    };
    authority(position, tenant, &RootRegistered { root: Signed::sign(statement, &[&key(1)]) }.into())
}

fn grant(position: u64, tenant: &str, issuer: u8, expires_at_ms: u64) -> RecordedEvent {
    let any = || "*".to_owned();
    let statement = IssuerGrant {
        genesis_sha256: genesis().sha256(),
        tenant: Tenant::parse(tenant).unwrap(),
        key: key(issuer).public(),
        label: "test".into(),
        scopes: vec![Scope { aggregate: any(), id: any(), verb: any() }],
        not_before_ms: 0,
        expires_at_ms,
    };
    authority(position, tenant, &IssuerGranted { grant: Signed::sign(statement, &[&key(2)]) }.into())
}

fn directory(events: &[RecordedEvent]) -> Directory {
    let directory = Directory::default();
    for event in events {
        directory.apply(event).unwrap();
    }
    directory
}

fn incoming(subject: &str, issuer: u8) -> Incoming {
    let subject = CommandSubject::parse(subject).unwrap();
    let signed =
        SignedCommand::sign(&key(issuer), &subject, Uuid::from_u128(7), NOW_MS, NOW_MS + 60_000, "{}".into());
    let request_sha256 = signed.envelope.request_sha256();
    Incoming { subject, signed, request_sha256, traceparent: None }
}

#[test]
fn grants_count_for_their_tenant_and_time() {
    let directory = directory(&[root(1, "acme"), grant(2, "acme", 3, 2_000)]);
    let create = CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.create").unwrap();
    let other = CommandSubject::parse("nsl.v1.cmd.other.wallet.main.create").unwrap();
    let outcome = CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.record-outcome").unwrap();
    assert!(directory.is_authorised(&key(3).public(), &create, NOW_MS));
    assert!(!directory.is_authorised(&key(4).public(), &create, NOW_MS), "another key");
    assert!(!directory.is_authorised(&key(3).public(), &create, 2_000), "expired");
    assert!(!directory.is_authorised(&key(3).public(), &other, NOW_MS), "another tenant");
    assert!(!directory.is_authorised(&key(3).public(), &outcome, NOW_MS), "a service's verb");
    assert!(directory.chain(&key(3).public(), &create).is_some());
}

#[test]
fn the_newest_grant_of_a_key_counts_and_a_repeat_brings_no_older_one_back() {
    let (older, newer) = (grant(2, "acme", 3, 2_000), grant(3, "acme", 3, 1));
    let directory = directory(&[root(1, "acme"), older.clone(), newer, older]);
    let create = CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.create").unwrap();
    assert!(!directory.is_authorised(&key(3).public(), &create, NOW_MS));
}

#[test]
fn workers_are_known_from_their_registration_on() {
    let event = WorkerEvent::from(WorkerRegistered {
        key: key(5).public(),
        pcr0: Pcr([0; 48]),
        attested_at_ms: 0,
        attestation: Base64::default(),
    });
    let event = recorded(1, "worker", "system.abc", event.event_name(), canonical::to_string(&event));
    let directory = Directory::default();
    assert!(!directory.has_worker(&key(5).public()));
    directory.apply(&event).unwrap();
    assert!(directory.has_worker(&key(5).public()));
}

#[test]
fn an_unreadable_event_of_authority_is_an_error_and_others_are_passed_over() {
    let directory = Directory::default();
    assert!(directory.apply(&recorded(1, "wallet", "acme.main", "x", "not JSON".into())).is_ok());
    let unreadable = recorded(2, "authority", "acme.root", "x", "{}".into());
    assert!(matches!(directory.apply(&unreadable), Err(Error::Payload { position: 2, .. })));
}

fn limits(commands_per_second: NonZeroU32) -> Limits {
    let default = TenantLimits {
        commands_per_second,
        issuer_commands_per_second: NonZeroU32::MAX,
        commands_per_day: None,
        payload_kib_per_day: None,
    };
    Limits::new(LimitsConfig { default, tenants: BTreeMap::new() })
}

#[test]
fn admission_judges_authority_before_times_before_rate_before_payload() {
    let directory = directory(&[root(1, "acme"), grant(2, "acme", 3, (1 << 53) - 1)]);
    let manifest = genesis();
    let genesis = Genesis { sha256: manifest.sha256(), manifest, trust_root: TrustRoot::aws_nitro() };
    let admission = Admission::new(Arc::new(genesis), limits(NonZeroU32::MIN));
    let judge = |subject: &str, issuer, now_ms| {
        admission.judge(&incoming(subject, issuer), &directory, now_ms).unwrap_err()
    };
    let create = "nsl.v1.cmd.acme.wallet.main.create";
    assert_eq!(judge(create, 4, NOW_MS + 60_000).code, errors::NOT_AUTHORISED);
    assert_eq!(judge(create, 3, NOW_MS + 60_000).code, errors::COMMAND_EXPIRED);
    assert_eq!(judge(create, 3, NOW_MS).code, errors::PAYLOAD_INVALID);
    let limited = judge(create, 3, NOW_MS);
    assert_eq!(limited.code, errors::RATE_LIMITED);
    assert!(limited.retry_after_ms.is_some_and(|ms| (1..=1_001).contains(&ms)));
}

#[test]
fn statements_are_admitted_by_their_signatures_whoever_delivers_them() {
    let directory = directory(&[root(1, "acme")]);
    let manifest = genesis();
    let genesis = Genesis { sha256: manifest.sha256(), manifest, trust_root: TrustRoot::aws_nitro() };
    let admission = Admission::new(Arc::new(genesis), limits(NonZeroU32::MAX));
    let judge = |verb: &str, event: &RecordedEvent, field: &str| {
        let statement: serde_json::Value = serde_json::from_str(&event.payload).unwrap();
        let subject = CommandSubject::parse(&format!("nsl.v1.cmd.acme.authority.root.{verb}")).unwrap();
        let payload = serde_json::json!({ field: statement[field] }).to_string();
        let id = Uuid::from_u128(7);
        let signed = SignedCommand::sign(&key(9), &subject, id, NOW_MS, NOW_MS + 60_000, payload);
        let request_sha256 = signed.envelope.request_sha256();
        let incoming = Incoming { subject, signed, request_sha256, traceparent: None };
        admission.judge(&incoming, &directory, NOW_MS).map(drop).map_err(|refused| refused.code)
    };
    assert_eq!(judge("register-root", &root(1, "acme"), "root"), Ok(()));
    assert_eq!(judge("grant", &grant(2, "acme", 3, 9), "grant"), Ok(()));
    let mut forged = grant(2, "acme", 3, 9);
    forged.payload = forged.payload.replace("\"expires_at_ms\":9", "\"expires_at_ms\":99");
    assert_eq!(judge("grant", &forged, "grant"), Err(errors::NOT_AUTHORISED));
    let mut forged = root(1, "acme");
    forged.payload = forged.payload.replace("\"issued_at_ms\":0", "\"issued_at_ms\":1");
    assert_eq!(judge("register-root", &forged, "root"), Err(errors::NOT_AUTHORISED));
}

#[test]
fn refreshes_are_free_in_bursts_and_bounded_in_the_long_run() {
    let directory = Directory::default();
    let (start, interval) = (Instant::now(), Duration::from_millis(20));
    let count = |now| (0..100).filter(|_| directory.begin_refresh(now, interval, 5)).count();
    assert_eq!(count(start), 5);
    assert_eq!(count(start + interval * 2), 2);
    assert_eq!(count(start + interval * 100), 5);
}

#[test]
fn what_was_followed_is_known_by_type_and_never_goes_back() {
    let directory = Directory::default();
    directory.follow_to("authority", 7);
    directory.follow_to("authority", 5);
    directory.follow_to("wallet", 9);
    let followed = ["authority", "worker", "wallet"].map(|aggregate| directory.followed_to(aggregate));
    assert_eq!(followed, [7, 0, 0]);
}
