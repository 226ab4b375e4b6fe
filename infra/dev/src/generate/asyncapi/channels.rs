//! Channels: a subject template each, with what may be said on it. A verb and an event have a channel of their own, so the
//! subject alone tells the payload.

use nsl_schemas::job::{CLASS_STANDARD, ENCLAVE_KINDS, SUBMIT_KIND};
use nsl_schemas::subject;
use serde_json::{Map, Value, json};

use super::super::messages::{Kind, Message};
use super::super::streams;
use super::reference;

/// Channel and message of the log's head.
pub(super) const HEAD: &str = "head";
/// Channel and message of what no consumer could read.
pub(super) const PARKED: &str = "parked";

const REFUSAL_BY_SEQUENCE: &str = "nsl.v1.ref.{tenant}.{sequence}";

/// Parameters of the templates, with what they stand for and an example.
const PARAMETERS: [(&str, &str, &str); 6] = [
    ("tenant", "A tenant: 1 to 64 characters of A-Z a-z 0-9 _ -", "acme"),
    ("id", "An aggregate's id within its tenant: 1 to 64 characters of A-Z a-z 0-9 _ -", "main"),
    ("command_id", "A command's id: a UUID in hyphenated lower case", "0197f2c0-0000-7000-8000-000000000001"),
    ("venue", "A market-data venue: 1 to 64 characters of A-Z a-z 0-9 _ -", "bitfinex"),
    ("pair", "A currency pair: 1 to 64 characters of A-Z a-z 0-9 _ -", "NEO-USD"),
    ("sequence", "The stream sequence that a publish acknowledgement named, in decimal digits", "42"),
];

/// Whether the service takes or gives what is on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// A client publishes a command; its result is on the channel `result`.
    Command,
    /// A client asks; the answer goes to its inbox.
    Question,
    /// The service publishes.
    Published,
    /// The service's own parts talk to each other: who takes a message is told by the stream.
    Internal,
    /// An inbox of the client.
    Inbox,
}

/// A channel.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub(super) name: String,
    /// None for an inbox, whose subject each question names.
    pub(super) address: Option<String>,
    pub(super) summary: String,
    pub(super) direction: Direction,
    pub(super) message: String,
}

impl Channel {
    pub(super) fn document(&self) -> Value {
        let mut described = Map::new();
        described.insert("address".to_owned(), json!(self.address));
        described.insert("summary".to_owned(), json!(self.summary));
        let messages: Map<String, Value> =
            [(self.message.clone(), reference("messages", &self.message))].into_iter().collect();
        described.insert("messages".to_owned(), Value::Object(messages));
        let Some(address) = &self.address else { return Value::Object(described) };
        let parameters: Map<String, Value> = PARAMETERS
            .iter()
            .filter(|(name, ..)| address.contains(&format!("{{{name}}}")))
            .map(|(name, ..)| ((*name).to_owned(), reference("parameters", name)))
            .collect();
        if !parameters.is_empty() {
            described.insert("parameters".to_owned(), Value::Object(parameters));
        }
        if let Some(stream) = streams::of(address) {
            described.insert("x-jetstream".to_owned(), json!({ "stream": stream }));
        }
        Value::Object(described)
    }
}

/// The parameters that channels refer to.
pub(super) fn parameters() -> Value {
    let described = PARAMETERS.iter().map(|(name, description, example)| {
        ((*name).to_owned(), json!({ "description": description, "examples": [example] }))
    });
    Value::Object(described.collect())
}

/// Every channel.
pub(super) fn all(messages: &[Message]) -> Vec<Channel> {
    let mut channels: Vec<Channel> = messages.iter().flat_map(of_message).collect();
    channels.push(fixed(HEAD, subject::HEAD, "A hint that the log has grown; never the truth.", HEAD));
    channels.push(fixed(PARKED, "nsl.v1.parked.cmd", "Messages for people to look at.", PARKED));
    channels
}

fn of_message(message: &Message) -> Vec<Channel> {
    let kind = message.kind;
    let named = |direction: Direction, address: Option<String>| Channel {
        name: kind.name(),
        address,
        summary: message.summary.clone(),
        direction,
        message: kind.name(),
    };
    match kind {
        Kind::EnclaveJob => ENCLAVE_KINDS.iter().map(|job| job_channel(job, message)).collect(),
        Kind::SubmitJob => vec![job_channel(SUBMIT_KIND, message)],
        Kind::Refusal => vec![named(Direction::Published, address(kind)), refusal_by_sequence(&kind.name())],
        Kind::Document(_) => Vec::new(),
        Kind::Command { .. } => vec![named(Direction::Command, address(kind))],
        Kind::Question { .. } => vec![named(Direction::Question, address(kind))],
        Kind::Reply { .. } => vec![named(Direction::Inbox, None)],
        Kind::Tick => vec![named(Direction::Internal, address(kind))],
        Kind::Event { .. } | Kind::Result | Kind::Price => vec![named(Direction::Published, address(kind))],
    }
}

