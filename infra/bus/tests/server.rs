//! Against a real nats-server with JetStream: set `NSL_TEST_NATS_URL`. Every test has streams and subjects of its own.

#![allow(clippy::unwrap_used, reason = "helpers of a test stop it by panicking")]

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::StreamExt;
use nsl_bus::consumer::{Start, State};
use nsl_bus::partition::command_stream;
use nsl_bus::request::{Endpoint, Error as RequestError, Reply};
use nsl_bus::stream::{Error as StreamError, SubjectTransform};
use nsl_bus::{
    Bus, BusConfig, COMMANDS, Consumer, ConsumerDefinition, DriftPolicy, Ensured, Outcome, Partitioning,
    SequencedMessage, StreamDefinition, async_nats, streams,
};
use nsl_config::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const TIMEOUT: Duration = Duration::from_secs(5);

/// The bus under test, or none: then the test says so and passes.
async fn bus() -> Option<Bus> {
    Some(Bus::connect(&config(&url()?), "nsl-bus test").await.unwrap())
}

fn url() -> Option<String> {
    let Ok(url) = std::env::var("NSL_TEST_NATS_URL") else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: NSL_TEST_NATS_URL is not set");
        return None;
    };
    Some(url)
}

/// The configuration for a URL that may hold user and password, as tests are given it.
fn config(url: &str) -> BusConfig {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (credentials, server) = match rest.split_once('@') {
        Some((user_info, server)) => {
            let (user, password) = user_info.split_once(':').unwrap();
            (format!("user = {user:?}\npassword = {password:?}\n"), server)
        }
        None => (String::new(), rest),
    };
    let text = format!(
        "url = \"{scheme}://{server}\"\n{credentials}connect_timeout_ms = 2000\nrequest_timeout_ms = 5000"
    );
    toml::from_str(&text).unwrap()
}

/// A token that no other test or earlier run uses.
fn token() -> String {
    format!("t{}", uuid::Uuid::now_v7().simple())
}

