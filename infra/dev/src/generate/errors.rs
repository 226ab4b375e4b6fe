//! `errors.json`: every stable error code with its family and its page.

use nsl_schemas::errors::{ALL, Family};
use serde_json::{Value, json};

pub(super) fn document() -> Value {
    let codes: Vec<Value> = ALL
        .iter()
        .map(|code| json!({ "code": code.code, "family": family(code.family), "page": code.page }))
        .collect();
    json!({
        "families": {
            family(Family::Rejected): "A rule said no. Not retried.",
            family(Family::Conflict): "Somebody was first, or something else is under way.",
            family(Family::Unavailable): "Try again later with the same id.",
        },
        "codes": codes,
    })
}

fn family(family: Family) -> &'static str {
    match family {
        Family::Rejected => "rejected",
        Family::Conflict => "conflict",
        Family::Unavailable => "unavailable",
    }
}