/// The subject template of a kind that has just one.
fn address(kind: Kind) -> Option<String> {
    match kind {
        Kind::Command { aggregate, verb } => Some(format!("nsl.v1.cmd.{{tenant}}.{aggregate}.{{id}}.{verb}")),
        Kind::Event { aggregate, event } => Some(format!("nsl.v1.evt.{{tenant}}.{aggregate}.{{id}}.{event}")),
        Kind::Question { name } => Some(format!("nsl.v1.qry.{{tenant}}.{name}")),
        Kind::Result => Some("nsl.v1.res.{tenant}.{command_id}".to_owned()),
        Kind::Refusal => Some("nsl.v1.ref.{tenant}.{command_id}".to_owned()),
        Kind::Tick => Some("nsl.v1.tick.{venue}.{pair}".to_owned()),
        Kind::Price => Some("nsl.v1.price.{pair}".to_owned()),
        Kind::EnclaveJob | Kind::SubmitJob | Kind::Reply { .. } | Kind::Document(_) => None,
    }
}

fn refusal_by_sequence(message: &str) -> Channel {
    let summary = "The refusal of a message whose command id cannot be read.";
    fixed("refusal.by-sequence", REFUSAL_BY_SEQUENCE, summary, message)
}

fn job_channel(job: &str, message: &Message) -> Channel {
    Channel {
        name: format!("job.{job}"),
        address: Some(subject::job(job, CLASS_STANDARD)),
        summary: message.summary.clone(),
        direction: Direction::Internal,
        message: message.kind.name(),
    }
}

fn fixed(name: &str, address: &str, summary: &str, message: &str) -> Channel {
    Channel {
        name: name.to_owned(),
        address: Some(address.to_owned()),
        summary: summary.to_owned(),
        direction: Direction::Published,
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use nsl_schemas::subject::CommandSubject;
    use nsl_schemas::token::{AggregateId, AggregateType, EventName, Pair, Tenant, Venue};
    use uuid::Uuid;

    use super::*;
    use crate::generate::messages;

    const COMMAND_ID: &str = "0197f2c0-0000-7000-8000-000000000001";

    /// The subject that our own code builds for a message, with the parameters' examples.
    fn built(kind: Kind) -> Option<String> {
        let tenant = Tenant::parse("acme").unwrap();
        let id = AggregateId::parse("main").unwrap();
        let pair = Pair::parse("NEO-USD").unwrap();
        let command_id = Uuid::parse_str(COMMAND_ID).unwrap();
        Some(match kind {
            Kind::Command { aggregate, verb } => {
                let text = format!("nsl.v1.cmd.acme.{aggregate}.main.{verb}");
                CommandSubject::parse(&text).unwrap().to_string()
            }
            Kind::Event { aggregate, event } => {
                let (aggregate, event) =
                    (AggregateType::parse(aggregate).unwrap(), EventName::parse(event).unwrap());
                subject::event(&tenant, &aggregate, &id, &event)
            }
            Kind::Question { name } => subject::query(&tenant, name),
            Kind::Result => subject::result(&tenant, command_id),
            Kind::Refusal => subject::refusal(&tenant, command_id),
            Kind::Tick => subject::tick(&Venue::parse("bitfinex").unwrap(), &pair),
            Kind::Price => subject::price(&pair),
            Kind::EnclaveJob | Kind::SubmitJob | Kind::Reply { .. } | Kind::Document(_) => return None,
        })
    }

    fn filled(address: &str) -> String {
        PARAMETERS.iter().fold(address.to_owned(), |address, (name, _, example)| {
            address.replace(&format!("{{{name}}}"), example)
        })
    }

    #[test]
    fn templates_are_the_subjects_that_our_own_code_builds() {
        for message in messages::all() {
            let Some(expected) = built(message.kind) else { continue };
            assert_eq!(filled(&address(message.kind).unwrap()), expected);
        }
        assert_eq!(
            filled(REFUSAL_BY_SEQUENCE),
            subject::refusal_by_sequence(&Tenant::parse("acme").unwrap(), 42)
        );
    }
}
