//! Bad input, published raw as anybody with a connection can: each piece gets a named refusal and changes nothing.

pub(crate) mod message;
mod rows;
mod unreadable;

use async_nats::Subscriber;
use async_nats::jetstream::{self, context::PublishErrorKind};
use futures::StreamExt as _;
use nsl_client::authority::{self, GrantTerms};
use nsl_client::{Client, SendError};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::result::Refusal;
use nsl_schemas::subject;
use nsl_schemas::token::{AggregateId, Tenant};
use uuid::Uuid;

use crate::patience::{PATIENCE, until};
use crate::system::{System, TENANT};
use crate::{log, wallets};
use message::{Draft, Message};
use rows::{Keys, Row};

/// Ten times what any server of ours takes.
const HUGE_BYTES: usize = 10 * 1024 * 1024;
/// 2100-01-01.
const FAR_FUTURE_MS: u64 = 4_102_444_800_000;

/// The connections of the test.
struct Bench {
    client: Client,
    jetstream: jetstream::Context,
    refusals: Subscriber,
    tenant: Tenant,
    wallet: AggregateId,
    payload: String,
}

impl Bench {
    async fn new(system: &System) -> Self {
        let client = system.client().await;
        let bus = system.bus().await;
        let refusals = bus.subscribe("nsl.v1.ref.>").await.unwrap();
        let policy = serde_json::json!({ "policy": {
            "owners": { "threshold": 1, "keys": [client.issuer().unwrap().public()] },
            "network_magic": nsl_local_services::NETWORK_MAGIC, "assets": [{ "asset": nsl_neo::native::GAS.to_string(), "amount_max": "1" }], "fee_max_datoshi": "1",
        }});
        Self {
            client,
            jetstream: jetstream::new(bus),
            refusals,
            tenant: Tenant::parse(TENANT).unwrap(),
            wallet: wallets::fresh_id(),
            payload: policy.to_string(),
        }
    }

    fn good(&self) -> Draft {
        let subject = self.client.subject("wallet", &self.wallet, "create").unwrap();
        Draft::new(subject.to_string(), self.payload.clone())
    }

    /// A second key with rights over everything of the tenant, so that authorisation lets what follows it be seen.
    async fn grant_everything(&self, system: &System) -> SigningKey {
        let key = SigningKey::from_seed(&[77; 32]);
        let terms = GrantTerms {
            key: key.public(),
            label: "bad input".into(),
            scopes: vec![authority::parse_scope("*/*/*").unwrap()],
            not_before_ms: 0,
            expires_at_ms: FAR_FUTURE_MS,
        };
        let grant =
            authority::grant(&system.genesis(), &self.tenant, terms, &system.key("demo-root")).unwrap();
        let to = self.client.subject("authority", &AggregateId::parse("root").unwrap(), "grant").unwrap();
        self.client.send(&self.client.prepare(&to, &grant).unwrap()).await.unwrap();
        key
    }

