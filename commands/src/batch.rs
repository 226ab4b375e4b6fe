//! A batch for the log, gathered command by command: each is decided on what the commands before it decided, and nothing
//! of it counts before the commit (D3).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use nsl_domain::decision::{Facts, Genesis, Order, Rejection};
use nsl_event_store::{CommandAppend, Fence, NewEvent};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::canonical;
use nsl_schemas::command::Command;
use nsl_schemas::command::secret::SecretCommand;
use nsl_schemas::command::wallet::WalletCommand;
use nsl_schemas::event::rejection::{self, CommandRejected};
use nsl_schemas::event::{Metadata, WireEvent as _};
use nsl_schemas::ids;
use nsl_schemas::number::UnixMs;
use nsl_schemas::result::Answer;
use uuid::Uuid;

use crate::aggregates::{DecidedEvent, StreamKey, Versioned, aggregate_type};
use crate::directory::Directory;
use crate::intake::Incoming;
use crate::processor::Taken;

/// An aggregate's state and the lease under which it was current: whoever holds the partition later may have moved it
/// on, so under another lease it is loaded again.
#[derive(Debug, Clone)]
pub(crate) struct Leased {
    /// The state.
    pub state: Versioned,
    /// The lease.
    pub fence: Fence,
}

/// What decisions are given apart from command and state.
#[derive(Debug)]
pub(crate) struct Known<'a> {
    /// Event 1.
    pub genesis: &'a Arc<Genesis>,
    /// Grants and workers.
    pub directory: &'a Directory,
    /// How long workers have to sign a transfer.
    pub signing_ms: u64,
    /// Unix ms.
    pub now_ms: u64,
}

/// Decided commands, with the states that their decisions lead to.
#[derive(Debug)]
pub(crate) struct Batch<D> {
    /// When its first command was taken up.
    pub started: Instant,
    /// The ids of its commands: a batch decides an id once.
    pub ids: HashSet<Uuid>,
    /// Of its commands' payloads.
    pub payload_bytes: usize,
    /// The commands, in order.
    pub taken: Vec<Taken<D>>,
    /// What the log shall hold of each.
    pub appends: Vec<CommandAppend>,
    /// How many events each has.
    pub event_counts: Vec<u32>,
    /// What each client shall hear.
    pub answers: Vec<Answer>,
    /// The addressed aggregates after the batch.
    pub states: HashMap<StreamKey, Leased>,
}

impl<D> Batch<D> {
    /// A batch without commands.
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            ids: HashSet::new(),
            payload_bytes: 0,
            taken: Vec::new(),
            appends: Vec::new(),
            event_counts: Vec::new(),
            answers: Vec::new(),
            states: HashMap::new(),
        }
    }

    /// Decides one command and adds it. Its aggregate's state must be here, under the command's own lease.
    pub(crate) async fn decide(&mut self, taken: Taken<D>, command: Command, known: &Known<'_>) {
        let key = stream_key(&taken.incoming, &command);
        let leased =
            self.states.get(&key).expect("the processor loads every addressed aggregate before it decides");
        let before = leased.state.version;
        let order = order(&taken.incoming, command, known);
        let now_ms = known.now_ms;
        let (append, answer) = match leased.state.decide(order).await {
            Ok((events, after)) => {
                let decided = accepted(&taken, &key, before, after.version, events, now_ms);
                self.states.insert(key, Leased { state: after, fence: taken.fence });
                decided
            }
            Err(rejection) => rejected(&taken, rejection, now_ms),
        };
        self.ids.insert(append.command_id);
        self.payload_bytes += append.payload.len();
        self.taken.push(taken);
        self.event_counts.push(u32::try_from(append.events.len()).unwrap_or(u32::MAX));
        self.appends.push(append);
        self.answers.push(answer);
    }
}

/// The stream that a command addresses.
pub(crate) fn stream_key(incoming: &Incoming, command: &Command) -> StreamKey {
    StreamKey { aggregate_type: aggregate_type(command), aggregate_id: incoming.subject.stream_id() }
}

