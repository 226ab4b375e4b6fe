//! The golden corpus applied: aggregates evolve from events of the oldest and of the newest version as from those that
//! this build decides.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use cqrs_es::Aggregate;
use nsl_domain::authority::Authority;
use nsl_domain::decision::Recorded;
use nsl_domain::price_feed::PriceFeed;
use nsl_domain::sealing::Sealing;
use nsl_domain::secret::Secret;
use nsl_domain::wallet::Wallet;
use nsl_domain::worker::Worker;
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::event::{Stored, WireEvent, types};
use serde_json::Value;

const EXTENTS: [&str; 3] = ["minimal", "full", "extreme"];

/// Every event of a wallet, in an order in which they may happen.
const WALLET: [&str; 27] = [
    "creation-requested",
    "creation-refused",
    "creation-requested",
    "key-created",
    "policy-change-requested",
    "policy-change-refused",
    "policy-change-requested",
    "policy-change-cancelled",
    "policy-change-requested",
    "key-reseal-requested",
    "key-reseal-refused",
    "key-reseal-requested",
    "key-resealed",
    "policy-changed",
    "transfer-requested",
    "transfer-approved",
    "transfer-cancelled",
    "transfer-requested",
    "transfer-refused",
    "transfer-requested",
    "transfer-request-expired",
    "transfer-requested",
    "transfer-reserved",
    "transfer-signed",
    "transfer-confirmed",
    "transfer-requested",
    "transfer-expired",
];
const AUTHORITY: [&str; 9] = [
    "genesis-recorded",
    "root-registered",
    "issuer-granted",
    "issuer-revoked",
    "build-allowed",
    "build-revoked",
    "worker-revoked",
    "quorum-replaced",
    "pool-established",
];
const PRICE_FEED: [&str; 2] = ["feed-registered", "round-recorded"];
const SEALING: [&str; 1] = ["sealing-key-founded"];
/// Every event of a secret, in an order in which they may happen.
const SECRET: [&str; 13] = [
    "store-requested",
    "request-ended",
    "store-requested",
    "sealed",
    "readers-change-requested",
    "request-refused",
    "readers-change-requested",
    "sealed",
    "reveal-requested",
    "revealed",
    "reveal-requested",
    "request-ended",
    "destroyed",
];
const WORKER: [&str; 1] = ["worker-registered"];

/// Which version of each event a life is told in.
#[derive(Debug, Clone, Copy)]
enum Age {
    Oldest,
    Newest,
}

fn versions(aggregate: &str, event: &str) -> Vec<&'static str> {
    types().find(|one| one.aggregate == aggregate && one.name == event).unwrap().versions().collect()
}

/// The events of a life as the log would give them.
fn told<E: WireEvent>(aggregate: &str, life: &[&str], extent: &str, age: Age) -> Vec<E> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bus-schemas/contract/golden/events");
    let read = |event: &&str| {
        let versions = versions(aggregate, event);
        let version = match age {
            Age::Oldest => versions.first(),
            Age::Newest => versions.last(),
        };
        let version = version.unwrap();
        let path = corpus.join(aggregate).join(event).join(version).join(format!("{extent}.json"));
        let payload =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let stored = Stored {
            aggregate_type: aggregate,
            event_type: event,
            event_version: version,
            payload: &payload,
        };
        stored.decode().unwrap()
    };
    life.iter().map(read).collect()
}

fn lived<A, E>(life: &[&str], extent: &str, age: Age) -> A
where
    A: Aggregate<Event = Recorded<E>>,
    E: WireEvent,
{
    let mut aggregate = A::default();
    for event in told(A::TYPE, life, extent, age) {
        aggregate.apply(Recorded(event));
    }
    aggregate
}

/// The state as a snapshot would hold it, after seeing that it can be read back.
fn state<A: Aggregate + PartialEq + std::fmt::Debug>(aggregate: &A) -> Value {
    let state = serde_json::to_value(aggregate).unwrap();
    assert_eq!(&serde_json::from_value::<A>(state.clone()).unwrap(), aggregate);
    state
}

