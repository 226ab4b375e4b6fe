//! A connected client, a raw connection that plays the service, and a tenant that no other test has.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::{self, stream};
use futures::StreamExt as _;
use nsl_client::{Client, Options, Prepared};
use nsl_schemas::authority::{OperatorStatement, Signed};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::query::{EventPage, EventsRequest, LoggedEvent, Page, PageRequest, Reply, name};
use nsl_schemas::result::{Answer, CommandResult};
use nsl_schemas::streams;
use nsl_schemas::subject;
use nsl_schemas::token::{AggregateId, Tenant};
use serde::Serialize;
use tokio::sync::watch;
use uuid::Uuid;

/// Acts as a service tells them, true or not.
pub(crate) type Acts = Arc<Mutex<Vec<Signed<OperatorStatement>>>>;

pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) service: async_nats::Client,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) tenant: Tenant,
    log: Arc<Mutex<Vec<LoggedEvent>>>,
    /// What the operators did.
    pub(crate) acts: Acts,
    asked: watch::Receiver<usize>,
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
        (streams::PRICES, vec![streams::PRICES_SUBJECT]),
    ] {
        let subjects = subjects.into_iter().map(str::to_owned).collect();
        let storage = stream::StorageType::Memory;
        let config = stream::Config {
            name: name.to_owned(),
            subjects,
            storage,
            allow_direct: true,
            ..stream::Config::default()
        };
        jetstream.get_or_create_stream(config).await.unwrap();
    }
    let tenant = Tenant::parse(&format!("t{}", Uuid::now_v7().simple())).unwrap();
    let mut options = Options::new(url, tenant.clone()).issued_by(SigningKey::from_seed(&[1; 32]));
    options.answer_timeout = Duration::from_millis(400);
    options.query_timeout = Duration::from_secs(2);
    let client = Client::connect(options).await.unwrap();
    let log = Arc::default();
    let asked = serve_log(&service, &tenant, Arc::clone(&log)).await;
    let acts = Acts::default();
    serve_operators(&service, &tenant, Arc::clone(&acts)).await;
    Some(World { client, service, jetstream, tenant, log, acts, asked })
}

/// Events of the tenant stand at every so many positions: the others are other tenants'.
const POSITIONS_APART: u64 = 3;
/// Fewer than a test publishes, so that it takes several pages to read them.
const PAGE_EVENTS: usize = 2;

/// Answers `events` as the projections do, and counts the answers.
async fn serve_log(
    service: &async_nats::Client,
    tenant: &Tenant,
    log: Arc<Mutex<Vec<LoggedEvent>>>,
) -> watch::Receiver<usize> {
    let (answered, asked) = watch::channel(0);
    let mut questions = service.subscribe(subject::query(tenant, name::EVENTS)).await.unwrap();
    subscribed(service).await;
    let service = service.clone();
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            let page = page(&log.lock().unwrap(), &serde_json::from_slice(&question.payload).unwrap());
            let answer = serde_json::to_vec(&Reply::Ok(page)).unwrap();
            service.publish(question.reply.unwrap(), answer.into()).await.unwrap();
            answered.send_modify(|count| *count += 1);
        }
    });
    asked
}

/// Answers `operator-acts` as the projections do, an act a page.
async fn serve_operators(service: &async_nats::Client, tenant: &Tenant, acts: Acts) {
    let mut questions = service.subscribe(subject::query(tenant, name::OPERATOR_ACTS)).await.unwrap();
    subscribed(service).await;
    let service = service.clone();
    tokio::spawn(async move {
        while let Some(message) = questions.next().await {
            let question: PageRequest = serde_json::from_slice(&message.payload).unwrap();
            let after: usize = question.after.unwrap().parse().unwrap();
            let data = acts.lock().unwrap().iter().skip(after).take(1).cloned().collect();
            let answer = serde_json::to_vec(&Reply::Ok(Page { data, next: None })).unwrap();
            service.publish(message.reply.unwrap(), answer.into()).await.unwrap();
        }
    });
}

fn page(log: &[LoggedEvent], question: &EventsRequest) -> EventPage {
    let head = log.last().map_or(0, |event| event.position);
    let is_wanted = |event: &&LoggedEvent| {
        let name = question.name.as_ref().is_none_or(|name| event.subject.ends_with(name.as_str()));
        event.position > question.after && name
    };
    let mut data: Vec<_> = log.iter().filter(is_wanted).cloned().collect();
    let is_cut = data.len() > PAGE_EVENTS;
    data.truncate(PAGE_EVENTS);
    let position = if is_cut { data.last().unwrap().position } else { head.max(question.after) };
    EventPage { data, position, head }
}

impl World {
    /// Waits until so many pages of the log were answered.
    pub(crate) async fn asked(&self, pages: usize) {
        self.asked.clone().wait_for(|count| *count >= pages).await.unwrap();
    }

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
        let position = self.log(id, name, data);
        let subject = format!("nsl.v1.evt.{}.wallet.{id}.{name}", self.tenant);
        self.service.publish(subject, data.to_string().into()).await.unwrap();
        position
    }

    /// Puts an event into the log, and tells nobody.
    pub(crate) fn log(&self, id: &str, name: &str, data: &serde_json::Value) -> u64 {
        let mut log = self.log.lock().unwrap();
        let position = (log.len() as u64 + 1) * POSITIONS_APART;
        log.push(LoggedEvent {
            position,
            subject: format!("nsl.v1.evt.{}.wallet.{id}.{name}", self.tenant),
            id: Uuid::now_v7(),
            event_type: name.to_owned(),
            schema_version: "1.0.0".into(),
            time: "2026-11-22T19:00:00Z".into(),
            version: 1,
            payload: data.to_string(),
        });
        position
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
