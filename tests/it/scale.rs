//! Command processors come, go, die and are stopped past their leases while commands arrive in order.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures::StreamExt as _;
use futures::future::join_all;
use nix::sys::signal::Signal;
use nsl_client::Client;
use nsl_client::authority::{self, GrantTerms};
use nsl_client::prepared::Prepared;
use nsl_schemas::command::authority::AUTHORITY_ID;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::result::CommandResult;
use nsl_schemas::token::AggregateId;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::bad_input::message::headers_of;
use crate::patience::until;
use crate::processors::{Processor, until_held};
use crate::system::{System, TENANT};
use crate::{admin, log, wallets};

/// Connections that send, each for aggregates of its own, so that the order of an aggregate's commands is known.
const SENDERS: usize = 4;
/// Together more than there are partitions.
const AGGREGATES_A_SENDER: usize = 24;
/// Between two rounds of a sender, in each of which it sends one command to each of its aggregates.
const ROUND: Duration = Duration::from_millis(100);
/// A step that a processor stands at, with decided commands in its hands, while it is stopped.
const DECIDED: &str = "processor::decided";
/// Newcomers, each granted and at work at once.
const GRANTS: usize = 12;
/// The lease of a local site's processors.
const LEASE: Duration = Duration::from_secs(5);

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
struct Records {
    sent: HashMap<Uuid, Sent>,
    heard: HashMap<Uuid, (CommandResult, Instant)>,
    /// Results that differ from the first one for the same command.
    differing: usize,
}

struct Senders {
    records: Arc<Mutex<Records>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
    listener: JoinHandle<()>,
}

impl Senders {
    async fn start(system: &System) -> Self {
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
            tasks.push(tokio::spawn(async move { send(sender, &client, &jetstream, &records, &stop).await }));
        }
        Self { records, stop, tasks, listener }
    }

    fn heard(&self) -> usize {
        self.records.lock().unwrap().heard.len()
    }

    /// Ends the sending and returns when every command was answered.
    async fn stop(self) -> Records {
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
        tokio::time::sleep(ROUND).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processors_share_the_partitions_and_keep_every_promise_while_they_come_and_go() {
    let Some(system) = System::start_with_failpoints().await else { return };
    let first = system.admin("commands");
    until_held(&[&first], &[64]).await;
    let senders = Senders::start(&system).await;

    let second = timed("1 -> 2", async {
        let second = Processor::start(&system, "commands-2");
        until_held(&[&first, &second.admin], &[32, 32]).await;
        second
    })
    .await;
    // One of them has a name that another has already, which must not matter.
    let (third, fourth) = timed("2 -> 4", async {
        let third = Processor::start(&system, "commands-3");
        let fourth = Processor::start(&system, "commands-3");
        until_held(&[&first, &second.admin, &third.admin, &fourth.admin], &[16; 4]).await;
        (third, fourth)
    })
    .await;
    timed("one of 4 killed", async {
        fourth.signal(Signal::SIGKILL);
        fourth.ended().await;
        until_held(&[&first, &second.admin, &third.admin], &[22, 21, 21]).await;
    })
    .await;
    let refused = timed("one of 3 stopped past its leases", stop_past_leases(&first, &second, &third)).await;
    timed("4 -> 1", async {
        for processor in [second, third] {
            processor.signal(Signal::SIGTERM);
            assert!(processor.ended().await.success());
        }
        until_held(&[&first], &[64]).await;
    })
    .await;
    let heard = senders.heard();
    until("the last processor decides alone", async || (senders.heard() > heard).then_some(())).await;
    check(&system, senders.stop().await, refused).await;
}

/// Stops a processor that has decided commands in its hands until others hold its partitions, and wakes it. Returns how
/// many of its fences were refused.
async fn stop_past_leases(first: &str, second: &Processor, third: &Processor) -> u64 {
    let moved = admin::metric(&third.admin, "nsl_partition_moves_total", "lost").await.unwrap();
    admin::arm(&third.admin, DECIDED, "pause").await;
    // Long enough that a batch came to the step: senders send ten times as often.
    tokio::time::sleep(10 * ROUND).await;
    third.signal(Signal::SIGSTOP);
    tokio::time::sleep(LEASE + ROUND).await;
    until_held(&[first, &second.admin], &[32, 32]).await;
    third.signal(Signal::SIGCONT);
    until("the woken processor finds its leases lost", async || {
        let now = admin::metric(&third.admin, "nsl_partition_moves_total", "lost").await?;
        (now > moved).then_some(())
    })
    .await;
    admin::arm(&third.admin, DECIDED, "off").await;
    until_held(&[first, &second.admin, &third.admin], &[22, 21, 21]).await;
    admin::metric(&third.admin, "nsl_append_conflicts_total", "lost").await.unwrap()
}

/// A grant that one processor committed counts at once at the others: nobody who was just let in is turned away.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_counts_at_every_processor_from_its_result_on() {
    let Some(system) = System::start().await else { return };
    let other = Processor::start(&system, "commands-2");
    until_held(&[&system.admin("commands"), &other.admin], &[32, 32]).await;
    let (genesis, root, developer) = (system.genesis(), system.key("demo-root"), system.client().await);
    for number in 0..GRANTS {
        let [high, low] = [Uuid::now_v7(), Uuid::now_v7()].map(Uuid::into_bytes);
        let issuer = SigningKey::from_seed(&[high, low].concat().try_into().unwrap());
        let terms = GrantTerms {
            key: issuer.public(),
            label: format!("newcomer {number}"),
            scopes: vec![authority::parse_scope("wallet/*/create").unwrap()],
            not_before_ms: genesis.created_at_ms,
            expires_at_ms: u64::from(u32::MAX) * 1000,
        };
        let newcomer = system.client_of(issuer).await;
        let grant = authority::grant(&genesis, developer.tenant(), terms, &root).unwrap();
        let subject =
            developer.subject("authority", &AggregateId::parse(AUTHORITY_ID).unwrap(), "grant").unwrap();
        developer.send(&developer.prepare(&subject, &grant).unwrap()).await.unwrap();
        // Several wallets, so that each processor has some of them.
        let creations = (0..SENDERS).map(|_| async {
            let id = wallets::fresh_id();
            let command = newcomer.prepare_create_wallet(Uuid::now_v7(), &id, &wallets::policy(&newcomer));
            newcomer.send(&command.unwrap()).await.unwrap();
        });
        join_all(creations).await;
    }
}

