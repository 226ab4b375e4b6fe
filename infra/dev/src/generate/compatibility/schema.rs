//! Whether a reader by one JSON Schema takes everything that a writer by another writes, for the keywords that our
//! types make. What cannot be judged is an objection, not a pass.

use std::fmt;

use serde_json::{Map, Value};

/// Deeper than any type of ours; ends a schema that refers to itself.
const DEPTH_MAX: usize = 32;
/// Keywords that say nothing about what is valid. Text in base64 is told by its type; its form is checked by readers.
const ANNOTATIONS: [&str; 8] =
    ["$schema", "$defs", "title", "description", "default", "examples", "contentEncoding", super::VERSIONS];
/// Keywords that are judged, apart from bounds; references and alternatives are resolved before.
const JUDGED: [&str; 9] =
    ["type", "const", "enum", "properties", "required", "additionalProperties", "items", "format", "pattern"];
const LOWER_BOUNDS: [&str; 3] = ["minimum", "minLength", "minItems"];
const UPPER_BOUNDS: [&str; 3] = ["maximum", "maxLength", "maxItems"];

/// A schema without references and alternatives.
type Form = Map<String, Value>;

/// Why a reader would not take what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// A member may be written that the reader does not know.
    MemberUnknown,
    /// A member need not be written that the reader requires.
    MemberRequired,
    /// Another type may be written than the reader takes.
    TypeNarrowed,
    /// A value may be written that the reader does not list.
    ValueUnknown,
    /// A value may be written that lies out of the reader's bounds.
    BoundsNarrowed,
    /// The reader wants another format or pattern.
    FormatChanged,
    /// An alternative may be written that the reader does not have.
    AlternativeUnknown,
    /// A keyword that this program cannot judge.
    NotJudged,
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::MemberUnknown => "a member that may be there is not known",
            Self::MemberRequired => "a member that may be absent is required",
            Self::TypeNarrowed => "a type that may be there is not taken",
            Self::ValueUnknown => "a value that may be there is not known",
            Self::BoundsNarrowed => "a value that may be there is out of bounds",
            Self::FormatChanged => "text or number is wanted in another format",
            Self::AlternativeUnknown => "a form that it may have is not known",
            Self::NotJudged => "a keyword of the schema cannot be judged",
        })
    }
}

/// A rule that is broken, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Objection {
    pub(super) rule: Rule,
    /// Members from the outermost one, as `policy.assets[].asset`; of a form, with its tag, as `task=create-key`.
    pub(super) at: String,
}

/// Everything that a reader by `reader` would not take of what is written by `written`.
pub(super) fn objections(reader: &Value, written: &Value) -> Vec<Objection> {
    let mut comparison = Comparison { reader, written, found: Vec::new() };
    comparison.schemas(reader, written, "", 0);
    comparison.found
}

struct Comparison<'a> {
    reader: &'a Value,
    written: &'a Value,
    found: Vec<Objection>,
}

