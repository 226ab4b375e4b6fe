use std::sync::Arc;

use nsl_domain::decision::Genesis;
use nsl_schemas::authority::{GenesisManifest, Quorum, SealingProvider};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::subject::CommandSubject;
use nsl_verify::attestation::TrustRoot;
use uuid::Uuid;

use super::*;

const FENCE: Fence = Fence { partition: 3, epoch: 9 };
const REGISTER: &str = r#"{"rules":{"age_max_ms":10000,"deviation_floor_bps":100,"price_max_e8":"1000000","price_min_e8":"1","sources_min":1}}"#;

fn genesis() -> Arc<Genesis> {
    let manifest = GenesisManifest {
        log_origin: "test".into(),
        quorum: Quorum { threshold: 1, keys: vec![] },
        attestation_root_sha256: Sha256([0; 32]),
        builds: vec![],
        sealing_provider: SealingProvider::Development,
        created_at_ms: 0,
    };
    Arc::new(Genesis { sha256: manifest.sha256(), manifest, trust_root: TrustRoot::aws_nitro() })
}

/// A command with its typed payload; its message is no matter here.
type Admitted = (Taken<()>, Command);

fn admitted(id: u128, verb: &str, payload: String) -> Admitted {
    let subject = CommandSubject::parse(&format!("nsl.v1.cmd.system.price-feed.NEO-USD.{verb}")).unwrap();
    let key = SigningKey::from_seed(&[1; 32]);
    let signed = SignedCommand::sign(&key, &subject, Uuid::from_u128(id), 5_000, 60_000, payload);
    let command = Command::parse(&subject, signed.payload.as_bytes()).unwrap();
    let request_sha256 = signed.envelope.request_sha256();
    let incoming = Incoming { subject, signed, request_sha256, traceparent: Some("00-ab-cd-01".into()) };
    (Taken { incoming, fence: FENCE, message: (), sequence: 1 }, command)
}

fn round(id: u128, round: u64) -> Admitted {
    let observation = format!(r#"{{"observed_at_ms":4000,"price_e8":"{}","venue":"a"}}"#, 100 + round);
    let as_of_ms = 4_000 + round;
    let payload = format!(r#"{{"as_of_ms":{as_of_ms},"observations":[{observation}],"round":{round}}}"#);
    admitted(id, "record-round", payload)
}

async fn decide_all(commands: impl IntoIterator<Item = Admitted>) -> Batch<()> {
    let genesis = genesis();
    let directory = Directory::of_genesis(&genesis.manifest);
    let known = Known { genesis: &genesis, directory: &directory, signing_ms: 1, now_ms: 5_000 };
    let mut batch = Batch::new();
    for (taken, command) in commands {
        let absent = || Leased { state: Versioned::absent("price-feed"), fence: FENCE };
        batch.states.entry(stream_key(&taken.incoming, &command)).or_insert_with(absent);
        batch.decide(taken, command, &known).await;
    }
    batch
}

#[tokio::test]
async fn commands_of_one_aggregate_rest_on_those_before_them() {
    let commands = [admitted(1, "register", REGISTER.to_owned()), round(2, 1), round(3, 2)];
    let decided = decide_all(commands).await;
    let versions: Vec<_> = decided.appends.iter().map(|one| one.expected_version).collect();
    assert_eq!(versions, [0, 1, 2]);
    assert!(matches!(decided.answers[2], Answer::Accepted { version: 3 }));
    assert!(decided.appends.iter().all(|one| one.aggregate_id == "system.NEO-USD"));
    assert!(decided.appends.iter().all(|one| one.fence == FENCE));
}

#[tokio::test]
async fn a_rejection_moves_no_version_and_has_a_stream_of_its_own() {
    let commands = [admitted(1, "register", REGISTER.to_owned()), round(2, 7), round(3, 1)];
    let decided = decide_all(commands).await;
    assert!(matches!(&decided.answers[1], Answer::Rejected { code, .. } if code == "round_out_of_order"));
    let rejection = &decided.appends[1];
    assert_eq!(rejection.aggregate_type, "rejection");
    assert_eq!(rejection.aggregate_id, format!("system.{}", Uuid::from_u128(2)));
    assert_eq!(rejection.expected_version, 0);
    assert_eq!(decided.appends[2].expected_version, 1);
}

#[tokio::test]
async fn ids_and_bytes_follow_from_the_command() {
    let command = admitted(1, "register", REGISTER.to_owned());
    let request_sha256 = command.0.incoming.request_sha256;
    let decided = decide_all([command]).await;
    let append = &decided.appends[0];
    assert_eq!(append.payload, REGISTER);
    assert_eq!(append.request_hash, request_sha256.0);
    let event = &append.events[0];
    assert_eq!(event.event_id, ids::event_id(Uuid::from_u128(1), 0));
    assert_eq!(event.event_type, "feed-registered");
    let metadata: Metadata = serde_json::from_str(&event.metadata).unwrap();
    assert_eq!(metadata.traceparent.as_deref(), Some("00-ab-cd-01"));
    assert_eq!(canonical::to_string(&metadata), event.metadata);
    // What stock cqrs-es can read.
    assert!(serde_json::from_str::<std::collections::HashMap<String, String>>(&event.metadata).is_ok());
    assert!(event.payload.starts_with("{\"event\":\"feed-registered\""));
}
