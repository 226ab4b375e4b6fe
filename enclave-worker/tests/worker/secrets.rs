//! Secrets from a client's encryption over the log to a reader, and what is refused on the way.

use nsl_enclave_protocol::{Request, Response};
use nsl_enclave_worker::Worker;
use nsl_schemas::authority::{Quorum, Signed};
use nsl_schemas::bytes::{Base64, HpkeKey, Sha256};
use nsl_schemas::canonical;
use nsl_schemas::command::secret::{Reveal, SetReaders, Store};
use nsl_schemas::job::{EnclaveJob, EnclaveTask, PresentSecret};
use nsl_schemas::outcome::{JobResult, SealedKey, post_state_sha256};
use nsl_schemas::secret::{
    EncryptedSecret, PoolKeyStatement, ReadersChange, RevealStatement, SECRET_TO_POOL, SECRET_TO_READER,
    SecretBinding, SecretPolicy, SecretReading, padded, unpadded,
};
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{AggregateId, Tenant};
use nsl_verify::attestation::{self, VerifyTime};
use nsl_verify::hpke;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;
use uuid::Uuid;
use zeroize::Zeroizing;

use nsl_test_site::{acme, key};

use crate::site::{NOW_MS, Site, ask, perform, refusal};

const SECRET: &[u8] = b"correct horse battery staple";
const STATE_INVALID: &str = "worker_state_invalid";
const POLICY_DENIED: &str = "worker_policy_denied";
const COMMAND_INVALID: &str = "worker_command_invalid";
/// The command that reads.
const READ: Uuid = Uuid::from_u128(9);

fn quorum(threshold: u8, seeds: &[u8]) -> Quorum {
    Quorum { threshold, keys: seeds.iter().map(|seed| key(*seed).public()).collect() }
}

/// The owner is key 9, readers are two of the keys 21, 22 and 23.
fn policy() -> SecretPolicy {
    SecretPolicy { owners: quorum(1, &[9]), readers: quorum(2, &[21, 22, 23]) }
}

fn id(text: &str) -> AggregateId {
    AggregateId::parse(text).unwrap()
}

fn reader_key() -> hpke::PrivateKey {
    hpke::PrivateKey::from_secret(Zeroizing::new([77; 32])).unwrap()
}

async fn pool_key(worker: &Worker) -> PoolKeyStatement {
    let Response::PoolKey { pool_key } = ask(worker, &Request::PoolKey { nonce: Base64(vec![5; 32]) }).await
    else {
        panic!("no pool key")
    };
    pool_key.statement
}

/// What a client encrypts for a secret of this name.
fn encrypted(
    site: &Site,
    pool_key: &PoolKeyStatement,
    of: (&Tenant, &AggregateId),
    version: u32,
    policy: &SecretPolicy,
) -> EncryptedSecret {
    let binding = SecretBinding {
        genesis_sha256: site.sha256(),
        policy_sha256: policy.sha256(),
        secret: of.1,
        tenant: of.0,
        version,
    };
    let (plaintext, ephemeral) = (padded(SECRET).unwrap(), Zeroizing::new([66; 32]));
    let message =
        hpke::seal(&pool_key.key.0, SECRET_TO_POOL, &binding.to_bytes(), &plaintext, ephemeral).unwrap();
    EncryptedSecret { message: Base64(message), sealing_key_id: pool_key.sealing_key.key_id.clone() }
}

fn subject(tenant: &str, secret: &str, verb: &str) -> CommandSubject {
    CommandSubject::parse(&format!("nsl.v1.cmd.{tenant}.secret.{secret}.{verb}")).unwrap()
}

fn store_job(site: &Site, subject: &CommandSubject, store: &Store) -> EnclaveJob {
    let task = EnclaveTask::SealSecret { present: None };
    site.job_of(Uuid::from_u128(7), NOW_MS, subject, canonical::to_string(store), task)
}