impl Comparison<'_> {
    fn object(&mut self, rule: Rule, at: &str) {
        self.found.push(Objection { rule, at: at.to_owned() });
    }

    fn schemas(&mut self, reader: &Value, written: &Value, at: &str, depth: usize) {
        let resolved = (forms(reader, self.reader, depth), forms(written, self.written, depth));
        let (Some(readers), Some(writers)) = resolved else { return self.object(Rule::NotJudged, at) };
        for written in &writers {
            let attempts = readers.iter().map(|reader| {
                let mut attempt = Comparison { found: Vec::new(), ..*self };
                attempt.form(reader, written, at, depth + 1);
                attempt.found
            });
            let is_other = |found: &[Objection]| found.iter().any(|one| tells_forms_apart(one, at));
            let closest = attempts.min_by_key(|found| (is_other(found), found.len())).unwrap_or_default();
            if readers.len() > 1 && is_other(&closest) {
                self.object(Rule::AlternativeUnknown, &tagged(written, at));
            } else {
                self.found.extend(closest);
            }
        }
    }

    /// Two schemas without alternatives.
    fn form(&mut self, reader: &Form, written: &Form, at: &str, depth: usize) {
        let is_strange = |(keyword, value): (&String, &Value)| {
            !is_judged(keyword, value) && reader.get(keyword) != written.get(keyword)
        };
        if reader.iter().chain(written).any(is_strange) {
            self.object(Rule::NotJudged, at);
        }
        self.values(reader, written, at);
        self.types(reader, written, at);
        self.bounds(reader, written, at);
        self.formats(reader, written, at);
        self.members(reader, written, at, depth);
        match (reader.get("items"), written.get("items")) {
            (Some(reader), Some(written)) => self.schemas(reader, written, &format!("{at}[]"), depth),
            (Some(_), None) if may_be(written, "array") => {
                self.object(Rule::TypeNarrowed, &format!("{at}[]"));
            }
            _ => {}
        }
    }

    fn values(&mut self, reader: &Form, written: &Form, at: &str) {
        let Some(known) = values(reader) else { return };
        let is_known = values(written).is_some_and(|values| values.iter().all(|value| known.contains(value)));
        if !is_known {
            self.object(Rule::ValueUnknown, at);
        }
    }

    fn types(&mut self, reader: &Form, written: &Form, at: &str) {
        let Some(taken) = types(reader) else { return };
        let takes = |one: &&str| taken.contains(one) || (*one == "integer" && taken.contains(&"number"));
        // A constant without a type has its own.
        let written_types = types(written).or_else(|| {
            values(written).map(|values| values.iter().map(|value| type_of(value)).collect::<Vec<_>>())
        });
        if !written_types.is_some_and(|types| types.iter().all(takes)) {
            self.object(Rule::TypeNarrowed, at);
        }
    }

    fn bounds(&mut self, reader: &Form, written: &Form, at: &str) {
        let is_outside = |keyword: &str, is_lower: bool| {
            let Some(bound) = reader.get(keyword) else { return false };
            match (bound.as_i64(), written.get(keyword).map(Value::as_i64)) {
                (_, None) => true,
                (Some(bound), Some(Some(written))) => {
                    if is_lower {
                        written < bound
                    } else {
                        written > bound
                    }
                }
                _ => written.get(keyword) != Some(bound),
            }
        };
        if LOWER_BOUNDS.iter().any(|keyword| is_outside(keyword, true))
            || UPPER_BOUNDS.iter().any(|keyword| is_outside(keyword, false))
        {
            self.object(Rule::BoundsNarrowed, at);
        }
    }

    fn formats(&mut self, reader: &Form, written: &Form, at: &str) {
        let is_wanted = |keyword: &str| {
            let Some(wanted) = reader.get(keyword) else { return false };
            written.get(keyword).is_none_or(|written| written != wanted && !is_wider(wanted, written))
        };
        if is_wanted("format") || is_wanted("pattern") {
            self.object(Rule::FormatChanged, at);
        }
    }

    fn members(&mut self, reader: &Form, written: &Form, at: &str, depth: usize) {
        let known = properties(reader);
        let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
        for (name, member) in properties(written).into_iter().flatten() {
            match known.and_then(|known| known.get(name)) {
                Some(reader) => self.schemas(reader, member, &below(name), depth),
                None if is_closed(reader) => self.object(Rule::MemberUnknown, &below(name)),
                None => {}
            }
        }
        let written_always = required(written);
        for name in required(reader).into_iter().filter(|name| !written_always.contains(name)) {
            self.object(Rule::MemberRequired, &below(name));
        }
        if is_closed(reader) && may_be(written, "object") && !is_closed(written) {
            self.object(Rule::MemberUnknown, &below("*"));
        }
    }
}