async fn timed<T>(what: &str, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = work.await;
    println!("{what}: {:.1} s", began.elapsed().as_secs_f32());
    done
}

async fn check(system: &System, records: Records, refused: u64) {
    let database = system.database();
    log::await_empty_queue(&jetstream::new(system.bus().await)).await;
    let receipts = log::receipts(&database).await;
    let Records { sent, heard, differing } = records;

    let recorded = sent.keys().filter(|id| receipts.contains_key(*id)).count();
    let lost = sent.len() - recorded;
    let unfounded = heard.values().filter(|(result, _)| !log::holds(&receipts, result)).count();
    let mut by_aggregate: BTreeMap<usize, BTreeMap<u64, u64>> = BTreeMap::new();
    for (id, one) in &sent {
        if let Some((position, _)) = receipts.get(id) {
            by_aggregate.entry(one.aggregate).or_default().insert(one.sequence, *position);
        }
    }
    let disordered: usize = by_aggregate
        .values()
        .map(|positions| {
            positions.values().zip(positions.values().skip(1)).filter(|(one, next)| one >= next).count()
        })
        .sum();
    let mut waits: Vec<Duration> = sent
        .iter()
        .filter_map(|(id, one)| Some(heard.get(id)?.1.saturating_duration_since(one.at)))
        .collect();
    waits.sort_unstable();
    let at = |percent: usize| waits[(waits.len() * percent).div_ceil(100) - 1].as_secs_f32();
    println!(
        "sent {}, recorded {recorded}, lost {lost}, answered otherwise {unfounded}, answers that differ {differing}, \
         aggregates {}, out of order {disordered}, stale appends refused {refused}",
        sent.len(),
        by_aggregate.len(),
    );
    println!("answered after p50 {:.3} s, p99 {:.3} s, most {:.3} s", at(50), at(99), at(100));
    assert_eq!((lost, unfounded, differing, disordered), (0, 0, 0, 0));
    assert!(refused > 0, "the stopped processor came to append what it had decided");
    assert_eq!(log::faults(&database).await, [""; 0]);
    let traces = join_all(sent.keys().take(100).map(|id| log::traces(&database, *id))).await;
    assert!(traces.iter().all(|traces| *traces == [1, 1, 1]), "each command is one event");
}
