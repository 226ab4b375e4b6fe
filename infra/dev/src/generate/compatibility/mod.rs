//! `cargo dev gen --compat`: whether whoever speaks the released contract can still speak with this build.
//!
//! Who is older depends on the message: commands and questions are written by old clients and read by new services,
//! answers and prices the other way round, jobs are on their way in both directions during an update. Events are read
//! for ever: a released version of one never changes, and never goes.

mod baseline;
mod schema;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

pub(super) use super::messages::VERSIONS;
pub(crate) use baseline::Error;
pub(super) use baseline::{FOLDER, load, release};
use schema::{Objection, Rule, objections};

/// Members of closed messages, and forms of their parts, that stand there only once a tenant has chosen what they are for
/// (ADR 24): a rule of a policy, a revocation, a secret. Who is older refuses such a message whole, as it must: a policy
/// that is read without one of its rules is another policy. So who reads is updated before anybody chooses.
const CHOSEN: [(&str, &str); 15] = [
    ("grant-chain", "revocation"),
    ("grant-chain", "root.statement.epoch"),
    ("job.enclave", "authority.revocation"),
    ("job.enclave", "authority.root.statement.epoch"),
    ("job.enclave", "task.approvals"),
    ("job.enclave", "task.policy.rules"),
    ("job.enclave", "task.reservation"),
    ("job.enclave", "task=reserve-transfer"),
    ("job.enclave", "task=reveal-secret"),
    ("job.enclave", "task=seal-secret"),
    ("query.wallet.reply", "ok.policy.rules"),
    ("query.wallets.reply", "ok.data[].policy.rules"),
    ("signed-outcome", "result=secret-revealed"),
    ("signed-outcome", "result=secret-sealed"),
    ("signed-outcome", "result=transfer-reserved"),
];

/// Schemas by the names of their messages.
pub(super) type Schemas = BTreeMap<String, Value>;

/// A change that breaks somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Breach {
    /// The message.
    message: String,
    rule: Broken,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Broken {
    /// A message is gone.
    Removed,
    /// An event's version is gone.
    VersionRemoved(String),
    /// An event's schema is another one under the same version.
    VersionChanged { version: String, objection: Objection },
    /// A minor version of an event cannot read the version before it.
    NotMinor { version: String, objection: Objection },
    /// Old writers write what new readers do not take.
    NewReader(Objection),
    /// New writers write what old readers do not take.
    OldReader(Objection),
}

impl Breach {
    /// What to do instead.
    pub(super) fn way_out(&self) -> &'static str {
        match &self.rule {
            Broken::Removed if self.message.starts_with("event.") => {
                "keep the event: the log holds it for ever; cease to write it instead"
            }
            Broken::Removed => "keep it in v1, and leave it out of a v2 beside it",
            Broken::VersionRemoved(_) => {
                "keep the version in the event's declaration, with the upcasts from it"
            }
            Broken::VersionChanged { .. } => {
                "give the event a new version: a minor one, whose upcast changes nothing, where only members that may \
                 be absent are added; a major one with an upcast that changes the payload otherwise"
            }
            Broken::NotMinor { .. } => "make it a major version, with an upcast that changes the payload",
            Broken::NewReader(_) => {
                "keep taking what was taken, or add the message anew under another name or in v2"
            }
            Broken::OldReader(_) => {
                "keep writing what was written, or add the message anew under another name or in v2"
            }
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, rule } = self;
        let at = |objection: &Objection| match objection.at.as_str() {
            "" => String::new(),
            at => format!(" ({at})"),
        };
        match rule {
            Broken::Removed => write!(formatter, "{message} was released and is gone"),
            Broken::VersionRemoved(version) => {
                write!(formatter, "{message}: version {version} was released and is gone")
            }
            Broken::VersionChanged { version, objection } => {
                let (rule, at) = (objection.rule, at(objection));
                write!(formatter, "{message}: version {version} was released and is not the same: {rule}{at}")
            }
            Broken::NotMinor { version, objection } => {
                let (rule, at) = (objection.rule, at(objection));
                write!(
                    formatter,
                    "{message}: minor version {version} cannot read the one before it: {rule}{at}"
                )
            }
            Broken::NewReader(objection) => {
                let (rule, at) = (objection.rule, at(objection));
                write!(formatter, "{message}: this build does not take what was released: {rule}{at}")
            }
            Broken::OldReader(objection) => {
                let (rule, at) = (objection.rule, at(objection));
                write!(
                    formatter,
                    "{message}: what was released does not take what this build writes: {rule}{at}"
                )
            }
        }
    }
}

/// Everything that whoever knows only `released` would stumble on in `present`.
pub(super) fn compare(released: &Schemas, present: &Schemas) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (message, old) in released {
        let broken = match present.get(message) {
            None => vec![Broken::Removed],
            Some(new) if message.starts_with("event.") => event(old, new),
            Some(new) => exchanged(message, old, new),
        };
        breaches.extend(broken.into_iter().map(|rule| Breach { message: message.clone(), rule }));
    }
    breaches
}

fn exchanged(message: &str, old: &Value, new: &Value) -> Vec<Broken> {
    let (new_reads, old_reads) = match message {
        reply if reply.strip_suffix(".reply").is_some() => (false, true),
        asked if asked.starts_with("command.") || asked.starts_with("query.") => (true, false),
        // Written once, before anything of its log runs: no build older than its writer ever meets it.
        "genesis" => (true, false),
        "result" | "refusal" | "price" | "tick" => (false, true),
        // Jobs, and documents that are kept: whoever reads one may be older or newer than its writer.
        _ => (true, true),
    };
    let mut broken = Vec::new();
    if new_reads {
        broken.extend(objections(new, old).into_iter().map(Broken::NewReader));
    }
    if old_reads {
        let is_chosen = |objection: &Objection| {
            matches!(objection.rule, Rule::MemberUnknown | Rule::AlternativeUnknown)
                && CHOSEN.contains(&(message, objection.at.as_str()))
        };
        let objections = objections(old, new).into_iter();
        broken.extend(objections.filter(|objection| !is_chosen(objection)).map(Broken::OldReader));
    }
    broken
}

fn event(old: &Value, new: &Value) -> Vec<Broken> {
    let (was, is) = (versions(old), versions(new));
    let gone = was.iter().filter(|version| !is.contains(version));
    let mut broken: Vec<Broken> = gone.map(|version| Broken::VersionRemoved((*version).to_owned())).collect();
    let (Some(released), Some(present)) = (was.last(), is.last()) else { return broken };
    if released == present {
        // Either way: a reader of the old schema meets the same version.
        let changed = |objection| Broken::VersionChanged { version: (*present).to_owned(), objection };
        broken.extend(objections(new, old).into_iter().chain(objections(old, new)).map(changed));
    } else if major(released) == major(present) {
        let objections = objections(new, old).into_iter();
        broken.extend(
            objections.map(|objection| Broken::NotMinor { version: (*present).to_owned(), objection }),
        );
    }
    broken
}

fn versions(schema: &Value) -> Vec<&str> {
    let listed = schema.get(VERSIONS).and_then(Value::as_array);
    listed.map(|versions| versions.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

fn major(version: &str) -> Option<&str> {
    version.split('.').next()
}

#[cfg(test)]
mod tests;
