//! JSON Schemas (2020-12) of the language. A verb, an event or a question is declared together with its type, so none can
//! lack its schema.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use crate::event::EventType;

/// A command of an aggregate.
#[derive(Debug, Clone)]
pub struct DescribedCommand {
    /// The aggregate's type.
    pub aggregate: &'static str,
    /// The verb.
    pub verb: &'static str,
    /// What it asks for.
    pub summary: &'static str,
    /// Its payload.
    pub schema: Schema,
}

/// An event of an aggregate.
#[derive(Debug, Clone)]
pub struct DescribedEvent {
    /// Its names and versions.
    pub event_type: EventType,
    /// What it says.
    pub summary: &'static str,
    /// Its payload in the version that is written.
    pub schema: Schema,
}

/// A question and its reply.
#[derive(Debug, Clone)]
pub struct DescribedQuestion {
    /// Its name, the subject's last token.
    pub name: &'static str,
    /// What is asked for.
    pub summary: &'static str,
    /// What is asked.
    pub question: Schema,
    /// What is answered.
    pub reply: Schema,
}

/// What the service takes as a `T`: optional members may be left out.
pub fn accepted<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<T>()
}

/// What the service sends as a `T`: members that are always there are required.
pub fn published<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

/// What the service sends as the variant `name` of an enum whose members carry it in `tag`.
pub(crate) fn tagged<T: JsonSchema>(tag: &str, name: &str) -> Schema {
    let mut schema = published::<T>();
    let object = schema.ensure_object();
    if let Value::Object(properties) = object.entry("properties").or_insert_with(|| json!({})) {
        properties.insert(tag.to_owned(), json!({ "const": name }));
    }
    if let Value::Array(required) = object.entry("required").or_insert_with(|| json!([])) {
        required.push(json!(tag));
    }
    schema
}
