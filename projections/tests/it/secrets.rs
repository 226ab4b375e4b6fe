//! Given a secret's events, then its row.

use nsl_projections::read_model::SECRETS;
use nsl_projections::secrets;
use nsl_schemas::authority::Signed;
use nsl_schemas::bytes::{Base64, HpkeKey, Sha256};
use nsl_schemas::event::secret::{
    Destroyed, EndCause, ReadersChangeRequested, RequestEnded, RequestRefused, RevealRequested, Revealed,
    Sealed, SecretEvent, StoreRequested,
};
use nsl_schemas::number::UnixMs;
use nsl_schemas::outcome::SealedKey;
use nsl_schemas::secret::{SecretDestruction, SecretPolicy, SecretReading};
use nsl_schemas::token::{AggregateId, Tenant};

use crate::events::{policy, proof, refusal, request, sealed_key};
use crate::world::with_world;

fn acme() -> Tenant {
    Tenant::parse("acme").unwrap()
}

fn secret_policy(threshold: u8) -> SecretPolicy {
    let mut readers = policy(1).owners;
    readers.threshold = threshold;
    SecretPolicy { owners: policy(1).owners, readers }
}

fn store_requested(number: u128, version: u32) -> SecretEvent {
    let (request_id, request_sha256) = (request(number), Sha256::of(b"request"));
    let (answer_by_ms, policy) = (UnixMs(1), secret_policy(1));
    StoreRequested { answer_by_ms, policy, request_id, request_sha256, version }.into()
}

fn change_requested(number: u128) -> SecretEvent {
    let (request_id, request_sha256) = (request(number), Sha256::of(b"request"));
    let (answer_by_ms, policy) = (UnixMs(1), secret_policy(2));
    ReadersChangeRequested { answer_by_ms, policy, request_id, request_sha256, version: 2 }.into()
}

fn sealed(number: u128, version: u32, threshold: u8) -> SecretEvent {
    let sealed_secret = SealedKey { version, ..sealed_key() };
    let policy = secret_policy(threshold);
    Sealed { outcome: proof(), policy, request_id: request(number), sealed_secret }.into()
}

fn refused(number: u128) -> SecretEvent {
    RequestRefused { refusal: refusal(), request_id: request(number) }.into()
}

fn ended(number: u128) -> SecretEvent {
    RequestEnded { cause: EndCause::Expired, request_id: request(number) }.into()
}

fn reveal_requested(number: u128) -> SecretEvent {
    let statement = SecretReading {
        expires_at_ms: 1,
        genesis_sha256: Sha256::of(b"genesis"),
        policy_sha256: secret_policy(1).sha256(),
        recipient: HpkeKey([1; 32]),
        request_id: request(number),
        secret: AggregateId::parse("s").unwrap(),
        tenant: acme(),
        version: 1,
    };
    let reading = Signed { statement, signatures: vec![] };
    let (request_id, request_sha256) = (request(number), Sha256::of(b"request"));
    RevealRequested { answer_by_ms: UnixMs(1), reading, request_id, request_sha256 }.into()
}

fn revealed(number: u128) -> SecretEvent {
    let (document, message) = (Base64(vec![1]), Base64(vec![2]));
    Revealed { document, message, outcome: proof(), request_id: request(number) }.into()
}

fn destroyed(number: u128) -> SecretEvent {
    let genesis_sha256 = Sha256::of(b"genesis");
    let statement =
        SecretDestruction { genesis_sha256, secret: AggregateId::parse("s").unwrap(), tenant: acme() };
    let destruction = Signed { statement, signatures: vec![] };
    Destroyed { destruction, request_id: request(number) }.into()
}

#[tokio::test]
async fn a_secret_shows_who_may_read_it_and_how_often_that_was_done() {
    let stored = [store_requested(1, 1), sealed(1, 1, 1)];
    let with = |more: &[SecretEvent]| [&stored[..], more].concat();
    // events of one secret; status, version, threshold of its readers, readings
    let table: [(Vec<SecretEvent>, &str, u32, u8, u64); 9] = [
        (vec![store_requested(1, 1)], "storing", 0, 1, 0),
        (vec![store_requested(1, 1), refused(1)], "refused", 0, 1, 0),
        (vec![store_requested(1, 1), ended(1)], "refused", 0, 1, 0),
        (vec![store_requested(1, 1), refused(1), store_requested(2, 1)], "storing", 0, 1, 0),
        (with(&[]), "stored", 1, 1, 0),
        (with(&[store_requested(2, 2), refused(2)]), "stored", 1, 1, 0),
        (with(&[change_requested(2), sealed(2, 2, 2)]), "stored", 2, 2, 0),
        (with(&[reveal_requested(2), revealed(2), reveal_requested(3), ended(3)]), "stored", 1, 1, 1),
        (with(&[reveal_requested(2), revealed(2), destroyed(3)]), "destroyed", 1, 1, 1),
    ];
    with_world(async |world| {
        let mut position = 0;
        for (case, (events, ..)) in table.iter().enumerate() {
            for event in events {
                position = world.append("secret", &format!("acme.s{case}"), event).await;
            }
        }
        world.project(&SECRETS, position).await;
        for (case, (_, status, version, threshold, readings)) in table.iter().enumerate() {
            let secret = secrets::find(&world.pool, &acme(), &format!("s{case}")).await.unwrap().unwrap();
            assert_eq!(secret.status, *status, "case {case}");
            assert_eq!((secret.version, secret.readings), (*version, *readings), "case {case}");
            assert_eq!(secret.policy, secret_policy(*threshold), "case {case}");
            assert_eq!(secret.last_reading_id, (*readings > 0).then_some(request(2)), "case {case}");
        }
        let page = secrets::list(&world.pool, &acme(), Some("s6"), 1).await.unwrap();
        assert_eq!((page.data[0].id.as_str(), page.next.as_deref()), ("s7", Some("s7")));
        assert_eq!(secrets::find(&world.pool, &Tenant::system(), "s0").await.unwrap(), None);
    })
    .await;
}