async fn stored(site: &Site, worker: &Worker) -> PresentSecret {
    let pool_key = pool_key(worker).await;
    let content = encrypted(site, &pool_key, (&acme(), &id("api-key")), 1, &policy());
    let store = Store { content, policy: policy(), version: 1 };
    let outcome = perform(worker, store_job(site, &subject("acme", "api-key", "store"), &store)).await;
    let JobResult::SecretSealed { sealed_secret } = &outcome.result else { panic!("{outcome:?}") };
    assert_eq!(outcome.statement.post_state_sha256, post_state_sha256(Some(sealed_secret)));
    PresentSecret { policy: policy(), sealed_secret: sealed_secret.clone() }
}

fn reading(site: &Site) -> SecretReading {
    SecretReading {
        expires_at_ms: NOW_MS + 60_000,
        genesis_sha256: site.sha256(),
        policy_sha256: policy().sha256(),
        recipient: HpkeKey(reader_key().public()),
        request_id: READ,
        secret: id("api-key"),
        tenant: acme(),
        version: 1,
    }
}

fn signed(reading: SecretReading, readers: &[u8]) -> Signed<SecretReading> {
    let keys: Vec<_> = readers.iter().map(|seed| key(*seed)).collect();
    Signed::sign(reading, &keys.iter().collect::<Vec<_>>())
}

fn reveal_job(site: &Site, reading: Signed<SecretReading>, present: PresentSecret) -> EnclaveJob {
    let payload = canonical::to_string(&Reveal { reading });
    let task = EnclaveTask::RevealSecret { present };
    site.job_of(READ, NOW_MS, &subject("acme", "api-key", "reveal"), payload, task)
}

fn change(site: &Site, policy: SecretPolicy) -> ReadersChange {
    ReadersChange {
        genesis_sha256: site.sha256(),
        policy,
        previous_sha256: self::policy().sha256(),
        secret: id("api-key"),
        tenant: acme(),
        version: 2,
    }
}

fn change_job(site: &Site, change: Signed<ReadersChange>, present: PresentSecret) -> EnclaveJob {
    let payload = canonical::to_string(&SetReaders { change });
    let task = EnclaveTask::SealSecret { present: Some(present) };
    site.job_of(Uuid::from_u128(8), NOW_MS, &subject("acme", "api-key", "set-readers"), payload, task)
}

#[tokio::test]
async fn the_pools_key_is_attested_and_every_workers_the_same() {
    let site = Site::new();
    let nonce = vec![5; 32];
    let mut keys = Vec::new();
    for worker in [site.worker().await, site.worker().await] {
        let request = Request::PoolKey { nonce: Base64(nonce.clone()) };
        let Response::PoolKey { pool_key } = ask(&worker, &request).await else { panic!("no pool key") };
        let demanded = site.expectation().answering(nonce.clone());
        let document =
            attestation::verify(&pool_key.document.0, &demanded, &site.trust, VerifyTime::At(NOW_MS));
        assert_eq!(document.unwrap().user_data, Some(pool_key.statement.user_data().0.to_vec()));
        assert_eq!(pool_key.statement.genesis_sha256, site.sha256());
        keys.push(pool_key.statement);
    }
    assert_eq!(keys[0], keys[1]);
    let empty = site.worker_with(nsl_enclave_worker::sealing::Keyring::default()).await;
    let Response::Error { code, .. } = ask(&empty, &Request::PoolKey { nonce: Base64(nonce) }).await else {
        panic!("answered without a sealing key")
    };
    assert_eq!(code, "sealing_key_missing");
}

