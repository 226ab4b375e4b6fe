use std::collections::BTreeMap;
use std::num::NonZeroU32;

use nsl_schemas::authority::{
    Build, GenesisManifest, GrantRevocation, IssuerGrant, OperatorAct, OperatorStatement, Operators, Quorum,
    Scope, SealingProvider, Signed, TenantRoot,
};
use nsl_schemas::bytes::{Base64, Pcr, Sha256};
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::errors;
use nsl_schemas::event::authority::{
    BuildRevoked, GenesisRecorded, IssuerGranted, IssuerRevoked, QuorumReplaced, RootRegistered,
    WorkerRevoked,
};
use nsl_schemas::event::worker::WorkerRegistered;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::{canonical, event::WireEvent as _};
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

fn build() -> Build {
    Build { name: "test".into(), pcr0: Pcr([6; 48]), pcr1: Pcr([7; 48]), pcr2: Pcr([8; 48]) }
}

fn genesis() -> GenesisManifest {
    GenesisManifest {
        log_origin: "test".into(),
        quorum: Quorum { threshold: 1, keys: vec![key(1).public()] },
        attestation_root_sha256: Sha256([0; 32]),
        builds: vec![build()],
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
        epoch: 0,
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
    let directory = Directory::of_genesis(&genesis());
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

/// A grant that was taken back at this time.
fn revocation(position: u64, tenant: &str, issuer: u8, revoked_at_ms: u64) -> RecordedEvent {
    let statement = GrantRevocation {
        genesis_sha256: genesis().sha256(),
        key: key(issuer).public(),
        revoked_at_ms,
        tenant: Tenant::parse(tenant).unwrap(),
    };
    authority(position, tenant, &IssuerRevoked { revocation: Signed::sign(statement, &[&key(2)]) }.into())
}

#[test]
fn a_revoked_grant_counts_no_more_and_jobs_carry_why() {
    let directory = directory(&[
        root(1, "acme"),
        grant(2, "acme", 3, 2_000),
        grant(3, "acme", 4, 2_000),
        revocation(4, "acme", 3, 0),
    ]);
    let create = CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.create").unwrap();
    assert!(!directory.is_authorised(&key(3).public(), &create, NOW_MS));
    assert!(directory.is_authorised(&key(4).public(), &create, NOW_MS), "others keep theirs");
    assert!(directory.chain(&key(3).public(), &create).unwrap().revocation.is_some());
}

fn registration(position: u64, worker: u8) -> RecordedEvent {
    let event = WorkerEvent::from(WorkerRegistered {
        key: key(worker).public(),
        pcr0: build().pcr0,
        attested_at_ms: 0,
        attestation: Base64::default(),
    });
    let id = format!("system.{worker}");
    recorded(position, "worker", &id, event.event_name(), canonical::to_string(&event))
}

/// The log's beginning and what the operators did then, one after the other.
fn operated(acts: Vec<OperatorAct>) -> Vec<RecordedEvent> {
    let mut operators = Operators::of_genesis(&genesis());
    let manifest = Signed::sign(genesis(), &[&key(1)]);
    let mut events = vec![authority(1, "system", &GenesisRecorded { manifest }.into())];
    for (act, position) in acts.into_iter().zip(100..) {
        let signed: Signed<OperatorStatement> = Signed::sign(operators.next(act, 0), &[&key(1)]);
        operators.apply(&signed.statement);
        let event = match signed.statement.act {
            OperatorAct::RevokeWorker { .. } => WorkerRevoked { act: signed }.into(),
            OperatorAct::RevokeBuild { .. } => BuildRevoked { act: signed }.into(),
            _ => QuorumReplaced { act: signed }.into(),
        };
        events.push(authority(position, "system", &event));
    }
    events
}

#[test]
fn workers_count_from_their_registration_until_they_or_their_build_are_revoked() {
    let begun = Directory::of_genesis(&genesis());
    assert!(!begun.has_worker(&key(5).public()));
    let count = |acts: Vec<OperatorAct>| {
        let events = [vec![registration(2, 5), registration(3, 6)], operated(acts)].concat();
        let directory = directory(&events);
        [5, 6].map(|worker| directory.has_worker(&key(worker).public()))
    };
    assert_eq!(count(vec![]), [true, true]);
    assert_eq!(count(vec![OperatorAct::RevokeWorker { key: key(5).public() }]), [false, true]);
    assert_eq!(count(vec![OperatorAct::RevokeBuild { build: build() }]), [false, false]);
}

#[test]
fn grants_end_with_the_root_that_a_later_quorum_voids() {
    let create = CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.create").unwrap();
    let quorum = || Quorum { threshold: 1, keys: vec![key(1).public()] };
    for (voids_roots, is_authorised) in [(false, true), (true, false)] {
        let replaced = operated(vec![OperatorAct::ReplaceQuorum { quorum: quorum(), voids_roots }]);
        let events = [replaced, vec![root(101, "acme"), grant(102, "acme", 3, 2_000)]].concat();
        let directory = directory(&events);
        assert_eq!(directory.is_authorised(&key(3).public(), &create, NOW_MS), is_authorised);
        assert_eq!(directory.operators().epoch(), 1);
    }
}

#[test]
fn an_unreadable_event_of_authority_is_an_error_and_others_are_passed_over() {
    let directory = Directory::of_genesis(&genesis());
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
    let admission = Admission::new(limits(NonZeroU32::MIN));
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
    let admission = Admission::new(limits(NonZeroU32::MAX));
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
    let directory = Directory::of_genesis(&genesis());
    let (start, interval) = (Instant::now(), Duration::from_millis(20));
    let count = |now| (0..100).filter(|_| directory.begin_refresh(now, interval, 5)).count();
    assert_eq!(count(start), 5);
    assert_eq!(count(start + interval * 2), 2);
    assert_eq!(count(start + interval * 100), 5);
}

#[test]
fn what_was_followed_is_known_by_type_and_never_goes_back() {
    let directory = Directory::of_genesis(&genesis());
    directory.follow_to("authority", 7);
    directory.follow_to("authority", 5);
    directory.follow_to("wallet", 9);
    let followed = ["authority", "worker", "wallet"].map(|aggregate| directory.followed_to(aggregate));
    assert_eq!(followed, [7, 0, 0]);
}
