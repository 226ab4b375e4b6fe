//! What must hold when everything is over: the log against itself, against the bus, and against the decisions made again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nsl_commands::aggregates::{StreamKey, Versioned, aggregate_type};
use nsl_domain::decision::{Facts, Order};
use nsl_event_store::CommandAppend;
use nsl_schemas::authority::Operators;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::command::Command;
use nsl_schemas::envelope::Envelope;
use nsl_schemas::event::Metadata;
use nsl_schemas::event::rejection::{self, CommandRejected};
use nsl_schemas::subject::CommandSubject;

use crate::process::SIGNING_MS;
use crate::reader::View;
use crate::world::World;

/// Checks all that can only be checked at the end.
pub(crate) async fn all(world: &World, view: &View) {
    log_is_whole(world);
    outcomes_are_single(world);
    refusals_stay_true(world);
    order_is_kept(world);
    reader_saw_everything(world, view);
    everything_is_answered(world);
    decisions_stand(world).await;
}

/// Positions without a gap, each stream's versions without a gap, each event id once.
fn log_is_whole(world: &World) {
    let events: Vec<_> = world.store().events.values().cloned().collect();
    let (mut versions, mut ids) = (BTreeMap::new(), BTreeSet::new());
    for (event, position) in events.iter().zip(1..) {
        if event.position != position {
            world.violated(format_args!("the log has position {} where {position} belongs", event.position));
            return;
        }
        let version: &mut u64 = versions.entry((&event.aggregate_type, &event.aggregate_id)).or_default();
        *version += 1;
        if event.sequence != *version {
            world.violated(format_args!("stream {} has {} as {version}", event.aggregate_id, event.sequence));
        }
        if !ids.insert(event.event_id) {
            world.violated(format_args!("event {} is in the log twice", event.event_id));
        }
    }
}

/// I2: one outcome for each command.
fn outcomes_are_single(world: &World) {
    let mut ids = BTreeSet::new();
    let commands: Vec<_> = world.store().commands.values().map(|command| command.command_id).collect();
    for id in commands {
        if !ids.insert(id) {
            world.violated(format_args!("command {id} has more than one outcome"));
        }
    }
}

/// What was refused for good by its partition's owner is not recorded later, by an append that was still on its way.
fn refusals_stay_true(world: &World) {
    let refused = world.ledger().refused_for_good.clone();
    for (id, hash) in refused {
        let is_recorded = world.store().receipts.get(&id).is_some_and(|receipt| receipt.request_hash == hash);
        if is_recorded {
            world.violated(format_args!("command {id} was refused for good and is recorded"));
        }
    }
}

/// The commands of an aggregate are recorded in the order in which they first came. One that was refused at first and
/// sent again has no such place.
fn order_is_kept(world: &World) {
    let commands: Vec<_> = world.store().commands.values().cloned().collect();
    let mut last = BTreeMap::<String, u64>::new();
    for command in commands {
        let request = (command.command_id, command.request_hash);
        let ledger = world.ledger();
        if ledger.refusals.contains_key(&request) {
            continue;
        }
        let Some(arrival) = ledger.arrivals.get(&request).copied() else { continue };
        drop(ledger);
        let Ok(subject) = CommandSubject::parse(&command.subject) else { continue };
        let last = last.entry(format!("{}/{}", subject.aggregate, subject.stream_id())).or_default();
        if arrival < *last {
            let id = command.command_id;
            world.violated(format_args!("command {id} came as {arrival} and was overtaken by {last}"));
        }
        *last = (*last).max(arrival);
    }
}

/// I3 and I4: each event once and in order, and the view is what the log makes from nothing.
fn reader_saw_everything(world: &World, view: &View) {
    let events: Vec<_> = world.store().events.values().cloned().collect();
    let mut expected = View::default();
    for event in &events {
        expected.apply(event);
    }
    expected.checkpoint = world.store().head();
    if view.seen != expected.seen {
        let differs = view.seen.iter().zip(&expected.seen).position(|(seen, there)| seen != there);
        let (seen, there) = (view.seen.len(), expected.seen.len());
        world.violated(format_args!("the reader saw {seen} of {there} events, differing at {differs:?}"));
    } else if *view != expected {
        world.violated(format_args!("the read model is not what the log makes from nothing"));
    }
}

/// Nothing waits, neither at a client nor on the bus.
fn everything_is_answered(world: &World) {
    let open = world.ledger().open.len();
    if open > 0 {
        world.violated(format_args!("{open} commands are never answered"));
    }
    let remaining = world.bus.remaining();
    if !remaining.is_empty() {
        world.violated(format_args!("messages {remaining:?} stay on the bus"));
    }
}

/// Every recorded decision is what its command leads to on all that was recorded before it.
async fn decisions_stand(world: &World) {
    let commands: Vec<_> = world.store().commands.values().cloned().collect();
    let mut states = BTreeMap::new();
    for command in &commands {
        if let Err(what) = decide_again(world, command, &mut states).await {
            world.violated(format_args!("command {}: {what}", command.command_id));
        }
    }
}

async fn decide_again(
    world: &World,
    recorded: &CommandAppend,
    states: &mut BTreeMap<(&'static str, String), Versioned>,
) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let subject = CommandSubject::parse(&recorded.subject).map_err(|error| text(&error))?;
    let body = Command::parse(&subject, recorded.payload.as_bytes()).map_err(|error| text(&error))?;
    let envelope: Envelope = serde_json::from_str(&recorded.envelope).map_err(|error| text(&error))?;
    let metadata: Metadata =
        serde_json::from_str(&recorded.events[0].metadata).map_err(|error| text(&error))?;
    let key = StreamKey { aggregate_type: aggregate_type(&body), aggregate_id: subject.stream_id() };
    let place = (key.aggregate_type, key.aggregate_id.clone());
    let state = match states.get(&place) {
        Some(state) => state.clone(),
        None => Versioned::fold(&key, &[]).map_err(|error| text(&error))?,
    };
    let order = Order {
        tenant: subject.tenant.clone(),
        id: subject.id.clone(),
        command_id: recorded.command_id,
        request_sha256: Sha256(recorded.request_hash),
        issued_at_ms: envelope.issued_at_ms,
        now_ms: metadata.decided_at_ms.0,
        body,
        facts: Facts {
            genesis: Arc::clone(&world.genesis),
            operators: Arc::new(Operators::of_genesis(&world.genesis.manifest)),
            worker_is_registered: false,
            signing_ms: SIGNING_MS,
        },
    };
    match state.decide(order).await {
        Ok((events, after)) => {
            let same = events.len() == recorded.events.len()
                && recorded.aggregate_type == key.aggregate_type
                && events.iter().zip(&recorded.events).all(|(ours, theirs)| ours.payload == theirs.payload);
            states.insert(place, after);
            if same {
                Ok(())
            } else {
                Err("the log holds another decision than its state leads to".to_owned())
            }
        }
        Err(no) => {
            let code =
                serde_json::from_str::<CommandRejected>(&recorded.events[0].payload).map(|event| event.code);
            let same = recorded.aggregate_type == rejection::AGGREGATE
                && code.is_ok_and(|code| code == no.code.code);
            if same { Ok(()) } else { Err(format!("the log holds no rejection, its state leads to {no}")) }
        }
    }
}
