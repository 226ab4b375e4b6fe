//! From a run of commands to a batch for the log: each command is decided on what the commands before it decided, and
//! nothing of it counts before the commit (D3).

use std::collections::HashMap;
use std::sync::Arc;

use nsl_domain::decision::{Facts, Genesis, Order, Rejection};
use nsl_event_store::{CommandAppend, Fence, NewEvent};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::canonical;
use nsl_schemas::command::Command;
use nsl_schemas::command::wallet::WalletCommand;
use nsl_schemas::event::rejection::{self, CommandRejected};
use nsl_schemas::event::{Metadata, WireEvent as _};
use nsl_schemas::ids;
use nsl_schemas::number::UnixMs;
use nsl_schemas::result::Answer;

use crate::aggregates::{DecidedEvent, StreamKey, Versioned, aggregate_type};
use crate::directory::Directory;
use crate::intake::Incoming;

/// A command that passed intake and waits for its decision.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    /// The signed command.
    pub incoming: Incoming,
    /// Its typed payload.
    pub command: Command,
    /// The lease under which it was taken.
    pub fence: Fence,
}

impl Admitted {
    /// The stream that it addresses.
    pub(crate) fn key(&self) -> StreamKey {
        StreamKey {
            aggregate_type: aggregate_type(&self.command),
            aggregate_id: self.incoming.subject.stream_id(),
        }
    }
}

/// A decided command.
#[derive(Debug)]
pub(crate) struct Decided {
    /// What the log shall hold.
    pub append: CommandAppend,
    /// What the client shall hear.
    pub answer: Answer,
}

/// The states that the decisions of one batch rest on and lead to.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    states: HashMap<StreamKey, Versioned>,
}

impl Workspace {
    /// Brings in a committed state.
    pub(crate) fn insert(&mut self, key: StreamKey, state: Versioned) {
        self.states.insert(key, state);
    }

    /// Whether the aggregate's state is here.
    pub(crate) fn contains(&self, key: &StreamKey) -> bool {
        self.states.contains_key(key)
    }

    /// The states after the batch, to be cached once it is committed.
    pub(crate) fn into_states(self) -> impl Iterator<Item = (StreamKey, Versioned)> {
        self.states.into_iter()
    }

    /// Decides one command. Its aggregate's state must be here.
    pub(crate) async fn decide(
        &mut self,
        admitted: &Admitted,
        genesis: &Arc<Genesis>,
        directory: &Directory,
        now_ms: u64,
    ) -> Decided {
        let key = admitted.key();
        let state =
            self.states.get(&key).expect("the processor loads every addressed aggregate before it decides");
        let order = order(admitted, genesis, directory, now_ms);
        match state.decide(order).await {
            Ok((events, after)) => {
                let decided = accepted(admitted, &key, state.version, after.version, &events, now_ms);
                self.states.insert(key, after);
                decided
            }
            Err(rejection) => rejected(admitted, rejection, now_ms),
        }
    }
}

fn order(admitted: &Admitted, genesis: &Arc<Genesis>, directory: &Directory, now_ms: u64) -> Order<Command> {
    let Admitted { incoming, command, fence: _ } = admitted;
    let worker_is_registered = match command {
        Command::Wallet(wallet) => match &**wallet {
            WalletCommand::RecordOutcome(command) => directory.has_worker(&command.outcome.worker),
            _ => false,
        },
        Command::Authority(_) | Command::PriceFeed(_) | Command::Worker(_) => false,
    };
    Order {
        tenant: incoming.subject.tenant.clone(),
        id: incoming.subject.id.clone(),
        command_id: incoming.signed.envelope.command_id,
        request_sha256: incoming.request_sha256,
        issued_at_ms: incoming.signed.envelope.issued_at_ms,
        now_ms,
        body: command.clone(),
        facts: Facts { genesis: Arc::clone(genesis), worker_is_registered },
    }
}

fn accepted(
    admitted: &Admitted,
    key: &StreamKey,
    expected_version: u64,
    version: u64,
    events: &[DecidedEvent],
    now_ms: u64,
) -> Decided {
    let answer = Answer::Accepted { version };
    let append = append(
        admitted,
        key.aggregate_type,
        key.aggregate_id.clone(),
        expected_version,
        events,
        &answer,
        now_ms,
    );
    Decided { append, answer }
}

/// A rejection has a stream of its own, so that it moves no aggregate's version (D5).
fn rejected(admitted: &Admitted, rejection: Rejection, now_ms: u64) -> Decided {
    let envelope = &admitted.incoming.signed.envelope;
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
    let stream_id = format!("{}.{}", admitted.incoming.subject.tenant, envelope.command_id);
    let answer = Answer::Rejected { code, message: rejection.message };
    let append = append(admitted, rejection::AGGREGATE, stream_id, 0, &[event], &answer, now_ms);
    Decided { append, answer }
}

fn append(
    admitted: &Admitted,
    aggregate_type: &str,
    aggregate_id: String,
    expected_version: u64,
    events: &[DecidedEvent],
    answer: &Answer,
    now_ms: u64,
) -> CommandAppend {
    let Incoming { signed, request_sha256: Sha256(request_hash), traceparent, subject: _ } =
        &admitted.incoming;
    let envelope = &signed.envelope;
    let new_event = |(event, index): (&DecidedEvent, u32)| {
        let event_id = ids::event_id(envelope.command_id, index);
        let metadata = Metadata {
            event_id,
            command_id: envelope.command_id,
            issuer: envelope.issuer,
            decided_at_ms: UnixMs(now_ms),
            traceparent: traceparent.clone(),
        };
        NewEvent {
            event_id,
            event_type: event.event_type.clone(),
            event_version: event.event_version.clone(),
            payload: event.payload.clone(),
            metadata: canonical::to_string(&metadata),
        }
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
        events: events.iter().zip(0..).map(new_event).collect(),
        fence: admitted.fence,
    }
}

#[cfg(test)]
mod tests;
