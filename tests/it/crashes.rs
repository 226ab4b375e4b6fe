//! Every process is ended in turn while wallets transfer: nothing acknowledged is lost, nothing happens twice.

use std::collections::BTreeSet;

use async_nats::jetstream::consumer::pull::OrderedConfig;
use futures::StreamExt as _;
use nix::sys::signal::Signal;
use nsl_schemas::result::CommandResult;
use nsl_schemas::streams;
use sqlx::PgPool;

use crate::chain::gas;
use crate::load::{FUNDS_DATOSHI, Heard, Load, SENT_DATOSHI};
use crate::log::{self, Published};
use crate::patience::until;
use crate::system::System;
use crate::wallets;

/// All processes of a local site but the chain, in the order of their deaths.
const PROCESSES: [&str; 11] = [
    "commands",
    "projections",
    "enclave-worker-1",
    "enclave-worker-2",
    "enclave-worker-3",
    "enclave-host",
    "chain-relay",
    "price-sources",
    "venues",
    "nats",
    "postgres",
];
/// The chain's only node is ended in good order: killed, it forgets the blocks of its last second, which a chain of
/// several nodes gives back to it and this one cannot. What it said to be final would then never have been.
const CHAIN: &str = "neo";
/// Every stream that our processes make.
const STREAMS: [&str; 6] =
    [streams::COMMANDS, streams::RESULTS, streams::JOBS, streams::EVENTS, streams::PRICES, streams::TICKS];
/// Commands that must be acknowledged, and transfers that must be confirmed, between two deaths.
const PROGRESS: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_while_every_process_is_killed_in_turn() {
    let Some(system) = System::start().await else { return };
    let deaths = PROCESSES.map(|name| (name, Signal::SIGKILL)).into_iter().chain([(CHAIN, Signal::SIGTERM)]);
    let names: BTreeSet<String> = deaths.clone().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(system.processes(), names, "every process has its turn");
    let database = system.database();
    let mut load = Load::start(&system).await;
    for (name, signal) in deaths {
        let (acknowledged, confirmed) = (load.acknowledged(), confirmed(&database).await.unwrap());
        let ended = std::time::Instant::now();
        system.end(name, signal).await;
        until(&format!("work goes on after the end of {name}"), async || {
            assert!(!load.has_failed(), "a client gave up after the end of {name}");
            let goes_on = load.acknowledged() >= acknowledged + PROGRESS
                && self::confirmed(&database).await? >= confirmed + PROGRESS;
            goes_on.then_some(())
        })
        .await;
        println!(
            "{name} ended by {signal}; {PROGRESS} further transfers confirmed after {:.1} s",
            ended.elapsed().as_secs_f32()
        );
    }
    let heard = load.stop().await;
    check_commands(&database, &heard).await;
    check_chain(&system, &load, &heard).await;
    check_stream(&system, &database).await;
    system.check_read_models();
}

/// Every stream is deleted in turn, as an operator may do by mistake: each is made again, and what it held that still
/// matters comes again from the log and from clients.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_while_every_stream_is_deleted_in_turn() {
    let Some(system) = System::start().await else { return };
    let database = system.database();
    let jetstream = async_nats::jetstream::new(system.bus().await);
    let mut load = Load::start(&system).await;
    for stream in STREAMS {
        let (acknowledged, confirmed) = (load.acknowledged(), confirmed(&database).await.unwrap());
        jetstream.delete_stream(stream).await.unwrap();
        let deleted = std::time::Instant::now();
        until(&format!("work goes on after the deletion of {stream}"), async || {
            assert!(!load.has_failed(), "a client gave up after the deletion of {stream}");
            jetstream.get_stream(stream).await.ok()?;
            let goes_on = load.acknowledged() >= acknowledged + PROGRESS
                && self::confirmed(&database).await? >= confirmed + PROGRESS;
            goes_on.then_some(())
        })
        .await;
        let after = deleted.elapsed().as_secs_f32();
        println!("{stream} deleted; {PROGRESS} further transfers confirmed after {after:.1} s");
    }
    let heard = load.stop().await;
    check_commands(&database, &heard).await;
    check_chain(&system, &load, &heard).await;
    check_stream(&system, &database).await;
    system.check_read_models();
}