#[tokio::test]
async fn a_stored_secret_is_opened_by_its_reader_and_by_nobody_on_the_way() {
    let site = Site::new();
    let (first, second) = (site.worker().await, site.worker().await);
    let present = stored(&site, &first).await;
    assert_eq!(present.sealed_secret.ciphertext.0.len(), 64 + 16, "padded, and its tag");
    let outcome =
        perform(&second, reveal_job(&site, signed(reading(&site), &[21, 23]), present.clone())).await;
    let JobResult::SecretRevealed { document, message } = &outcome.result else { panic!("{outcome:?}") };
    assert_eq!(outcome.statement.post_state_sha256, post_state_sha256(Some(&present.sealed_secret)));
    let reading_sha256 = reading(&site).sha256();
    let opened = reader_key().open(SECRET_TO_READER, &reading_sha256.0, &message.0).unwrap();
    assert_eq!(unpadded(&opened), Some(SECRET));
    let statement = RevealStatement { message_sha256: Sha256::of(&message.0), reading_sha256 };
    let proof = attestation::verify(&document.0, &site.expectation(), &site.trust, VerifyTime::Document);
    assert_eq!(proof.unwrap().user_data, Some(statement.user_data().0.to_vec()));
    for bytes in [&present.sealed_secret.ciphertext.0, &message.0, &outcome_bytes(&outcome.result)] {
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET));
    }
}

fn outcome_bytes(result: &JobResult) -> Vec<u8> {
    canonical::to_string(result).into_bytes()
}

#[tokio::test]
async fn a_ciphertext_is_good_for_one_log_name_version_and_policy() {
    let site = Site::new();
    let worker = site.worker().await;
    let pool_key = pool_key(&worker).await;
    let content = encrypted(&site, &pool_key, (&acme(), &id("api-key")), 1, &policy());
    let right = Store { content, policy: policy(), version: 1 };
    // The reader that a host would like to have.
    let readable = SecretPolicy { readers: quorum(1, &[66]), ..policy() };
    let mut altered = right.clone();
    altered.content.message.0[40] ^= 1;
    let mut short = right.clone();
    short.content.message.0.truncate(47);
    let cases = [
        ("other", "api-key", right.clone()),
        ("acme", "other", right.clone()),
        ("acme", "api-key", Store { version: 2, ..right.clone() }),
        ("acme", "api-key", Store { policy: readable, ..right.clone() }),
        ("acme", "api-key", altered),
        ("acme", "api-key", short),
    ];
    for (tenant, secret, store) in cases {
        let job = store_job(&site, &subject(tenant, secret, "store"), &store);
        let outcome = perform(&worker, job).await;
        assert_eq!(refusal(&outcome), COMMAND_INVALID, "{tenant} {secret} {store:?}");
        assert_eq!(outcome.statement.post_state_sha256, post_state_sha256(None));
    }
    let mut ownerless = right;
    ownerless.policy.owners.keys.clear();
    let job = store_job(&site, &subject("acme", "api-key", "store"), &ownerless);
    assert_eq!(refusal(&perform(&worker, job).await), POLICY_DENIED);
}

#[tokio::test]
async fn only_readers_of_the_bound_policy_are_answered() {
    type Alter = fn(&mut SecretReading);
    let site = Site::new();
    let worker = site.worker().await;
    let present = stored(&site, &worker).await;
    let cases: [(Alter, &[u8]); 12] = [
        (|_| {}, &[21]),
        (|_| {}, &[21, 21]),
        (|_| {}, &[21, 24]),
        (|_| {}, &[9]),
        (|_| {}, &[]),
        (|reading| reading.secret = id("other"), &[21, 22]),
        (|reading| reading.tenant = Tenant::system(), &[21, 22]),
        (|reading| reading.genesis_sha256 = Sha256([0; 32]), &[21, 22]),
        (|reading| reading.request_id = Uuid::from_u128(10), &[21, 22]),
        (|reading| reading.version = 2, &[21, 22]),
        (|reading| reading.policy_sha256 = Sha256([0; 32]), &[21, 22]),
        (|reading| reading.expires_at_ms = NOW_MS, &[21, 22]),
    ];
    for (index, (alter, readers)) in cases.into_iter().enumerate() {
        let mut altered = reading(&site);
        alter(&mut altered);
        let outcome = perform(&worker, reveal_job(&site, signed(altered, readers), present.clone())).await;
        assert_eq!(refusal(&outcome), POLICY_DENIED, "{index}");
        assert_eq!(outcome.statement.post_state_sha256, post_state_sha256(Some(&present.sealed_secret)));
    }
    // Signed for one key, delivered with another.
    let mut redirected = signed(reading(&site), &[21, 22]);
    redirected.statement.recipient = HpkeKey([1; 32]);
    assert_eq!(refusal(&perform(&worker, reveal_job(&site, redirected, present)).await), POLICY_DENIED);
}