#[test]
fn the_lives_tell_every_event() {
    for (aggregate, life) in [
        ("authority", &AUTHORITY[..]),
        ("price-feed", &PRICE_FEED),
        ("sealing", &SEALING),
        ("secret", &SECRET),
        ("wallet", &WALLET),
        ("worker", &WORKER),
    ] {
        let untold = types().filter(|one| one.aggregate == aggregate && !life.contains(&one.name));
        assert_eq!(untold.map(|one| one.name).collect::<Vec<_>>(), [""; 0], "{aggregate}");
    }
}

/// Roots have had one since 1.1.0 only.
fn without_epoch(mut authority: Value) -> Value {
    authority["root"]["statement"].as_object_mut().unwrap().remove("epoch");
    authority
}

#[test]
fn aggregates_evolve_from_old_and_new_versions_to_the_same() {
    for extent in EXTENTS {
        let [oldest, mut newest] = [Age::Oldest, Age::Newest].map(|age| {
            [
                without_epoch(state(&lived::<Authority, _>(&AUTHORITY, extent, age))),
                state(&lived::<PriceFeed, _>(&PRICE_FEED, extent, age)),
                state(&lived::<Sealing, _>(&SEALING, extent, age)),
                state(&lived::<Secret, _>(&SECRET[..12], extent, age)),
                state(&lived::<Wallet, _>(&WALLET, extent, age)),
                state(&lived::<Worker, _>(&WORKER, extent, age)),
            ]
        });
        // What a policy of the oldest version cannot say.
        let policy = newest[4]["phase"]["Open"]["policy"].as_object_mut().unwrap();
        assert_eq!(policy.remove("rules").is_some(), extent != "minimal", "{extent}");
        assert_eq!(oldest, newest, "{extent}");
    }
}

#[test]
fn a_wallet_ends_open_under_its_last_policy_and_without_transfers() {
    for extent in EXTENTS {
        let wallet: Wallet = lived(&WALLET, extent, Age::Newest);
        let events: Vec<WalletEvent> = told("wallet", &["policy-changed"], extent, Age::Newest);
        let [WalletEvent::PolicyChanged(changed)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(wallet.signing_state(), Some((&changed.sealed_key, &changed.policy)), "{extent}");
        let open = &state(&wallet)["phase"]["Open"];
        assert_eq!(open["transfers"], serde_json::json!({}), "{extent}");
        assert_eq!(open["policy_change"], Value::Null, "{extent}");
    }
}

#[test]
fn other_aggregates_hold_what_their_last_events_say() {
    for extent in EXTENTS {
        let authority = state(&lived::<Authority, _>(&AUTHORITY, extent, Age::Newest));
        assert!(authority["root"]["statement"]["key"].is_string(), "{extent}");
        assert_eq!(authority["grants"].as_object().unwrap().len(), 1, "{extent}");
        assert_eq!(authority["operators"]["quorums"].as_array().unwrap().len(), 2, "{extent}");
        assert!(
            state(&lived::<PriceFeed, _>(&PRICE_FEED, extent, Age::Newest))["rules"].is_object(),
            "{extent}"
        );
        assert!(state(&lived::<Sealing, _>(&SEALING, extent, Age::Newest))["epoch"].is_u64(), "{extent}");
        let secret: Secret = lived(&SECRET[..12], extent, Age::Newest);
        assert!(secret.present().is_some(), "{extent}");
        let live = &state(&secret)["phase"]["Live"];
        assert_eq!((&live["sealing"], &live["readings"]), (&Value::Null, &serde_json::json!({})), "{extent}");
        assert_eq!(
            state(&lived::<Secret, _>(&SECRET, extent, Age::Newest))["phase"],
            "Destroyed",
            "{extent}"
        );
        assert!(state(&lived::<Worker, _>(&WORKER, extent, Age::Newest))["key"].is_string(), "{extent}");
    }
}