/// Transfers that the log has as confirmed; `None` while the database is away.
pub(crate) async fn confirmed(database: &PgPool) -> Option<usize> {
    let query = "SELECT count(*) FROM events WHERE event_type = 'transfer-confirmed'";
    let count: i64 = sqlx::query_scalar(query).fetch_one(database).await.ok()?;
    usize::try_from(count).ok()
}

/// Every acknowledged command is in the log once, as its client heard, and led to its end once.
pub(crate) async fn check_commands(database: &PgPool, heard: &Heard) {
    for (results, end) in [(&heard.transfers, "transfer-confirmed"), (&heard.creations, "key-created")] {
        let requests: Vec<String> = results.iter().map(|result| result.command_id.to_string()).collect();
        // How many requests have this end, and how many such ends there are.
        let query = "SELECT count(DISTINCT payload->>'request_id'), count(*) FROM events \
                     WHERE event_type = $1 AND payload->>'request_id' = ANY ($2)";
        let ended = async || -> (i64, i64) {
            sqlx::query_as(query).bind(end).bind(&requests).fetch_one(database).await.unwrap()
        };
        let all = i64::try_from(requests.len()).unwrap();
        until(&format!("every request has its {end}"), async || (ended().await.0 == all).then_some(())).await;
        assert_eq!(ended().await, (all, all), "{end}");
    }
    assert_eq!(log::faults(database).await, [""; 0]);
    assert_eq!(lost_and_doubled(database, heard).await, (0, 0));
}

/// How many commands were acknowledged that the log does not have, and how many that it has twice.
pub(crate) async fn lost_and_doubled(database: &PgPool, heard: &Heard) -> (usize, usize) {
    let receipts = log::receipts(database).await;
    let all: Vec<&CommandResult> = heard.transfers.iter().chain(&heard.creations).collect();
    let recorded = all.iter().filter(|result| log::holds(&receipts, result)).count();
    let distinct: BTreeSet<_> = all.iter().map(|result| (result.first_position, result.command_id)).collect();
    let (lost, doubled) = (all.len() - recorded, all.len() - distinct.len());
    println!("acknowledged {}, recorded {recorded}, lost {lost}, doubled {doubled}", all.len());
    (lost, doubled)
}

/// Balances add up to the datoshi: every transfer is on the chain once.
pub(crate) async fn check_chain(system: &System, load: &Load, heard: &Heard) {
    let node = system.node();
    let transfers = u128::try_from(heard.transfers.len()).unwrap();
    assert_eq!(gas(&node, load.recipient).await, transfers * SENT_DATOSHI);
    let (mut spent, mut cost) = (0, 0);
    for sender in &load.senders {
        spent += FUNDS_DATOSHI - gas(&node, wallets::address(&sender.wallet)).await;
        let fees =
            u128::from(sender.quote.system_fee_datoshi.0) + u128::from(sender.quote.network_fee_datoshi.0);
        assert!(cost == 0 || cost == SENT_DATOSHI + fees, "all transfers of this load cost the same");
        cost = SENT_DATOSHI + fees;
    }
    assert_eq!(spent, transfers * cost);
}

/// The event stream is the log: sequence = position, no event missing, none twice, byte for byte.
pub(crate) async fn check_stream(system: &System, database: &PgPool) {
    let head = log::head(database).await;
    let jetstream = async_nats::jetstream::new(system.bus().await);
    until("the log is published", async || {
        let stream = jetstream.get_stream(streams::EVENTS).await.unwrap();
        (stream.cached_info().state.last_sequence >= head).then_some(())
    })
    .await;
    let stream = jetstream.get_stream(streams::EVENTS).await.unwrap();
    let messages = stream.create_consumer(OrderedConfig::default()).await.unwrap().messages().await.unwrap();
    let published: Vec<Published> = messages
        .take(head.try_into().unwrap())
        .map(|message| {
            let message = message.unwrap();
            let position = message.info().unwrap().stream_sequence;
            let id = message.headers.as_ref().unwrap().get("ce-id").unwrap().to_string();
            let data = String::from_utf8(message.payload.to_vec()).unwrap();
            (position, message.subject.to_string(), id, data)
        })
        .collect()
        .await;
    assert_eq!(published, log::publishable(database, head).await);
}