fn message(subject: &str, payload: &str) -> SequencedMessage {
    SequencedMessage {
        subject: subject.to_owned(),
        headers: HeaderMap::new(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    }
}

async fn publish(bus: &Bus, subject: &str, payload: &str) {
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    bus.jetstream().publish(subject.to_owned(), payload).await.unwrap().await.unwrap();
}

async fn fetch(consumer: &Consumer, count: usize) -> Vec<(String, String)> {
    let mut batch = consumer.fetch().max_messages(count).expires(TIMEOUT).messages().await.unwrap();
    let mut found = Vec::new();
    while let Some(message) = batch.next().await {
        let message = message.unwrap();
        found.push((message.subject.to_string(), String::from_utf8(message.payload.to_vec()).unwrap()));
    }
    found
}

fn payloads(found: &[(String, String)]) -> Vec<&str> {
    found.iter().map(|(_, payload)| payload.as_str()).collect()
}

fn reader(stream: &str, filter_subject: &str) -> ConsumerDefinition {
    ConsumerDefinition {
        stream: stream.to_owned(),
        name: "reader".to_owned(),
        filter_subject: filter_subject.to_owned(),
        start: Start::All,
        ack_wait_ms: 60_000,
        max_deliver: None,
        max_ack_pending: 1000,
        state: State::AsStream,
    }
}

/// The command stream of the design under subjects of this test, since a server holds one stream a subject.
fn own_commands(prefix: &'static str, stored: &'static str) -> (Partitioning, StreamDefinition) {
    let own = Partitioning { published_prefix: prefix, stored_prefix: stored, ..COMMANDS };
    let definition = StreamDefinition {
        intake: nsl_bus::stream::Intake::Subjects {
            subjects: vec![own.published_filter()],
            transform: Some(own.transform()),
        },
        max_bytes: Some(1024 * 1024),
        name: token(),
        ..command_stream(1)
    };
    (own, definition)
}

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

#[tokio::test]
async fn the_command_stream_spreads_by_aggregate_and_restores_the_published_subject() {
    let Some(bus) = bus().await else { return };
    let prefix = leaked(token());
    let (own, definition) = own_commands(prefix, leaked(format!("{prefix}p")));
    assert_eq!(bus.ensure_stream(&definition, DriftPolicy::Refuse).await.unwrap(), Ensured::Created);
    assert_eq!(bus.ensure_stream(&definition, DriftPolicy::Refuse).await.unwrap(), Ensured::Unchanged);

    let mut published: Vec<String> = Vec::new();
    for wallet in 0..40 {
        for verb in ["create", "transfer"] {
            published.push(format!("{prefix}.acme.wallet.w{wallet}.{verb}"));
        }
    }
    for subject in &published {
        publish(&bus, subject, subject).await;
    }
    let consumer = bus.recreate_consumer(&reader(&definition.name, &format!("{prefix}p.>"))).await.unwrap();
    let found = fetch(&consumer, published.len()).await;
    assert_eq!(payloads(&found), published, "stream order is publication order");

    let restored: Vec<_> = found.iter().map(|(stored, _)| own.restore(stored).unwrap()).collect();
    for (pair, subjects) in restored.chunks(2).zip(published.chunks(2)) {
        assert_eq!([&pair[0].published, &pair[1].published], [&subjects[0], &subjects[1]]);
        assert_eq!(pair[0].partition, pair[1].partition, "one aggregate, one partition");
    }
    let used: std::collections::BTreeSet<u16> = restored.iter().map(|restored| restored.partition).collect();
    assert!(used.len() > 10, "40 wallets should spread over partitions, used {used:?}");
    bus.jetstream().delete_stream(&definition.name).await.unwrap();
}

#[tokio::test]
async fn a_takeover_gets_unacknowledged_messages_in_order_and_no_acknowledged_one() {
    let Some(bus) = bus().await else { return };
    let prefix = leaked(token());
    let (own, definition) = own_commands(prefix, leaked(format!("{prefix}p")));
    bus.ensure_stream(&definition, DriftPolicy::Refuse).await.unwrap();
    for number in ["done", "0", "1", "2", "3"] {
        publish(&bus, &format!("{prefix}.acme.wallet.main.create"), number).await;
    }
    let partition = {
        let all = bus.recreate_consumer(&reader(&definition.name, &format!("{prefix}p.>"))).await.unwrap();
        let mut batch = all.fetch().max_messages(1).expires(TIMEOUT).messages().await.unwrap();
        let first = batch.next().await.unwrap().unwrap();
        first.double_ack().await.unwrap();
        own.restore(&first.subject).unwrap().partition
    };
    bus.jetstream().delete_consumer_from_stream("reader", &definition.name).await.unwrap();

    let owned = reader(&definition.name, &own.partition_filter(partition));
    let first_owner = bus.recreate_consumer(&owned).await.unwrap();
    assert_eq!(payloads(&fetch(&first_owner, 2).await), ["0", "1"]);
    // The first owner dies here with 0 and 1 in its hands.
    let second_owner = bus.recreate_consumer(&owned).await.unwrap();
    assert_eq!(payloads(&fetch(&second_owner, 4).await), ["0", "1", "2", "3"]);
    bus.jetstream().delete_stream(&definition.name).await.unwrap();
}

#[tokio::test]
async fn a_sequence_is_published_once_whoever_repeats_it() {
    let Some(bus) = bus().await else { return };
    for (first_sequence, first) in [(None, 1), (Some(41), 41)] {
        let name = token();
        let subject = format!("{name}.evt");
        let definition = StreamDefinition {
            first_sequence,
            deny_delete: true,
            deny_purge: true,
            ..StreamDefinition::new(&name, "events", &[&subject])
        };
        assert_eq!(bus.ensure_stream(&definition, DriftPolicy::Refuse).await.unwrap(), Ensured::Created);
        assert_eq!(bus.ensure_stream(&definition, DriftPolicy::Refuse).await.unwrap(), Ensured::Unchanged);
        assert_eq!(bus.last_sequence(&name).await.unwrap(), first - 1);

        let at = |sequence| bus.publish_at_sequence(&name, message(&subject, "one"), sequence);
        assert_eq!(at(first + 1).await.unwrap(), Outcome::Gap { last: first - 1 });
        assert_eq!(at(first).await.unwrap(), Outcome::Published);
        assert_eq!(at(first).await.unwrap(), Outcome::AlreadyThere);
        assert_eq!(at(first + 5).await.unwrap(), Outcome::Gap { last: first });
        assert_eq!(at(first + 1).await.unwrap(), Outcome::Published);
        assert_eq!(bus.last_sequence(&name).await.unwrap(), first + 1);
        assert!(at(0).await.is_err());

        // A run that overlaps what is there stores only the rest; a run beyond the end stores nothing.
        let run = || (0..1000).map(|number| message(&subject, &number.to_string())).collect::<Vec<_>>();
        let beyond = bus.publish_run_at_sequence(&name, run(), first + 3).await.unwrap();
        assert_eq!(beyond, Outcome::Gap { last: first + 1 });
        bus.publish_run_at_sequence(&name, run(), first).await.unwrap();
        assert_eq!(bus.last_sequence(&name).await.unwrap(), first + 999);
        let next = bus.publish_run_at_sequence(&name, run(), first + 1000).await.unwrap();
        assert_eq!(next, Outcome::Published);

        let stream = bus.jetstream().get_stream(&name).await.unwrap();
        let stored = stream.get_raw_message(first + 500).await.unwrap();
        assert_eq!(stored.payload, "500");
        bus.jetstream().delete_stream(&name).await.unwrap();
    }
}

#[tokio::test]
async fn a_publish_that_no_stream_takes_is_an_error_not_a_gap() {
    let Some(bus) = bus().await else { return };
    let error = bus.publish_at_sequence(&token(), message(&token(), "x"), 1).await.unwrap_err();
    assert!(error.to_string().contains("at sequence 1"), "{error}");
}

#[tokio::test]
async fn drift_of_a_stream_is_named_updated_if_allowed_and_refused_if_impossible() {
    let Some(bus) = bus().await else { return };
    let name = token();
    let original = StreamDefinition::new(&name, "a", &[&format!("{name}.a.>")]);
    bus.ensure_stream(&original, DriftPolicy::Refuse).await.unwrap();

    let changed = StreamDefinition {
        max_age_ms: Some(3_600_000),
        max_messages_per_subject: Some(1),
        max_message_bytes: Some(1024),
        deny_delete: true,
        ..StreamDefinition::new(&name, "a", &[&format!("{name}.a.>"), &format!("{name}.b")])
    };
    let error = bus.ensure_stream(&changed, DriftPolicy::Refuse).await.unwrap_err();
    for field in ["subjects", "max_age", "max_messages_per_subject", "max_message_bytes", "deny_delete"] {
        assert!(error.to_string().contains(field), "{error} should name {field}");
    }
    let updated = bus.ensure_stream(&changed, DriftPolicy::Update).await.unwrap();
    assert!(matches!(&updated, Ensured::Updated(differences) if differences.len() == 5), "{updated:?}");
    assert_eq!(bus.ensure_stream(&changed, DriftPolicy::Refuse).await.unwrap(), Ensured::Unchanged);

    let impossible = [
        StreamDefinition { deny_delete: false, ..changed.clone() },
        StreamDefinition { storage: nsl_bus::stream::StorageType::Memory, ..changed.clone() },
        StreamDefinition { retention: nsl_bus::stream::RetentionPolicy::WorkQueue, ..changed.clone() },
        StreamDefinition { first_sequence: Some(7), ..changed.clone() },
    ];
    for definition in impossible {
        let error = bus.ensure_stream(&definition, DriftPolicy::Update).await.unwrap_err();
        assert!(
            matches!(&error, StreamError::Drift { differences, .. } if differences.len() == 1),
            "{error}"
        );
    }
    bus.jetstream().delete_stream(&name).await.unwrap();
}

#[tokio::test]
async fn a_stream_copies_from_its_sources() {
    let Some(bus) = bus().await else { return };
    let (origin, copy) = (token(), token());
    bus.ensure_stream(
        &StreamDefinition::new(&origin, "origin", &[&format!("{origin}.>")]),
        DriftPolicy::Refuse,
    )
    .await
    .unwrap();
    let transform = SubjectTransform {
        source: format!("{origin}.a.*"),
        destination: format!("{copy}.{{{{wildcard(1)}}}}"),
    };
    let definition = StreamDefinition {
        intake: nsl_bus::stream::Intake::Sources(vec![nsl_bus::stream::SourceDefinition {
            stream: origin.clone(),
            transforms: vec![transform],
        }]),
        ..StreamDefinition::new(&copy, "copy", &[])
    };
    bus.ensure_stream(&definition, DriftPolicy::Refuse).await.unwrap();
    assert_eq!(bus.ensure_stream(&definition, DriftPolicy::Refuse).await.unwrap(), Ensured::Unchanged);
    publish(&bus, &format!("{origin}.b.no"), "no").await;
    publish(&bus, &format!("{origin}.a.yes"), "yes").await;

    let (consumer, ensured) =
        bus.ensure_consumer(&reader(&copy, &format!("{copy}.>")), DriftPolicy::Refuse).await.unwrap();
    assert_eq!(ensured, Ensured::Created);
    assert_eq!(fetch(&consumer, 1).await, [(format!("{copy}.yes"), "yes".to_owned())]);
    bus.jetstream().delete_stream(&copy).await.unwrap();
    bus.jetstream().delete_stream(&origin).await.unwrap();
}

#[tokio::test]
async fn an_ensured_consumer_keeps_its_place_and_its_drift_is_named() {
    let Some(bus) = bus().await else { return };
    let name = token();
    bus.ensure_stream(&StreamDefinition::new(&name, "a", &[&format!("{name}.>")]), DriftPolicy::Refuse)
        .await
        .unwrap();
    for number in ["0", "1", "2"] {
        publish(&bus, &format!("{name}.x"), number).await;
    }
    let definition = reader(&name, &format!("{name}.x"));
    let (consumer, _) = bus.ensure_consumer(&definition, DriftPolicy::Refuse).await.unwrap();
    assert_eq!(payloads(&fetch(&consumer, 1).await), ["0"]);
    let (consumer, ensured) = bus.ensure_consumer(&definition, DriftPolicy::Refuse).await.unwrap();
    assert_eq!(ensured, Ensured::Unchanged);
    assert_eq!(payloads(&fetch(&consumer, 1).await), ["1"]);

    let slower = ConsumerDefinition { ack_wait_ms: 90_000, max_deliver: Some(3), ..definition.clone() };
    let error = bus.ensure_consumer(&slower, DriftPolicy::Refuse).await.unwrap_err();
    assert!(error.to_string().contains("ack_wait") && error.to_string().contains("max_deliver"), "{error}");
    let (consumer, ensured) = bus.ensure_consumer(&slower, DriftPolicy::Update).await.unwrap();
    assert!(matches!(&ensured, Ensured::Updated(differences) if differences.len() == 2), "{ensured:?}");
    assert_eq!(payloads(&fetch(&consumer, 1).await), ["2"]);

    let moved = ConsumerDefinition { start: Start::Sequence(2), ..slower };
    let error = bus.ensure_consumer(&moved, DriftPolicy::Update).await.unwrap_err();
    assert!(error.to_string().contains("start"), "{error}");
    let consumer = bus.recreate_consumer(&moved).await.unwrap();
    assert_eq!(payloads(&fetch(&consumer, 2).await), ["1", "2"]);
    bus.jetstream().delete_stream(&name).await.unwrap();
}

#[tokio::test]
async fn requests_are_answered_with_bounded_concurrency_until_the_stop() {
    let Some(bus) = bus().await else { return };
    let subject = token();
    let missing = bus.request(&subject, HeaderMap::new(), Bytes::new(), TIMEOUT).await.unwrap_err();
    assert!(matches!(missing, RequestError::NoResponders { .. }), "{missing}");

    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let stop = CancellationToken::new();
    let endpoint =
        Endpoint { subject: subject.clone(), queue: "q".to_owned(), max_concurrent: 3.try_into().unwrap() };
    let serving = tokio::spawn({
        let (bus, stop, most) = (bus.clone(), stop.clone(), Arc::clone(&most));
        async move {
            bus.serve(endpoint, stop, move |message| {
                let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                async move {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                    Reply { headers: HeaderMap::new(), payload: message.payload }
                }
            })
            .await
        }
    });
    let ask = |number: usize| {
        let (bus, subject) = (bus.clone(), subject.clone());
        async move { bus.request(&subject, HeaderMap::new(), Bytes::from(number.to_string()), TIMEOUT).await }
    };
    // The subscription is made by another task: asked until it answers.
    while matches!(ask(0).await, Err(RequestError::NoResponders { .. })) {}
    let answers = futures::future::join_all((0..50).map(ask)).await;
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap().payload, number.to_string());
    }
    let most = most.load(Ordering::SeqCst);
    assert!((1..=3).contains(&most), "{most} at once");

    stop.cancel();
    serving.await.unwrap().unwrap();
    assert!(matches!(ask(0).await, Err(RequestError::NoResponders { .. })));
}

