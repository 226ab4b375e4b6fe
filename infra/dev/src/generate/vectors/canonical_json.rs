//! Canonical JSON (RFC 8785) as far as the language uses it: sorted keys, no white space, plain escapes, integers.

use nsl_schemas::canonical;
use serde_json::{Value, json};

/// Key order by UTF-16 units, nesting, escapes, the largest exact integer, and nothing at all.
const INPUTS: [&str; 5] = [
    r#"{ "b": 1, "a": [true, null, {"z": "", "y": 0}], "€": "euro", "A": "capital" }"#,
    r#"{"text": "line\nbreak \"quoted\" back\\slash \u0000 \u00e9 \ud83d\ude00 /"}"#,
    r#"{"integer": 9007199254740991, "amount": "340282366920938463463374607431768211455"}"#,
    r#"{"\ud83d\ude00": 1, "\ufb33": 2}"#,
    "{}",
];

pub(super) fn document() -> Value {
    let cases: Vec<Value> = INPUTS.iter().map(|input| case(input)).collect();
    json!({ "about": "RFC 8785; what is hashed, signed and stored is this text in UTF-8.", "cases": cases })
}

fn case(input: &str) -> Value {
    let parsed: Value = serde_json::from_str(input).expect("the inputs of this file are JSON");
    json!({
        "input": input,
        "canonical": canonical::to_string(&parsed),
        "sha256": canonical::sha256(&parsed),
    })
}
