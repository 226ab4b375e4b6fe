//! What one tenant feels of another that sends far more than it may: printed, not judged, as machines differ.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::join_all;
use nix::sys::signal::Signal;
use nsl_client::{Client, Prepared, SendError};
use nsl_schemas::errors;
use nsl_schemas::result::Refusal;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::system::{System, text};
use crate::wallets;

/// Who floods.
const FLOODER: &str = "other";
/// What it may send.
const ALLOWED_A_SECOND: u32 = 50;
/// Commands of the flood, signed beforehand and sent round and round; enough for every partition to have many.
const FLOOD_COMMANDS: usize = 2_000;
/// What it sends, in chunks so that the publisher's own work is spread.
const OFFERED_A_SECOND: u32 = 2_000;
const CHUNKS_A_SECOND: u32 = 50;
/// Commands of the victim in each measurement, one after the other on each of its connections.
const MEASURED: usize = 300;
const CONNECTIONS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_is_answered_while_one_floods_and_the_flood_is_refused_with_a_time() {
    let Some(system) = System::start().await else { return };
    let output = system.dev(&["tenant", "add", FLOODER]);
    assert!(output.status.success(), "{}", text(&output));
    limit(&system).await;
    let victims: Vec<Client> = join_all((0..CONNECTIONS).map(|_| system.client())).await;
    measure(&victims).await; // warms up
    let calm = measure(&victims).await;
    let flood = Flood::start(&system).await;
    let flooded = measure(&victims).await;
    let counts = flood.stop().await;
    println!(
        "victim p50 {:.1} ms, p99 {:.1} ms; beside a flood p50 {:.1} ms, p99 {:.1} ms; p99 ratio {:.2}",
        milliseconds(&calm, 50),
        milliseconds(&calm, 99),
        milliseconds(&flooded, 50),
        milliseconds(&flooded, 99),
        milliseconds(&flooded, 99) / milliseconds(&calm, 99),
    );
    let Counts { sent, limited, seconds } = counts;
    println!(
        "flood: {sent} sent in {seconds:.1} s at {ALLOWED_A_SECOND}/s allowed, {limited} refused as rate_limited"
    );
    assert_eq!(flooded.len(), MEASURED * CONNECTIONS, "every command of the victim is answered");
    assert!(limited > 0);
}

/// Gives the flooding tenant limits of its own and has the processor read them.
async fn limit(system: &System) {
    let path = system.path().join("configuration/commands.toml");
    let configuration = std::fs::read_to_string(&path).unwrap();
    let limits = format!("[limits.tenants.{FLOODER}]\ncommands_per_second = {ALLOWED_A_SECOND}\n");
    let configuration = [configuration, limits].join("\n");
    std::fs::write(&path, configuration).unwrap();
    system.end("commands", Signal::SIGTERM).await;
    // Answers come again when its partitions are held again.
    wallets::create(&system.client().await, &system.genesis()).await;
}

/// The latencies of the victim's commands, each accepted or rejected by a rule, none refused.
async fn measure(victims: &[Client]) -> Vec<Duration> {
    let one = async |client: &Client| {
        let wallet = wallets::fresh_id();
        let mut latencies = Vec::with_capacity(MEASURED);
        for _ in 0..MEASURED {
            let command =
                client.prepare_create_wallet(Uuid::now_v7(), &wallet, &wallets::policy(client)).unwrap();
            let started = Instant::now();
            match client.send(&command).await {
                Ok(_) | Err(SendError::Rejected { .. }) => latencies.push(started.elapsed()),
                Err(error) => panic!("{error:?}"),
            }
        }
        latencies
    };
    let mut latencies = join_all(victims.iter().map(one)).await.concat();
    latencies.sort();
    latencies
}

fn milliseconds(sorted: &[Duration], percentile: usize) -> f64 {
    sorted[(sorted.len() * percentile / 100).min(sorted.len() - 1)].as_secs_f64() * 1e3
}

struct Flood {
    stop: Arc<AtomicBool>,
    sent: JoinHandle<(u64, f64)>,
    limited: Arc<AtomicU64>,
    listener: JoinHandle<()>,
}

struct Counts {
    sent: u64,
    limited: u64,
    seconds: f64,
}

impl Flood {
    async fn start(system: &System) -> Self {
        let client = system.client_of_tenant(FLOODER).await;
        let policy = wallets::policy(&client);
        let commands: Vec<Prepared> = (0..FLOOD_COMMANDS)
            .map(|_| client.prepare_create_wallet(Uuid::now_v7(), &wallets::fresh_id(), &policy).unwrap())
            .collect();
        let bus = system.bus_of(&format!("tenant-{FLOODER}")).await;
        let limited = Arc::new(AtomicU64::new(0));
        let listener = tokio::spawn(listen(bus.clone(), Arc::clone(&limited)));
        let stop = Arc::new(AtomicBool::new(false));
        let sent = tokio::spawn(send(bus, commands, Arc::clone(&stop)));
        Self { stop, sent, limited, listener }
    }

    async fn stop(self) -> Counts {
        self.stop.store(true, Ordering::Relaxed);
        let (sent, seconds) = self.sent.await.unwrap();
        self.listener.abort();
        Counts { sent, limited: self.limited.load(Ordering::Relaxed), seconds }
    }
}

/// Publishes without waiting for anything, as a client that means no good does.
async fn send(bus: async_nats::Client, commands: Vec<Prepared>, stop: Arc<AtomicBool>) -> (u64, f64) {
    let started = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / CHUNKS_A_SECOND);
    let mut sent = 0;
    let mut next = commands.iter().cycle();
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        for command in next.by_ref().take((OFFERED_A_SECOND / CHUNKS_A_SECOND).try_into().unwrap()) {
            let envelope = &command.command().envelope;
            let headers = crate::bad_input::message::headers_of(envelope);
            let payload = command.command().payload.clone().into();
            bus.publish_with_headers(envelope.subject.clone(), headers, payload).await.unwrap();
            sent += 1;
        }
    }
    (sent, started.elapsed().as_secs_f64())
}

/// Counts refusals, each of which must say when to come back.
async fn listen(bus: async_nats::Client, limited: Arc<AtomicU64>) {
    let mut refusals = bus.subscribe(format!("nsl.v1.ref.{FLOODER}.*")).await.unwrap();
    while let Some(refusal) = refusals.next().await {
        let refusal: Refusal = serde_json::from_slice(&refusal.payload).unwrap();
        assert_eq!(refusal.code, errors::RATE_LIMITED.code);
        assert!(refusal.retry_after_ms.is_some_and(|ms| ms > 0));
        limited.fetch_add(1, Ordering::Relaxed);
    }
}