#[tokio::test]
async fn a_request_without_an_answer_times_out_by_name() {
    let Some(bus) = bus().await else { return };
    let subject = token();
    let silent = bus.client().subscribe(subject.clone()).await.unwrap();
    subscribed(bus.client()).await;
    let error =
        bus.request(&subject, HeaderMap::new(), Bytes::new(), Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, RequestError::TimedOut { timeout_ms: 50, .. }), "{error}");
    drop(silent);
}

#[tokio::test]
async fn a_request_that_was_received_is_answered_after_the_stop() {
    let Some(bus) = bus().await else { return };
    let subject = token();
    let (received, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let stop = CancellationToken::new();
    let endpoint =
        Endpoint { subject: subject.clone(), queue: "q".to_owned(), max_concurrent: 1.try_into().unwrap() };
    let handler = {
        let (received, release) = (Arc::clone(&received), Arc::clone(&release));
        move |message: async_nats::Message| {
            let (received, release) = (Arc::clone(&received), Arc::clone(&release));
            async move {
                received.notify_one();
                release.notified().await;
                Reply { headers: HeaderMap::new(), payload: message.payload }
            }
        }
    };
    let serving = tokio::spawn({
        let (bus, stop) = (bus.clone(), stop.clone());
        async move { bus.serve(endpoint, stop, handler).await }
    });
    let asking = tokio::spawn(async move {
        loop {
            match bus.request(&subject, HeaderMap::new(), Bytes::from_static(b"late"), TIMEOUT).await {
                Err(RequestError::NoResponders { .. }) => {}
                answer => return answer,
            }
        }
    });
    received.notified().await;
    stop.cancel();
    release.notify_one();
    assert_eq!(asking.await.unwrap().unwrap().payload, "late");
    serving.await.unwrap().unwrap();
}

/// Lets clients through to the server until dropped: a server that can be absent, come and go.
struct Door(tokio::task::JoinHandle<()>);

impl Door {
    async fn open(address: SocketAddr, server: String) -> Self {
        // The port of the closed door may linger for a moment.
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        Self(tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut upstream = TcpStream::connect(&server).await.unwrap();
                connections
                    .spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut upstream).await });
            }
        }))
    }

    /// Cuts every connection: dropping the task drops them.
    async fn close(self) {
        self.0.abort();
        let _ = self.0.await;
    }
}