fn order(incoming: &Incoming, body: Command, known: &Known<'_>) -> Order<Command> {
    let worker_is_registered = match &body {
        Command::Wallet(wallet) => match &**wallet {
            WalletCommand::RecordOutcome(command) => known.directory.has_worker(&command.outcome.worker),
            _ => false,
        },
        Command::Secret(secret) => match &**secret {
            SecretCommand::RecordOutcome(command) => known.directory.has_worker(&command.outcome.worker),
            _ => false,
        },
        Command::Authority(_) | Command::PriceFeed(_) | Command::Sealing(_) | Command::Worker(_) => false,
    };
    Order {
        tenant: incoming.subject.tenant.clone(),
        id: incoming.subject.id.clone(),
        command_id: incoming.signed.envelope.command_id,
        request_sha256: incoming.request_sha256,
        issued_at_ms: incoming.signed.envelope.issued_at_ms,
        now_ms: known.now_ms,
        body,
        facts: Facts {
            genesis: Arc::clone(known.genesis),
            operators: known.directory.operators(),
            worker_is_registered,
            signing_ms: known.signing_ms,
        },
    }
}

fn accepted<D>(
    taken: &Taken<D>,
    key: &StreamKey,
    expected_version: u64,
    version: u64,
    events: Vec<DecidedEvent>,
    now_ms: u64,
) -> (CommandAppend, Answer) {
    let answer = Answer::Accepted { version };
    let id = key.aggregate_id.clone();
    let append = append(taken, key.aggregate_type, id, expected_version, events, &answer, now_ms);
    (append, answer)
}

/// A rejection has a stream of its own, so that it moves no aggregate's version (D5).
fn rejected<D>(taken: &Taken<D>, rejection: Rejection, now_ms: u64) -> (CommandAppend, Answer) {
    let envelope = &taken.incoming.signed.envelope;
    let code = rejection.code.code.to_owned();
    let event = CommandRejected {
        subject: envelope.subject.clone(),
        code: code.clone(),
        message: rejection.message.clone(),
    };
    let event = DecidedEvent {
        event_type: event.event_name().to_owned(),
        event_version: event.event_version().to_owned(),
        payload: canonical::to_string(&event),
    };
    let stream_id = format!("{}.{}", taken.incoming.subject.tenant, envelope.command_id);
    let answer = Answer::Rejected { code, message: rejection.message };
    let append = append(taken, rejection::AGGREGATE, stream_id, 0, vec![event], &answer, now_ms);
    (append, answer)
}

fn append<D>(
    taken: &Taken<D>,
    aggregate_type: &str,
    aggregate_id: String,
    expected_version: u64,
    events: Vec<DecidedEvent>,
    answer: &Answer,
    now_ms: u64,
) -> CommandAppend {
    let Incoming { signed, request_sha256: Sha256(request_hash), traceparent, subject: _ } = &taken.incoming;
    let envelope = &signed.envelope;
    let new_event = |(event, index): (DecidedEvent, u32)| {
        let event_id = ids::event_id(envelope.command_id, index);
        let metadata = Metadata {
            event_id,
            command_id: envelope.command_id,
            issuer: envelope.issuer,
            decided_at_ms: UnixMs(now_ms),
            traceparent: traceparent.clone(),
        };
        let DecidedEvent { event_type, event_version, payload } = event;
        NewEvent { event_id, event_type, event_version, payload, metadata: canonical::to_string(&metadata) }
    };
    CommandAppend {
        command_id: envelope.command_id,
        issuer: envelope.issuer.to_string(),
        request_hash: *request_hash,
        subject: envelope.subject.clone(),
        envelope: canonical::to_string(envelope),
        payload: signed.payload.clone(),
        answer: canonical::to_string(answer),
        aggregate_type: aggregate_type.to_owned(),
        aggregate_id,
        expected_version,
        events: events.into_iter().zip(0..).map(new_event).collect(),
        fence: taken.fence,
    }
}

#[cfg(test)]
mod tests;
