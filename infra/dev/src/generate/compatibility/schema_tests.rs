//! Pairs of schemas: what a reader by one objects to in what is written by the other.

use serde_json::{Value, json};

use super::*;

/// A closed object of these members, of which those without `?` are required.
fn object(members: Value) -> Value {
    let Value::Object(members) = members else { panic!("{members}") };
    let required: Vec<&str> =
        members.keys().map(String::as_str).filter(|name| !name.ends_with('?')).collect();
    let properties: Map<String, Value> = members
        .iter()
        .map(|(name, schema)| (name.trim_end_matches('?').to_owned(), schema.clone()))
        .collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required })
}

fn text() -> Value {
    json!({ "type": "string" })
}

/// An object that carries its kind.
fn tagged(kind: &str, mut members: Value) -> Value {
    members["kind"] = json!({ "type": "string", "const": kind });
    object(members)
}

fn found(reader: &Value, written: &Value) -> Vec<(Rule, String)> {
    objections(reader, written).into_iter().map(|objection| (objection.rule, objection.at)).collect()
}

#[test]
fn what_a_reader_takes_it_has_no_objection_to() {
    let open = |members: Value| {
        let mut schema = object(members);
        schema.as_object_mut().unwrap().remove("additionalProperties");
        schema
    };
    for (why, reader, written) in [
        ("the same", object(json!({ "a": text() })), object(json!({ "a": text() }))),
        (
            "a member may be there",
            object(json!({ "a": text(), "b?": text() })),
            object(json!({ "a": text() })),
        ),
        ("a member may be absent", object(json!({ "a?": text() })), object(json!({ "a": text() }))),
        (
            "an open reader does not look",
            open(json!({ "a": text() })),
            open(json!({ "a": text(), "b": text() })),
        ),
        ("another type too", json!({ "type": ["string", "null"] }), text()),
        ("any number", json!({ "type": "number" }), json!({ "type": "integer" })),
        ("anything", json!(true), text()),
        (
            "a wider integer",
            json!({ "type": "integer", "format": "uint64", "minimum": 0 }),
            json!({ "type": "integer", "format": "uint8", "minimum": 0, "maximum": 255 }),
        ),
        (
            "wider bounds",
            json!({ "minLength": 1, "maxLength": 64 }),
            json!({ "minLength": 4, "maxLength": 4 }),
        ),
        ("no pattern any more", text(), json!({ "type": "string", "pattern": "^a$" })),
        ("one more value", json!({ "enum": ["a", "b", "c"] }), json!({ "enum": ["c", "a"] })),
        ("a constant of its type", text(), json!({ "const": "a" })),
        (
            "one more form",
            json!({ "oneOf": [tagged("a", json!({})), tagged("b", json!({}))] }),
            tagged("a", json!({})),
        ),
        ("other words", json!({ "type": "string", "title": "A", "description": "b" }), text()),
        (
            "by reference",
            json!({ "$defs": { "T": text() }, "items": { "$ref": "#/$defs/T" } }),
            json!({ "$defs": { "U": { "const": "x" } }, "items": { "$ref": "#/$defs/U" } }),
        ),
        (
            "forms beside members",
            json!({ "type": "object", "properties": { "id": text() }, "required": ["id"],
                "oneOf": [tagged_open("a"), tagged_open("b")] }),
            json!({ "type": "object", "properties": { "id": text() }, "required": ["id"], "oneOf": [tagged_open("b")] }),
        ),
    ] {
        assert_eq!(found(&reader, &written), [], "{why}");
    }
}

fn tagged_open(kind: &str) -> Value {
    json!({ "type": "object", "properties": { "kind": { "const": kind } }, "required": ["kind"] })
}

