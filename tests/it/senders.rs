//! Commands in a known order, many a second, and what became of each: the load and the judge of outages.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures::StreamExt as _;
use nsl_client::Client;
use nsl_client::prepared::Prepared;
use nsl_schemas::result::CommandResult;
use nsl_schemas::token::AggregateId;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::bad_input::message::headers_of;
use crate::patience::until;
use crate::system::{System, TENANT};
use crate::{log, wallets};

/// Connections that send, each for aggregates of its own, so that the order of an aggregate's commands is known.
const SENDERS: usize = 4;
/// Together more than there are partitions.
const AGGREGATES_A_SENDER: usize = 24;

/// A command that the bus took.
#[derive(Clone, Copy)]
struct Sent {
    aggregate: usize,
    /// In the command stream.
    sequence: u64,
    at: Instant,
}

/// What was sent and heard.
#[derive(Default)]
pub(crate) struct Records {
    sent: HashMap<Uuid, Sent>,
    heard: HashMap<Uuid, (CommandResult, Instant)>,
    /// Results that differ from the first one for the same command.
    differing: usize,
}

/// The running senders.
pub(crate) struct Senders {
    records: Arc<Mutex<Records>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
    listener: JoinHandle<()>,
}

impl Senders {
    /// Begins to send: each sender one command to each of its aggregates in every `round`.
    pub(crate) async fn start(system: &System, round: Duration) -> Self {
        let (records, stop) = (Arc::<Mutex<Records>>::default(), Arc::<AtomicBool>::default());
        let bus = system.bus().await;
        let mut results = bus.subscribe(format!("nsl.v1.res.{TENANT}.>")).await.unwrap();
        bus.flush().await.unwrap();
        let heard = Arc::clone(&records);
        let listener = tokio::spawn(async move {
            while let Some(message) = results.next().await {
                let result: CommandResult = serde_json::from_slice(&message.payload).unwrap();
                let mut records = heard.lock().unwrap();
                let now = Instant::now();
                let (first, _) =
                    records.heard.entry(result.command_id).or_insert_with(|| (result.clone(), now));
                if *first != result {
                    records.differing += 1;
                }
            }
        });
        let mut tasks = Vec::new();
        for sender in 0..SENDERS {
            let (client, jetstream) = (system.client().await, jetstream::new(system.bus().await));
            let (records, stop) = (Arc::clone(&records), Arc::clone(&stop));
            tasks.push(tokio::spawn(async move {
                send(sender, &client, &jetstream, round, &records, &stop).await;
            }));
        }
        Self { records, stop, tasks, listener }
    }

    /// How many commands were answered.
    pub(crate) fn heard(&self) -> usize {
        self.records.lock().unwrap().heard.len()
    }

    /// Waits until a command is answered that was sent after `began`, and returns when that was.
    pub(crate) async fn answered_after(&self, began: Instant) -> Instant {
        until("a command is answered that was sent later", async || {
            let records = self.records.lock().unwrap();
            let answered = |(id, (_, at)): (&Uuid, &(CommandResult, Instant))| {
                records.sent.get(id).is_some_and(|sent| sent.at > began).then_some(*at)
            };
            records.heard.iter().filter_map(answered).min()
        })
        .await
    }

    /// Ends the sending and returns when every command was answered.
    pub(crate) async fn stop(self) -> Records {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        until("every command was answered", async || {
            let records = self.records.lock().unwrap();
            records.sent.keys().all(|id| records.heard.contains_key(id)).then_some(())
        })
        .await;
        self.listener.abort();
        std::mem::take(&mut *self.records.lock().unwrap())
    }
}

