//! A connected client, a raw connection that plays the service, and a tenant that no other test has.

use std::time::Duration;

use async_nats::jetstream::{self, stream};
use futures::StreamExt as _;
use nsl_client::{Client, Options, Prepared};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::result::{Answer, CommandResult};
use nsl_schemas::streams;
use nsl_schemas::subject;
use nsl_schemas::token::{AggregateId, Tenant};
use serde::Serialize;
use uuid::Uuid;

pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) service: async_nats::Client,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) tenant: Tenant,
}

/// The world, or `None`, said aloud, when no server is named.
pub(crate) async fn world() -> Option<World> {
    let Ok(url) = std::env::var("NSL_TEST_NATS_URL") else {
        eprintln!("SKIPPED: NSL_TEST_NATS_URL names no NATS server");
        return None;
    };
    let service = async_nats::connect(&url).await.unwrap();
    let jetstream = jetstream::new(service.clone());
    for (name, subjects) in [
        (streams::COMMANDS, vec![streams::COMMANDS_SUBJECT]),
        (streams::RESULTS, streams::RESULTS_SUBJECTS.to_vec()),
        (streams::EVENTS, vec![streams::EVENTS_SUBJECT]),
        (streams::PRICES, vec![streams::PRICES_SUBJECT]),
    ] {
        let subjects = subjects.into_iter().map(str::to_owned).collect();
        let storage = stream::StorageType::Memory;
        let config = stream::Config { name: name.to_owned(), subjects, storage, ..stream::Config::default() };
        jetstream.get_or_create_stream(config).await.unwrap();
    }
    let tenant = Tenant::parse(&format!("t{}", Uuid::now_v7().simple())).unwrap();
    let mut options = Options::new(url, tenant.clone()).issued_by(SigningKey::from_seed(&[1; 32]));
    options.answer_timeout = Duration::from_millis(400);
    options.query_timeout = Duration::from_secs(2);
    let client = Client::connect(options).await.unwrap();
    Some(World { client, service, jetstream, tenant })
}

impl World {
    pub(crate) fn prepare(&self) -> Prepared {
        let id = AggregateId::parse("main").unwrap();
        let subject = self.client.subject("wallet", &id, "create").unwrap();
        self.client.prepare(&subject, &serde_json::json!({"note": "é"})).unwrap()
    }

    pub(crate) async fn commands(&self) -> async_nats::Subscriber {
        let commands = self.service.subscribe(format!("nsl.v1.cmd.{}.>", self.tenant)).await.unwrap();
        subscribed(&self.service).await;
        commands
    }

    pub(crate) async fn publish<T: Serialize>(&self, subject: String, message: &T) {
        let payload = serde_json::to_vec(message).unwrap();
        self.service.publish(subject, payload.into()).await.unwrap();
        subscribed(&self.service).await;
    }

    pub(crate) async fn accept(&self, command_id: Uuid, position: u64) {
        let result = accepted(command_id, position);
        self.publish(subject::result(&self.tenant, command_id), &result).await;
    }

    /// Publishes an event as the projections do, and returns its position.
    pub(crate) async fn publish_event(&self, id: &str, name: &str, data: &serde_json::Value) -> u64 {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("ce-id", Uuid::now_v7().to_string());
        headers.insert("ce-type", name);
        headers.insert("ce-time", "2026-11-22T19:00:00Z");
        let subject = format!("nsl.v1.evt.{}.wallet.{id}.{name}", self.tenant);
        let payload = data.to_string().into();
        let stored = self.jetstream.publish_with_headers(subject, headers, payload).await.unwrap();
        stored.await.unwrap().sequence
    }
}

pub(crate) fn accepted(command_id: Uuid, position: u64) -> CommandResult {
    CommandResult {
        command_id,
        first_position: position,
        event_count: 1,
        answer: Answer::Accepted { version: 1 },
    }
}

/// Waits until the server knows every subscription that `client` made so far: `flush` only sends them.
pub(crate) async fn subscribed(client: &async_nats::Client) {
    let inbox = client.new_inbox();
    let mut own = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "".into()).await.unwrap();
    own.next().await.unwrap();
}