/// The schema's alternatives, each with what stands beside them; itself where it has none. None where it refers to
/// nothing or to itself.
fn forms(schema: &Value, root: &Value, depth: usize) -> Option<Vec<Form>> {
    if depth > DEPTH_MAX {
        return None;
    }
    let mut beside = match schema {
        Value::Object(members) => members.clone(),
        Value::Bool(true) => Map::new(),
        _ => return None,
    };
    beside.retain(|keyword, _| !ANNOTATIONS.contains(&keyword.as_str()));
    if let Some(target) = beside.remove("$ref") {
        let target = root.pointer(target.as_str()?.strip_prefix('#')?)?;
        return joined(&beside, forms(target, root, depth + 1)?);
    }
    let alternatives = match (beside.remove("oneOf"), beside.remove("anyOf")) {
        (Some(Value::Array(alternatives)), None) | (None, Some(Value::Array(alternatives))) => alternatives,
        (None, None) => return Some(vec![beside]),
        _ => return None,
    };
    let mut found = Vec::new();
    for alternative in alternatives {
        found.extend(forms(&alternative, root, depth + 1)?);
    }
    joined(&beside, found)
}

/// Each form with what stands beside all of them; none where both say something other than which members there are.
fn joined(beside: &Form, forms: Vec<Form>) -> Option<Vec<Form>> {
    forms.into_iter().map(|form| join(beside.clone(), form)).collect()
}

fn join(mut beside: Form, form: Form) -> Option<Form> {
    for (keyword, value) in form {
        match (beside.get_mut(&keyword), value) {
            (None, value) => drop(beside.insert(keyword, value)),
            (Some(Value::Object(members)), Value::Object(more)) if keyword == "properties" => {
                members.extend(more);
            }
            (Some(Value::Array(names)), Value::Array(more)) if keyword == "required" => names.extend(more),
            (Some(same), value) if *same == value => {}
            _ => return None,
        }
    }
    Some(beside)
}

fn is_judged(keyword: &str, value: &Value) -> bool {
    let is_known = [&JUDGED[..], &LOWER_BOUNDS, &UPPER_BOUNDS].iter().any(|known| known.contains(&keyword));
    is_known && (keyword != "additionalProperties" || value.is_boolean())
}

/// Where a form stands, with its tag where it has one, as `task=create-key`.
fn tagged(form: &Form, at: &str) -> String {
    let members = form.get("properties").and_then(Value::as_object);
    let tag = members.and_then(|members| members.values().find_map(|member| member.get("const")?.as_str()));
    tag.map_or_else(|| at.to_owned(), |tag| format!("{at}={tag}"))
}

/// Whether it is by this that a form is another one: by its tag, or by its only value.
fn tells_forms_apart(objection: &Objection, at: &str) -> bool {
    let below = objection.at.strip_prefix(at).unwrap_or_default().trim_start_matches('.');
    objection.rule == Rule::ValueUnknown && !below.contains(['.', '['])
}

/// The only values it has, where they are listed.
fn values(form: &Form) -> Option<Vec<&Value>> {
    match (form.get("const"), form.get("enum")) {
        (Some(value), _) => Some(vec![value]),
        (None, Some(Value::Array(values))) => Some(values.iter().collect()),
        _ => None,
    }
}

fn types(form: &Form) -> Option<Vec<&str>> {
    match form.get("type")? {
        Value::String(one) => Some(vec![one]),
        Value::Array(several) => Some(several.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn may_be(form: &Form, one: &str) -> bool {
    values(form).is_none() && types(form).is_none_or(|types| types.contains(&one))
}

fn is_closed(form: &Form) -> bool {
    form.get("additionalProperties") == Some(&Value::Bool(false))
}

fn properties(form: &Form) -> Option<&Form> {
    form.get("properties").and_then(Value::as_object)
}

fn required(form: &Form) -> Vec<&str> {
    let names = form.get("required").and_then(Value::as_array);
    names.map(|names| names.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// Whether one format of unsigned integers holds every one of another.
fn is_wider(reader: &Value, written: &Value) -> bool {
    let bits = |format: &Value| format.as_str()?.strip_prefix("uint")?.parse::<u16>().ok();
    matches!((bits(reader), bits(written)), (Some(reader), Some(written)) if reader >= written)
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