#[test]
fn what_a_reader_does_not_take_is_named_with_its_place() {
    use Rule::{
        AlternativeUnknown, BoundsNarrowed, FormatChanged, MemberRequired, MemberUnknown, NotJudged,
        TypeNarrowed, ValueUnknown,
    };
    let list = |of: Value| object(json!({ "list": { "type": "array", "items": of } }));
    let digits = |count: u8| json!({ "type": "string", "pattern": format!("^[0-9]{{{count}}}$") });
    let integer = |format: &str| json!({ "type": "integer", "format": format });
    let recursive = json!({ "$ref": "#" });
    for (reader, written, rule, at) in [
        (object(json!({})), object(json!({ "a": text() })), MemberUnknown, "a"),
        (object(json!({})), object(json!({ "a?": text() })), MemberUnknown, "a"),
        (
            object(json!({ "a": text() })),
            json!({ "type": "object", "properties": { "a": text() }, "required": ["a"] }),
            MemberUnknown,
            "*",
        ),
        (object(json!({ "a": text() })), object(json!({})), MemberRequired, "a"),
        (object(json!({ "a": text() })), object(json!({ "a?": text() })), MemberRequired, "a"),
        (
            object(json!({ "a": object(json!({ "b": text() })) })),
            object(json!({ "a": object(json!({})) })),
            MemberRequired,
            "a.b",
        ),
        (text(), json!({ "type": ["string", "null"] }), TypeNarrowed, ""),
        (text(), json!({}), TypeNarrowed, ""),
        (json!({ "type": "integer" }), json!({ "type": "number" }), TypeNarrowed, ""),
        (json!({ "type": "integer" }), json!({ "const": "one" }), TypeNarrowed, ""),
        (list(text()), list(json!({ "type": "integer" })), TypeNarrowed, "list[]"),
        (list(text()), object(json!({ "list": { "type": "array" } })), TypeNarrowed, "list[]"),
        (json!({ "enum": ["a"] }), json!({ "enum": ["a", "b"] }), ValueUnknown, ""),
        (object(json!({ "a": { "const": "x" } })), object(json!({ "a": text() })), ValueUnknown, "a"),
        (json!({ "maxLength": 4 }), json!({ "maxLength": 5 }), BoundsNarrowed, ""),
        (json!({ "minimum": 1 }), json!({ "minimum": 0 }), BoundsNarrowed, ""),
        (json!({ "minItems": 1 }), json!({}), BoundsNarrowed, ""),
        (json!({ "maximum": 0.5 }), json!({ "maximum": 0.25 }), BoundsNarrowed, ""),
        (digits(2), digits(3), FormatChanged, ""),
        (digits(2), text(), FormatChanged, ""),
        (integer("uint8"), integer("uint32"), FormatChanged, ""),
        (
            json!({ "oneOf": [tagged("a", json!({})), tagged("b", json!({}))] }),
            json!({ "oneOf": [tagged("a", json!({})), tagged("c", json!({}))] }),
            AlternativeUnknown,
            "=c",
        ),
        (
            json!({ "oneOf": [{ "const": "a" }, { "const": "b" }] }),
            json!({ "const": "c" }),
            AlternativeUnknown,
            "",
        ),
        // The form is known by its tag, and what it lacks is told.
        (
            json!({ "oneOf": [tagged("a", json!({})), tagged("b", json!({ "x": text() }))] }),
            json!({ "oneOf": [tagged("b", json!({}))] }),
            MemberRequired,
            "x",
        ),
        (json!({ "anyOf": [text(), { "type": "null" }] }), json!({ "type": "boolean" }), TypeNarrowed, ""),
        (json!({ "not": text() }), text(), NotJudged, ""),
        (json!({ "additionalProperties": text() }), text(), NotJudged, ""),
        (json!({ "$ref": "#/$defs/Absent" }), text(), NotJudged, ""),
        (recursive.clone(), recursive, NotJudged, ""),
        (json!(false), text(), NotJudged, ""),
    ] {
        assert_eq!(found(&reader, &written), [(rule, at.to_owned())], "{reader}\n{written}");
    }
}