#[tokio::test]
async fn what_is_sealed_opens_under_its_own_policy_name_and_version() {
    let site = Site::new();
    let worker = site.worker().await;
    let present = stored(&site, &worker).await;
    let sealed = &present.sealed_secret;
    let mut altered = sealed.clone();
    altered.ciphertext.0[3] ^= 1;
    let readable = SecretPolicy { readers: quorum(1, &[66]), ..policy() };
    let states = [
        PresentSecret { sealed_secret: SealedKey { version: 2, ..sealed.clone() }, ..present.clone() },
        PresentSecret { sealed_secret: altered, ..present.clone() },
        PresentSecret { policy: readable, ..present.clone() },
    ];
    for state in states {
        let outcome = perform(&worker, reveal_job(&site, signed(reading(&site), &[21, 22]), state)).await;
        assert_eq!(refusal(&outcome), STATE_INVALID);
    }
    let reading = SecretReading { secret: id("other"), ..reading(&site) };
    let payload = canonical::to_string(&Reveal { reading: signed(reading, &[21, 22]) });
    let task = EnclaveTask::RevealSecret { present };
    let job = site.job_of(READ, NOW_MS, &subject("acme", "other", "reveal"), payload, task);
    assert_eq!(refusal(&perform(&worker, job).await), STATE_INVALID);
}

#[tokio::test]
async fn owners_give_a_secret_to_other_readers_and_the_earlier_ones_are_refused() {
    let site = Site::new();
    let worker = site.worker().await;
    let present = stored(&site, &worker).await;
    let next = SecretPolicy { readers: quorum(1, &[24]), ..policy() };
    let owned = |change: ReadersChange| Signed::sign(change, &[&key(9)]);
    let right = change(&site, next.clone());
    let mut forged = owned(right.clone());
    forged.statement.policy.readers = quorum(1, &[66]);
    let cases = [
        Signed::sign(right.clone(), &[&key(21), &key(22)]),
        forged,
        owned(ReadersChange { secret: id("other"), ..right.clone() }),
        owned(ReadersChange { tenant: Tenant::system(), ..right.clone() }),
        owned(ReadersChange { genesis_sha256: Sha256([0; 32]), ..right.clone() }),
        owned(ReadersChange { previous_sha256: next.sha256(), ..right.clone() }),
        owned(ReadersChange { version: 3, ..right.clone() }),
        owned(ReadersChange {
            policy: SecretPolicy { readers: quorum(2, &[24]), ..policy() },
            ..right.clone()
        }),
    ];
    for change in cases {
        let outcome = perform(&worker, change_job(&site, change.clone(), present.clone())).await;
        assert_eq!(refusal(&outcome), POLICY_DENIED, "{change:?}");
    }
    let outcome = perform(&worker, change_job(&site, owned(right), present.clone())).await;
    let JobResult::SecretSealed { sealed_secret } = outcome.result else { panic!("{outcome:?}") };
    assert_eq!(sealed_secret.version, 2);
    let changed = PresentSecret { policy: next.clone(), sealed_secret };
    let reading = SecretReading { policy_sha256: next.sha256(), version: 2, ..reading(&site) };
    for (readers, is_answered) in [(&[24_u8][..], true), (&[21, 22], false)] {
        let outcome =
            perform(&worker, reveal_job(&site, signed(reading.clone(), readers), changed.clone())).await;
        assert_eq!(matches!(outcome.result, JobResult::SecretRevealed { .. }), is_answered, "{outcome:?}");
    }
    // The new reader is no reader of the version before.
    let earlier = perform(&worker, reveal_job(&site, signed(reading, &[24]), present)).await;
    assert_eq!(refusal(&earlier), POLICY_DENIED);
}

