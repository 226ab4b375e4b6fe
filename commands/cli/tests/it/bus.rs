//! Against a real NATS server, with the test playing the service at the level of the bus.

use async_nats::jetstream::{self, stream};
use futures::StreamExt as _;
use nsl_schemas::envelope::HEADER_COMMAND_ID;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::query::{Reply, name};
use nsl_schemas::{streams, subject, token::Tenant};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::home::{Home, Run};

struct World {
    home: Home,
    service: async_nats::Client,
    jetstream: jetstream::Context,
    tenant: Tenant,
}

async fn world() -> Option<World> {
    let Ok(url) = std::env::var("NSL_TEST_NATS_URL") else {
        eprintln!("SKIPPED: NSL_TEST_NATS_URL names no NATS server");
        return None;
    };
    let service = async_nats::connect(&url).await.unwrap();
    let jetstream = jetstream::new(service.clone());
    for (name, subjects) in [
        (streams::COMMANDS, vec![streams::COMMANDS_SUBJECT]),
        (streams::RESULTS, streams::RESULTS_SUBJECTS.to_vec()),
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
    let home = Home::new();
    home.add_context(&url, tenant.as_str());
    Some(World { home, service, jetstream, tenant })
}

impl World {
    /// Runs the program while `serve` plays the service.
    async fn nsl<T>(&self, input: &str, arguments: &[&str], serve: impl Future<Output = T>) -> (Run, T) {
        let run = async { tokio::task::block_in_place(|| self.home.nsl_reading(input, arguments)) };
        // The service first: it only subscribes and waits, the program blocks its thread.
        let (served, run) = tokio::join!(serve, run);
        (run, served)
    }
}

/// Answers one question or command on a task of its own, because the program blocks the test's thread.
fn serve_once(
    mut messages: async_nats::Subscriber,
    answer: impl Future<Output = ()> + Send + 'static,
) -> tokio::task::JoinHandle<async_nats::Message> {
    tokio::spawn(async move {
        let message = messages.next().await.unwrap();
        answer.await;
        message
    })
}

fn accepted(command_id: &str) -> Value {
    json!({"command_id": command_id, "first_position": 9, "event_count": 1, "status": "accepted", "version": 1})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_command_is_sent_as_it_is_and_its_result_told() {
    let Some(world) = world().await else { return };
    let (id, service) = (Uuid::now_v7().to_string(), world.service.clone());
    let commands = world.service.subscribe(format!("nsl.v1.cmd.{}.>", world.tenant)).await.unwrap();
    subscribed(&world.service).await;
    let results = format!("nsl.v1.res.{}.{id}", world.tenant);
    let (result, told) = (accepted(&id).to_string(), results.clone());
    let served = serve_once(commands, async move {
        service.publish(told, result.into()).await.unwrap();
        subscribed(&service).await;
    });
    let to = format!("nsl.v1.cmd.{}.wallet.main.create", world.tenant);
    let arguments = ["command", "send", to.as_str(), "--id", id.as_str(), "--json"];
    let (run, message) = world.nsl("{ \"raw\": 1 }", &arguments, served).await;
    let message = message.unwrap();
    assert_eq!((message.subject.as_str(), &message.payload[..]), (to.as_str(), &b"{ \"raw\": 1 }"[..]));
    assert_eq!(message.headers.unwrap().get(HEADER_COMMAND_ID).unwrap().as_str(), id);
    assert_eq!((run.code, run.json()["reason"].as_str()), (0, Some("command_accepted")), "{}", run.stderr);
    assert_eq!(run.json()["command"]["first_position"], 9);
    let (run, ()) = world.nsl("", &["command", "result", id.as_str(), "--json"], async {}).await;
    assert_eq!(run.json()["result"]["status"], "accepted");
    let unknown = Uuid::now_v7().to_string();
    let (run, ()) = world.nsl("", &["command", "result", unknown.as_str()], async {}).await;
    assert_eq!(run.code, 5, "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_a_result_is_kept_and_sent_again_by_its_id() {
    let Some(world) = world().await else { return };
    let to = format!("nsl.v1.cmd.{}.wallet.main.create", world.tenant);
    let mut commands = world.service.subscribe(to.clone()).await.unwrap();
    subscribed(&world.service).await;
    let id = Uuid::now_v7().to_string();
    let arguments = ["command", "send", to.as_str(), "--id", id.as_str(), "--json"];
    let (run, ()) = world.nsl("{\"first\":1}", &arguments, async {}).await;
    assert_eq!((run.code, run.json()["code"].as_str()), (8, Some("outcome_unknown")), "{}", run.stderr);
    let first = commands.next().await.unwrap();

    let other = format!("nsl.v1.cmd.{}.wallet.other.create", world.tenant);
    let (run, ()) = world.nsl("", &["command", "send", other.as_str(), "--id", id.as_str()], async {}).await;
    assert_eq!(run.code, 2, "another subject under the same id: {}", run.stderr);

    let results = format!("nsl.v1.res.{}.{id}", world.tenant);
    let stored = world.jetstream.publish(results, accepted(&id).to_string().into()).await.unwrap();
    stored.await.unwrap();
    let (run, ()) = world.nsl("{\"second\":2}", &arguments, async {}).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    // The first run sent three copies, of which one was taken above; the second run sent one more.
    for copy in commands.take(3).collect::<Vec<_>>().await {
        assert_eq!((&copy.payload, &copy.headers), (&first.payload, &first.headers), "the same signed bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_are_shown_in_whole_tokens() {
    let Some(world) = world().await else { return };
    let owner = SigningKey::from_seed(&[1; 32]).public();
    let wallet = json!({
        "id": "main", "status": "open", "address": "N1", "public_key": "02", "version": 2,
        "policy": {
            "owners": {"threshold": 1, "keys": [owner]}, "network_magic": 1, "assets": [], "fee_max_datoshi": "1",
        },
        "request_id": Uuid::nil(), "position": 2,
    });
    let balances = json!([{"asset": "0x1", "symbol": "GAS", "decimals": 8, "amount": "150000000"}]);
    let mut served = Vec::new();
    for (question, answer) in [(name::WALLET, wallet), (name::BALANCES, balances)] {
        let subject = subject::query(&world.tenant, question);
        let mut questions = world.service.subscribe(subject).await.unwrap();
        let (service, reply) = (world.service.clone(), serde_json::to_vec(&Reply::Ok(answer)).unwrap());
        served.push(tokio::spawn(async move {
            let question = questions.next().await.unwrap();
            service.publish(question.reply.unwrap(), reply.into()).await.unwrap();
            subscribed(&service).await;
        }));
    }
    subscribed(&world.service).await;
    let served = futures::future::join_all(served);
    let (run, _) = world.nsl("", &["wallet", "balances", "main"], served).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    let row: Vec<&str> = run.stdout.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(row, ["GAS", "1.5", "0x1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_one_a_line_and_end_where_the_log_ends() {
    let Some(world) = world().await else { return };
    let event = |position: u64, name: &str| {
        json!({
            "position": position, "subject": format!("nsl.v1.evt.acme.wallet.main.{name}"), "id": Uuid::nil(),
            "type": name, "schema_version": "1.0.0", "time": "2026-11-22T19:00:00Z", "version": 1, "payload": "{\"n\":1}",
        })
    };
    let page = json!({"ok": {
        "data": [event(7, "creation-requested"), event(9, "key-created")], "position": 9, "head": 9,
    }});
    let subject = subject::query(&world.tenant, name::EVENTS);
    let mut questions = world.service.subscribe(subject).await.unwrap();
    subscribed(&world.service).await;
    let service = world.service.clone();
    let served = tokio::spawn(async move {
        let question = questions.next().await.unwrap();
        service.publish(question.reply.clone().unwrap(), page.to_string().into()).await.unwrap();
        subscribed(&service).await;
        serde_json::from_slice::<Value>(&question.payload).unwrap()
    });
    let tail = ["events", "tail", "--from", "7", "--json"];
    let (run, question) = world.nsl("", &tail, served).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(question.unwrap()["after"], 6);
    let lines: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["position"].as_u64().unwrap()).collect::<Vec<_>>(), [7, 9]);
    assert_eq!((&lines[1]["type"], &lines[1]["data"]), (&"key-created".into(), &json!({"n": 1})));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_over_the_limit_is_not_sent() {
    let Some(world) = world().await else { return };
    let to = format!("nsl.v1.cmd.{}.wallet.main.create", world.tenant);
    let payload = "x".repeat(nsl_schemas::envelope::PAYLOAD_BYTES_MAX + 1);
    let (run, ()) = world.nsl(&payload, &["command", "send", to.as_str(), "--json"], async {}).await;
    assert_eq!((run.code, run.json()["code"].as_str()), (6, Some("payload_too_large")), "{}", run.stderr);
}

/// Waits until the server knows every subscription that `client` made so far: `flush` only sends them.
async fn subscribed(client: &async_nats::Client) {
    let inbox = client.new_inbox();
    let mut own = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "".into()).await.unwrap();
    own.next().await.unwrap();
}