    /// Publishes a message that the stream takes, and returns the refusal of it.
    async fn refusal_of(&mut self, message: &Message) -> Refusal {
        let Message { subject, command_id: _, headers, payload } = message.clone();
        let publish = self.jetstream.publish_with_headers(subject, headers, payload.into()).await.unwrap();
        let sequence = publish.await.unwrap().sequence;
        let by_sequence = format!(".{sequence}");
        let by_id = format!(".{}", message.command_id);
        let search = async {
            loop {
                let heard = self.refusals.next().await.unwrap();
                if heard.subject.ends_with(&by_sequence) || heard.subject.ends_with(&by_id) {
                    return serde_json::from_slice(&heard.payload).unwrap();
                }
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect("every message is answered")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_message_gets_its_code_and_changes_nothing() {
    let Some(system) = System::start().await else { return };
    let mut bench = Bench::new(&system).await;
    let keys = Keys {
        issuer: bench.grant_everything(&system).await,
        wallets_only: system.key("developer"),
        stranger: SigningKey::from_seed(&[78; 32]),
    };
    let database = system.database();
    let before = log::events_of_tenants(&database).await;
    let rows = rows::all(&keys, &|| bench.good());
    let mut wrong = Vec::new();
    for Row { name, message, code } in &rows {
        let refusal = bench.refusal_of(message).await;
        if refusal.code != *code {
            wrong.push(format!("{name}: {} ({}), expected {code}", refusal.code, refusal.message));
        }
        if log::traces(&database, message.command_id).await != [0, 0, 0] {
            wrong.push(format!("{name}: recorded"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert_eq!(log::events_of_tenants(&database).await, before, "a refused message is no event");
    assert_eq!(log::faults(&database).await, [""; 0]);
    println!("{} bad messages refused", rows.len());

    not_taken(&bench, &keys).await;
    log::await_empty_queue(&bench.jetstream).await;
    // The very command that all rows were made from, through the very same partition.
    let good = bench.good().sign(&keys.issuer);
    let result = bench.result_of(&good).await;
    assert_eq!(result["status"], "accepted", "{result}");
    assert_eq!(log::traces(&database, good.command_id).await, [1, 1, 1]);
}

/// What no stream takes: its publisher hears so at once.
async fn not_taken(bench: &Bench, keys: &Keys) {
    for subject in ["nsl.v1.cmd.demo.wallet.create", "nsl.v1.cmd.demo.wallet.x.y.create", "nsl.v1.cmd"] {
        let Message { subject, headers, payload, .. } =
            Draft { subject: subject.to_owned(), ..bench.good() }.sign(&keys.issuer);
        let publish =
            bench.jetstream.publish_with_headers(subject.clone(), headers, payload.into()).await.unwrap();
        let error = publish.await.expect_err(&subject);
        assert_eq!(error.kind(), PublishErrorKind::StreamNotFound, "{subject}: {error}");
    }
    let huge = Draft { payload: vec![b' '; HUGE_BYTES], ..bench.good() }.sign(&keys.issuer);
    let refused = bench.jetstream.publish_with_headers(huge.subject, huge.headers, huge.payload.into()).await;
    assert!(refused.is_err(), "10 MB are more than the server takes");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_command_under_a_used_id_is_refused_and_the_first_keeps_its_answer() {
    let Some(system) = System::start().await else { return };
    let mut bench = Bench::new(&system).await;
    let key = system.key("developer");
    let first = bench.good();
    let result = bench.result_of(&first.clone().sign(&key)).await;
    let database = system.database();
    until("the wallet is open", async || {
        let created =
            log::count(&database, "SELECT count(*) FROM events WHERE event_type = 'key-created'").await;
        (created == 1).then_some(())
    })
    .await;
    let before = log::events_of_tenants(&database).await;
    let other_payload =
        Draft { payload: bench.payload.replace("\"1\"", "\"2\"").into_bytes(), ..first.clone() };
    let other_times = Draft { expires_at_ms: first.expires_at_ms + 1, ..first.clone() };
    let other_verb = Draft { subject: first.subject.replace(".create", ".set-policy"), ..first.clone() };
    let stranger = SigningKey::from_seed(&[79; 32]);
    for (name, message) in [
        ("payload", other_payload.sign(&key)),
        ("times", other_times.sign(&key)),
        ("verb", other_verb.sign(&key)),
        ("issuer", first.clone().sign(&stranger)),
    ] {
        let refusal = bench.refusal_of(&message).await;
        assert_eq!(refusal.code, "id_reused", "another {name}: {}", refusal.message);
    }
    assert_eq!(bench.result_of(&first.sign(&key)).await, result, "a resend");
    assert_eq!(log::events_of_tenants(&database).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_says_no_is_one_recorded_rejection() {
    let Some(system) = System::start().await else { return };
    let bench = Bench::new(&system).await;
    let client = &bench.client;
    let born = wallets::create(client, &system.genesis()).await;
    let transfer = wallets::gas_transfer(wallets::stranger("rejection"), wallets::BOUND_DATOSHI + 1);
    let quote = nsl_schemas::query::Quote {
        network_magic: nsl_local_services::NETWORK_MAGIC,
        system_fee_datoshi: nsl_schemas::number::Datoshi(1),
        network_fee_datoshi: nsl_schemas::number::Datoshi(1),
        valid_until_block: 1_000,
        block_count: 1,
    };
    let create = |wallet: &AggregateId, policy: &nsl_schemas::policy::Policy| {
        client.prepare_create_wallet(Uuid::now_v7(), wallet, policy).unwrap()
    };
    let policy = wallets::policy(client);
    let mut ownerless = policy.clone();
    ownerless.owners.threshold = 2;
    let database = system.database();
    for (name, prepared, code) in [
        ("a wallet twice", create(&born.wallet, &policy), "wallet_exists"),
        ("a quorum that can never be met", create(&wallets::fresh_id(), &ownerless), "policy_invalid"),
        (
            "a transfer above the bound",
            client.prepare_transfer(Uuid::now_v7(), &born.wallet, &transfer, &quote).unwrap(),
            "amount_not_allowed",
        ),
        (
            "a transfer from no wallet",
            client.prepare_transfer(Uuid::now_v7(), &wallets::fresh_id(), &transfer, &quote).unwrap(),
            "wallet_unknown",
        ),
    ] {
        for _ in 0..2 {
            match client.send(&prepared).await {
                Err(SendError::Rejected { code: heard, .. }) => assert_eq!(heard, code, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
        assert_eq!(log::traces(&database, prepared.command_id()).await, [1, 1, 1], "{name}");
    }
    assert_eq!(log::faults(&database).await, [""; 0]);
}

impl Bench {
    /// Publishes a message that is accepted or rejected, and returns its result.
    async fn result_of(&self, message: &Message) -> serde_json::Value {
        let results = subject::result(&self.tenant, message.command_id);
        let client = self.jetstream.client();
        let mut results = client.subscribe(results).await.unwrap();
        client.flush().await.unwrap();
        let Message { subject, command_id: _, headers, payload } = message.clone();
        self.jetstream.publish_with_headers(subject, headers, payload.into()).await.unwrap().await.unwrap();
        let heard = tokio::time::timeout(PATIENCE, results.next()).await.expect("every command is answered");
        serde_json::from_slice(&heard.unwrap().payload).unwrap()
    }
}