#[tokio::test]
async fn a_task_is_done_for_its_own_command_alone() {
    let site = Site::new();
    let worker = site.worker().await;
    let present = stored(&site, &worker).await;
    let mut reveal_as_change = reveal_job(&site, signed(reading(&site), &[21, 22]), present.clone());
    reveal_as_change.task = EnclaveTask::SealSecret { present: Some(present.clone()) };
    let mut change_as_store =
        change_job(&site, Signed::sign(change(&site, policy()), &[&key(9)]), present.clone());
    change_as_store.task = EnclaveTask::SealSecret { present: None };
    let mut change_as_reveal = change_as_store.clone();
    change_as_reveal.task = EnclaveTask::RevealSecret { present };
    for job in [reveal_as_change, change_as_store, change_as_reveal] {
        assert_eq!(refusal(&perform(&worker, job).await), COMMAND_INVALID);
    }
}

#[tokio::test]
async fn another_sealing_key_is_left_to_a_worker_that_has_it() {
    let (site, other) = (Site::new(), Site::new());
    let present = stored(&other, &other.worker().await).await;
    let job = reveal_job(&site, signed(reading(&site), &[21, 22]), present);
    let Response::Error { code, .. } =
        ask(&site.worker().await, &Request::Perform { certificate: None, job: Box::new(job) }).await
    else {
        panic!("answered")
    };
    assert_eq!(code, "sealing_key_missing");
}

/// The answer of a worker that must seal the secret to nobody but the reader's key.
fn assert_reveals_to_nobody_else(
    runtime: &Runtime,
    worker: &Worker,
    reading: &SecretReading,
    request: &[u8],
) {
    let answer = runtime.block_on(worker.answer(request));
    assert!(!answer.windows(SECRET.len()).any(|window| window == SECRET));
    let Response::Outcome { outcome } = Response::from_bytes(&answer).unwrap() else { return };
    let JobResult::SecretRevealed { message, .. } = outcome.result else { return };
    let opened = reader_key().open(SECRET_TO_READER, &reading.sha256().0, &message.0).unwrap();
    assert_eq!(unpadded(&opened), Some(SECRET));
}

#[test]
fn a_mutated_reading_never_panics_and_reveals_to_nobody_else() {
    let runtime = Runtime::new().unwrap();
    let site = Site::new();
    let (worker, present) = runtime.block_on(async {
        let worker = site.worker().await;
        let present = stored(&site, &worker).await;
        (worker, present)
    });
    let reading = reading(&site);
    let job = reveal_job(&site, signed(reading.clone(), &[21, 22]), present);
    let sound = Request::Perform { certificate: None, job: Box::new(job) }.to_bytes();
    assert_reveals_to_nobody_else(&runtime, &worker, &reading, &sound);
    let digits_and_more = prop_oneof![any::<u8>(), b'0'..=b'9', Just(b'"'), Just(b','), Just(b'}')];
    let edits = prop::collection::vec((0..sound.len(), digits_and_more, 0_u8..3), 1..4);
    let mut runner = TestRunner::new(Config { cases: 400, ..Config::default() });
    runner
        .run(&edits, |edits| {
            let mut mutated = sound.clone();
            for (index, byte, operation) in edits {
                let index = index % mutated.len();
                match operation {
                    0 => mutated[index] = byte,
                    1 => mutated.insert(index, byte),
                    _ => drop(mutated.remove(index)),
                }
            }
            assert_reveals_to_nobody_else(&runtime, &worker, &reading, &mutated);
            Ok(())
        })
        .unwrap();
}