async fn until(bus: &Bus, connected: bool) {
    while bus.check().is_ok() != connected {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_bus_that_is_absent_is_waited_for_and_one_that_was_lost_is_found_again() {
    let Some(url) = url() else { return };
    let server = url.trim_start_matches("nats://").to_owned();
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let connecting =
        tokio::spawn(async move { Bus::connect(&config(&format!("nats://{address}")), "door").await });
    tokio::task::yield_now().await;
    assert!(!connecting.is_finished());

    let door = Door::open(address, server.clone()).await;
    let bus = connecting.await.unwrap().unwrap();
    assert_eq!(bus.check(), Ok(()));
    door.close().await;
    until(&bus, false).await;
    let door = Door::open(address, server).await;
    until(&bus, true).await;
    let subject = token();
    let missing = bus.request(&subject, HeaderMap::new(), Bytes::new(), TIMEOUT).await.unwrap_err();
    assert!(matches!(missing, RequestError::NoResponders { .. }), "{missing}");
    door.close().await;
}

/// Needs no server: the refusal is the few bytes of the protocol that a server sends.
#[tokio::test]
async fn refused_credentials_end_the_connection_attempt_by_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let refusing = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let info = r#"{"server_id":"x","version":"2.15.1","max_payload":1048576,"auth_required":true}"#;
        client.write_all(format!("INFO {info}\r\n").as_bytes()).await.unwrap();
        let mut connect = [0; 512];
        let _ = client.read(&mut connect).await.unwrap();
        client.write_all(b"-ERR 'Authorization Violation'\r\n").await.unwrap();
    });
    let credentials = BusConfig {
        user: Some("app".to_owned()),
        password: Some(Secret::new("wrong".to_owned())),
        ..config(&url)
    };
    let error = Bus::connect(&credentials, "stranger").await.unwrap_err();
    assert!(error.to_string().contains("stranger") && !format!("{error:?}").contains("wrong"), "{error:?}");
    refusing.await.unwrap();
}

#[tokio::test]
async fn every_stream_of_the_service_is_taken_as_defined_and_does_not_drift() {
    let Some(bus) = bus().await else { return };
    for definition in [
        streams::jobs(1),
        streams::results(1),
        streams::events(1),
        streams::ticks(1),
        streams::prices(1),
        streams::parked(1),
    ] {
        bus.ensure_stream(&definition, DriftPolicy::Refuse).await.unwrap();
        assert_eq!(bus.ensure_stream(&definition, DriftPolicy::Refuse).await.unwrap(), Ensured::Unchanged);
    }
}

/// Waits until the server knows every subscription that `client` made so far: `flush` only sends them.
async fn subscribed(client: &async_nats::Client) {
    let inbox = client.new_inbox();
    let mut own = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "".into()).await.unwrap();
    own.next().await.unwrap();
}