/// Sends numbered commands to each aggregate over one connection without awaiting what becomes of them: the first
/// makes the wallet, the others hear that it exists, and each is one event at a position of its own.
async fn send(
    sender: usize,
    client: &Client,
    jetstream: &jetstream::Context,
    pause: Duration,
    records: &Mutex<Records>,
    stop: &AtomicBool,
) {
    let ids: Vec<AggregateId> = (0..AGGREGATES_A_SENDER).map(|_| wallets::fresh_id()).collect();
    let policy = wallets::policy(client);
    while !stop.load(Ordering::Relaxed) {
        let mut round: Vec<(usize, Prepared, Instant, _)> = Vec::new();
        for (index, id) in ids.iter().enumerate() {
            let prepared = client.prepare_create_wallet(Uuid::now_v7(), id, &policy).unwrap();
            let envelope = &prepared.command().envelope;
            let payload = prepared.command().payload.clone().into();
            let at = Instant::now();
            let stored = jetstream
                .publish_with_headers(envelope.subject.clone(), headers_of(envelope), payload)
                .await
                .unwrap();
            round.push((sender * AGGREGATES_A_SENDER + index, prepared, at, stored));
        }
        for (aggregate, prepared, at, stored) in round {
            let sequence = stored.await.unwrap().sequence;
            records.lock().unwrap().sent.insert(prepared.command_id(), Sent { aggregate, sequence, at });
        }
        tokio::time::sleep(pause).await;
    }
}

impl Records {
    /// How many commands were acknowledged that the log does not have.
    pub(crate) async fn lost(&self, system: &System) -> usize {
        let receipts = log::receipts(&system.database()).await;
        self.heard.keys().filter(|id| !receipts.contains_key(*id)).count()
    }

    /// Judges the log by what was sent and heard: nothing is lost, doubled, out of order or answered otherwise.
    pub(crate) async fn check(self, system: &System) {
        let database = system.database();
        log::await_empty_queue(&jetstream::new(system.bus().await)).await;
        let receipts = log::receipts(&database).await;
        let Self { sent, heard, differing } = self;
        let recorded = sent.keys().filter(|id| receipts.contains_key(*id)).count();
        let lost = sent.len() - recorded;
        let ids: Vec<Uuid> = sent.keys().copied().collect();
        let doubled = doubled(&database, &ids).await;
        let unfounded = heard.values().filter(|(result, _)| !log::holds(&receipts, result)).count();
        let disordered = disordered(&sent, &receipts);
        println!(
            "sent {}, acknowledged {}, recorded {recorded}, lost {lost}, doubled {doubled}, answered otherwise \
             {unfounded}, answers that differ {differing}, out of order {disordered}",
            sent.len(),
            heard.keys().filter(|id| sent.contains_key(*id)).count(),
        );
        print_waits(&sent, &heard);
        assert_eq!((lost, doubled, unfounded, differing, disordered), (0, 0, 0, 0, 0));
        assert_eq!(log::faults(&database).await, [""; 0]);
    }
}

/// How many events there are beyond the one that each of the commands is.
async fn doubled(database: &PgPool, ids: &[Uuid]) -> i64 {
    const EVENTS: &str =
        "SELECT count(*) - count(DISTINCT command_id) FROM events WHERE command_id = ANY ($1)";
    sqlx::query_scalar(EVENTS).bind(ids).fetch_one(database).await.unwrap()
}

/// How many commands were recorded before one that came earlier for the same aggregate.
fn disordered(sent: &HashMap<Uuid, Sent>, receipts: &HashMap<Uuid, (u64, u32)>) -> usize {
    let mut by_aggregate: BTreeMap<usize, BTreeMap<u64, u64>> = BTreeMap::new();
    for (id, one) in sent {
        if let Some((position, _)) = receipts.get(id) {
            by_aggregate.entry(one.aggregate).or_default().insert(one.sequence, *position);
        }
    }
    let overtaken = |positions: &BTreeMap<u64, u64>| {
        positions.values().zip(positions.values().skip(1)).filter(|(one, next)| one >= next).count()
    };
    by_aggregate.values().map(overtaken).sum()
}

fn print_waits(sent: &HashMap<Uuid, Sent>, heard: &HashMap<Uuid, (CommandResult, Instant)>) {
    let wait = |(id, one): (&Uuid, &Sent)| Some(heard.get(id)?.1.saturating_duration_since(one.at));
    let mut waits: Vec<Duration> = sent.iter().filter_map(wait).collect();
    waits.sort_unstable();
    let at = |percent: usize| waits[(waits.len() * percent).div_ceil(100) - 1].as_secs_f32();
    println!("answered after p50 {:.3} s, p99 {:.3} s, most {:.3} s", at(50), at(99), at(100));
}
