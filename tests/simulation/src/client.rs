//! Clients: each keeps a command until it is answered for good, and sends it again with the same id until then.

use std::sync::Arc;
use std::time::Duration;

use nsl_schemas::errors;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::clock;
use crate::workload::{self, Draft, ISSUER, LATE_ISSUER, Ready, STRANGER};
use crate::world::World;

/// How often a client looks for its answer.
const LOOK: Duration = Duration::from_millis(20);
/// Refusals after which a client tries again.
const TEMPORARY: [&str; 2] = [errors::UNAVAILABLE.code, errors::RATE_LIMITED.code];

/// A client's last word.
enum Heard {
    Result,
    Refused,
}

/// Registers the tenant and its first issuer, and the late one while others are at work already.
pub(crate) async fn administer(world: Arc<World>) {
    let genesis = Arc::clone(&world.genesis);
    exchange(&world, workload::register_root(new_id(&world), &genesis).sign()).await;
    exchange(&world, workload::grant(new_id(&world), &genesis, ISSUER).sign()).await;
    world.delay(0, 5_000).await;
    exchange(&world, workload::grant(new_id(&world), &genesis, LATE_ISSUER).sign()).await;
}

/// Works on one feed until `until_ms`, then waits for its answers.
pub(crate) async fn work(world: Arc<World>, feed: u64, until_ms: u64) {
    let issuer = if world.chance(300) { LATE_ISSUER } else { ISSUER };
    let register = workload::register_feed(new_id(&world), issuer, feed).sign();
    let mut sent: Vec<Ready> = Vec::new();
    if let Heard::Result = exchange(&world, register.clone()).await {
        sent.push(register);
    }
    let mut under_way = JoinSet::new();
    let mut ahead = 0;
    while clock::elapsed_ms() < until_ms {
        world.delay(1, 400).await;
        let window = usize::try_from(world.between(1, 6)).unwrap_or(1);
        while under_way.len() >= window {
            sent.extend(under_way.join_next().await.and_then(Result::ok).flatten());
        }
        if under_way.is_empty() {
            ahead = 0;
        }
        let recorded = world.store().stream("price-feed", &format!("acme.feed{feed}")).len() as u64;
        let ready = next(&world, issuer, feed, recorded + ahead, &sent);
        ahead += 1;
        let world = Arc::clone(&world);
        under_way.spawn(async move {
            match exchange(&world, ready.clone()).await {
                Heard::Result => Some(ready),
                Heard::Refused => None,
            }
        });
    }
    while under_way.join_next().await.is_some() {}
}

/// Mostly the next round; sometimes what a system must withstand.
fn next(world: &World, issuer: u8, feed: u64, round: u64, sent: &[Ready]) -> Ready {
    let price = world.between(100, 110);
    let id = new_id(world);
    let good = |id| workload::record_round(id, issuer, feed, round, price);
    let draft = match world.between(0, 99) {
        0..=7 => workload::record_round(id, issuer, feed, round + world.between(1, 9), price),
        8..=11 => {
            let draft = good(id);
            Draft { issued_at_ms: draft.issued_at_ms - 120_000, lifetime_ms: 60_000, ..draft }
        }
        12..=19 | 34..=41 => Draft { lifetime_ms: world.between(50, 1_500), ..good(id) },
        20..=23 => Draft { issuer: STRANGER, ..good(id) },
        24..=25 => workload::record_round(id, issuer, feed, round, 666),
        26..=27 => Draft { payload: "{}".to_owned(), ..good(id) },
        28..=33 if !sent.is_empty() => {
            let index = usize::try_from(world.between(0, sent.len() as u64 - 1)).unwrap_or(0);
            good(sent[index].request.0)
        }
        _ => good(id),
    };
    draft.sign()
}

fn new_id(world: &World) -> Uuid {
    Uuid::from_u64_pair(world.between(0, u64::MAX), world.between(0, u64::MAX))
}

/// Sends until there is an answer that stays.
async fn exchange(world: &Arc<World>, ready: Ready) -> Heard {
    {
        let mut ledger = world.ledger();
        ledger.requests += 1;
        ledger.open.insert(ready.request);
    }
    let is_other =
        world.store().receipts.get(&ready.request.0).is_some_and(|one| one.request_hash != ready.request.1);
    let heard = loop {
        send(world, &ready);
        if world.fault("duplicate", world.mix.duplicate) {
            send(world, &ready);
        }
        let patience = Duration::from_millis(world.between(200, 3_000));
        let waiting = async {
            loop {
                tokio::time::sleep(LOOK).await;
                if let Some(heard) = heard(world, &ready, is_other) {
                    return heard;
                }
            }
        };
        if let Ok(heard) = tokio::time::timeout(patience, waiting).await {
            break heard;
        }
    };
    world.ledger().open.remove(&ready.request);
    if world.fault("duplicate", world.mix.duplicate) {
        world.delay(0, 2_000).await;
        send(world, &ready);
    }
    heard
}

fn heard(world: &World, ready: &Ready, is_other: bool) -> Option<Heard> {
    let mut ledger = world.ledger();
    if ledger.results.contains_key(&ready.request.0) && !is_other {
        return Some(Heard::Result);
    }
    let code = ledger.refused.get(&ready.request).copied()?;
    if TEMPORARY.contains(&code) || (code == errors::NOT_AUTHORISED.code && ready.is_granted) {
        ledger.refused.remove(&ready.request);
        return None;
    }
    Some(Heard::Refused)
}

/// Publishes a copy, which may be lost and takes a while.
fn send(world: &Arc<World>, ready: &Ready) {
    if world.fault("publish lost", world.mix.publish_lost) {
        return;
    }
    let (world, ready) = (Arc::clone(world), ready.clone());
    tokio::spawn(async move {
        world.delay(0, 30).await;
        let partition = partition(&world, &ready.published.subject.stream_id());
        let sequence = world.bus.publish(partition, ready.published);
        world.note(format_args!("{sequence} in partition {partition} is {}", ready.request.0));
        world.ledger().arrivals.entry(ready.request).or_insert(sequence);
    });
}

/// All commands of an aggregate go the same way.
fn partition(world: &World, stream_id: &str) -> u16 {
    let sum: u16 = stream_id.bytes().map(u16::from).sum();
    sum % world.mix.partitions
}
