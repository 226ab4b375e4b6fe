//! `asyncapi.json` (AsyncAPI 3.1.0): every subject with its messages, from the service's point of view.

mod channels;
mod headers;
mod operations;

use nsl_schemas::envelope::HEADER_COMMAND_ID;
use serde_json::{Map, Value, json};

use super::messages::{Kind, Message};
use super::streams;

/// What the schemas below `schemas/` are written in.
const SCHEMA_FORMAT: &str = "application/schema+json;version=draft-2020-12";

const DESCRIPTION: &str = "Commands, events, jobs, market data and questions of the Neo Service Layer on NATS. \
    Commands are signed by their issuers and answered after they are in the log; events are CloudEvents in binary \
    mode, whose stream sequence is their position in the log. `x-jetstream` names the stream that takes a subject. \
    Integers that may pass 2^53 are decimal strings; there are no floats. `vectors/` has worked examples of every \
    signed or hashed byte.";

/// The document over all messages.
pub(super) fn document(messages: &[Message]) -> Value {
    let channels = channels::all(messages);
    let described: Map<String, Value> =
        channels.iter().map(|channel| (channel.name.clone(), channel.document())).collect();
    json!({
        "asyncapi": "3.1.0",
        "info": {
            "title": "Neo Service Layer",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": env!("CARGO_PKG_LICENSE") },
        },
        "defaultContentType": "application/json",
        "channels": described,
        "operations": operations::document(&channels),
        "components": {
            "messages": component_messages(messages),
            "parameters": channels::parameters(),
            "schemas": headers::schemas(),
        },
        "x-jetstream": streams::document(),
    })
}

fn component_messages(messages: &[Message]) -> Value {
    let mut described: Map<String, Value> = messages
        .iter()
        .filter(|message| !matches!(message.kind, Kind::Document(_)))
        .map(|message| (message.kind.name(), component_message(message)))
        .collect();
    described.insert(
        channels::HEAD.to_owned(),
        json!({
            "name": channels::HEAD,
            "summary": "The position of the newest event, in decimal digits.",
            "contentType": "text/plain",
            "payload": { "type": "string", "pattern": "^[0-9]+$" },
        }),
    );
    described.insert(
        channels::PARKED.to_owned(),
        json!({
            "name": channels::PARKED,
            "summary": "A message that no consumer could read, byte for byte.",
            "contentType": "application/octet-stream",
        }),
    );
    Value::Object(described)
}

fn component_message(message: &Message) -> Value {
    let name = message.kind.name();
    let mut described = json!({
        "name": name,
        "summary": message.summary,
        "payload": { "schemaFormat": SCHEMA_FORMAT, "schema": { "$ref": format!("./{}", message.file()) } },
    });
    match message.kind {
        Kind::Command { .. } => {
            described["headers"] = reference("schemas", headers::COMMAND);
            described["correlationId"] =
                json!({ "location": format!("$message.header#/{HEADER_COMMAND_ID}") });
        }
        Kind::Event { .. } => described["headers"] = reference("schemas", headers::EVENT),
        Kind::Result | Kind::Refusal => {
            described["correlationId"] = json!({ "location": "$message.payload#/command_id" });
        }
        _ => {}
    }
    described
}

/// A reference to one of the document's components.
fn reference(section: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{section}/{name}") })
}
