//! Operations: what the service receives and sends. Receiving a command or a question names where the answer is.

use serde_json::{Map, Value, json};

use super::channels::{Channel, Direction};

/// One operation a channel; an inbox is part of its question's.
pub(super) fn document(channels: &[Channel]) -> Value {
    let mut operations = Map::new();
    for channel in channels {
        let (name, messages) = (&channel.name, [on_channel(channel)]);
        let operation = match channel.direction {
            Direction::Command => {
                json!({
                    "action": "receive",
                    "channel": to_channel(name),
                    "summary": channel.summary,
                    "messages": messages,
                    "reply": { "channel": to_channel("result") },
                })
            }
            Direction::Question => {
                json!({
                    "action": "receive",
                    "channel": to_channel(name),
                    "summary": channel.summary,
                    "messages": messages,
                    "reply": { "channel": to_channel(&format!("{name}.reply")) },
                })
            }
            Direction::Published | Direction::Internal => {
                json!({
                    "action": "send",
                    "channel": to_channel(name),
                    "summary": channel.summary,
                    "messages": messages,
                })
            }
            Direction::Inbox => continue,
        };
        operations.insert(name.clone(), operation);
    }
    Value::Object(operations)
}

fn to_channel(name: &str) -> Value {
    json!({ "$ref": format!("#/channels/{name}") })
}

fn on_channel(channel: &Channel) -> Value {
    json!({ "$ref": format!("#/channels/{}/messages/{}", channel.name, channel.message) })
}
