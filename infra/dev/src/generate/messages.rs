//! Every message of the language with its schema: one file each below `schemas/`.

use nsl_schemas::authority::{GenesisManifest, GrantChain, Signed};
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::event::{self, Metadata};
use nsl_schemas::job::{EnclaveJob, SubmitJob};
use nsl_schemas::outcome::SignedOutcome;
use nsl_schemas::price::{Observation, PriceMessage};
use nsl_schemas::result::{CommandResult, Refusal};
use nsl_schemas::schema::{DescribedCommand, DescribedEvent, accepted, published};
use nsl_schemas::{command, query};
use serde_json::{Value, json};

/// The keyword that lists an event's versions, oldest first; the schema is the last one's.
pub(super) const VERSIONS: &str = "x-versions";

/// What a message is on the bus; documents are parts of messages, or files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Command { aggregate: &'static str, verb: &'static str },
    Event { aggregate: &'static str, event: &'static str },
    Question { name: &'static str },
    Reply { name: &'static str },
    Result,
    Refusal,
    EnclaveJob,
    SubmitJob,
    Tick,
    Price,
    Document(&'static str),
}

/// A message with its schema.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) summary: String,
    pub(super) schema: Value,
}

impl Message {
    /// Its schema's file, below the contract.
    pub(super) fn file(&self) -> String {
        format!("schemas/{}.json", self.kind.name())
    }
}

impl Kind {
    /// The name in the document and of the file.
    pub(super) fn name(self) -> String {
        match self {
            Self::Command { aggregate, verb } => format!("command.{aggregate}.{verb}"),
            Self::Event { aggregate, event } => format!("event.{aggregate}.{event}"),
            Self::Question { name } => format!("query.{name}"),
            Self::Reply { name } => format!("query.{name}.reply"),
            Self::Result => "result".to_owned(),
            Self::Refusal => "refusal".to_owned(),
            Self::EnclaveJob => "job.enclave".to_owned(),
            Self::SubmitJob => "job.submit-transaction".to_owned(),
            Self::Tick => "tick".to_owned(),
            Self::Price => "price".to_owned(),
            Self::Document(name) => name.to_owned(),
        }
    }
}

/// Every message: commands, events and questions as their enums declare them, and the others.
pub(super) fn all() -> Vec<Message> {
    let commands =
        command::schemas().into_iter().map(|DescribedCommand { aggregate, verb, summary, schema }| {
            message(Kind::Command { aggregate, verb }, summary, schema)
        });
    let events = event::schemas().into_iter().map(described_event);
    let mut messages: Vec<Message> = commands.chain(events).collect();
    for question in query::schemas() {
        let name = question.name;
        messages.push(message(Kind::Question { name }, question.summary, question.question));
        let summary = format!("The answer to `{name}`, or why there is none.");
        messages.push(message(Kind::Reply { name }, &summary, question.reply));
    }
    messages.extend(answers_jobs_and_prices());
    messages.extend(documents());
    messages
}

/// An event's schema is that of its newest version, and names every version that the stream may hold.
fn described_event(event: DescribedEvent) -> Message {
    let DescribedEvent { event_type, summary, schema } = event;
    let mut schema: Value = schema.into();
    if let Value::Object(members) = &mut schema {
        members.insert(VERSIONS.to_owned(), event_type.versions().collect());
    }
    message(Kind::Event { aggregate: event_type.aggregate, event: event_type.name }, summary, schema)
}

fn answers_jobs_and_prices() -> [Message; 6] {
    [
        message(
            Kind::Result,
            "What was decided about a command, the same for ever.",
            published::<CommandResult>(),
        ),
        message(Kind::Refusal, "Refused at intake: nothing was recorded.", published::<Refusal>()),
        message(Kind::EnclaveJob, "Work for the enclave pool.", published::<EnclaveJob>()),
        message(
            Kind::SubmitJob,
            "Get a transaction into a block, or see that it can no longer be.",
            published::<SubmitJob>(),
        ),
        message(Kind::Tick, "One venue's price at one time.", published::<Observation>()),
        message(Kind::Price, "An accepted price.", published::<PriceMessage>()),
    ]
}

fn documents() -> [Message; 5] {
    [
        message(
            Kind::Document("event-metadata"),
            "What the log keeps beside an event's payload.",
            published::<Metadata>(),
        ),
        message(
            Kind::Document("signed-command"),
            "A command as it travels in files and jobs.",
            accepted::<SignedCommand>(),
        ),
        message(Kind::Document("grant-chain"), "Why a key may issue a command.", accepted::<GrantChain>()),
        message(
            Kind::Document("genesis"),
            "What everything else in a log rests on, signed by its quorum.",
            accepted::<Signed<GenesisManifest>>(),
        ),
        message(
            Kind::Document("signed-outcome"),
            "What a worker answers to a job, signed by it.",
            published::<SignedOutcome>(),
        ),
    ]
}

fn message(kind: Kind, summary: &str, schema: impl Into<Value>) -> Message {
    let mut schema = schema.into();
    make_descriptions_plain(&mut schema);
    if let Value::Object(members) = &mut schema {
        // The types' own names and first lines tell a reader of Rust what the file's name says here.
        members.insert("title".to_owned(), json!(kind.name()));
        members.insert("description".to_owned(), json!(summary));
    }
    Message { kind, summary: summary.to_owned(), schema }
}

/// Descriptions are the types' doc comments: their links and line ends mean something in Rust only.
fn make_descriptions_plain(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" => *text = plain(text),
                    _ => make_descriptions_plain(member),
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(make_descriptions_plain),
        _ => {}
    }
}

/// The text with each link to an item, as ``[`crate::ids::job_id`]``, replaced by the item's name.
fn plain(text: &str) -> String {
    let mut parts = text.split("[`");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (path, rest) = part.split_once("`]").unwrap_or((part, ""));
        let name = path.rsplit("::").next().unwrap_or(path);
        out = [&out, "`", name, "`", rest].concat();
    }
    out.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_doc_comments_become_names() {
        for (text, expected) in [
            ("no link", "no link"),
            ("Two\nlines.", "Two lines."),
            ("See [`crate::errors`].", "See `errors`."),
            ("Of [`A`] and [`crate::b::C`]", "Of `A` and `C`"),
            ("`code` alone", "`code` alone"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }
}
