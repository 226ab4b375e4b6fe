//! The registry of event types: each with the version that is written and every older one that the log may hold.
//!
//! What was ever written stays readable: versions are only added. A minor version adds members that may be absent, so
//! an older payload is one of the newer version as it stands; every other change is a major version and says how an
//! older payload becomes a newer one.

use serde_json::Value;

/// The version that every event type begins with.
pub const VERSION: &str = "1.0.0";

/// An event type with its versions.
#[derive(Debug, Clone, Copy)]
pub struct EventType {
    /// The log's `aggregate_type`.
    pub aggregate: &'static str,
    /// The log's `event_type`, and the last token of the subject.
    pub name: &'static str,
    /// The version that this build writes.
    pub version: &'static str,
    /// From each older version to the next, oldest first.
    pub upcasts: &'static [Upcast],
}

/// How a payload of one version becomes one of the next.
#[derive(Debug, Clone, Copy)]
pub struct Upcast {
    /// The older version.
    pub from: &'static str,
    /// What changes; nothing where the next version is a minor one.
    pub change: Option<fn(Value) -> Value>,
}

impl EventType {
    /// A type that has its first version.
    pub const fn first(aggregate: &'static str, name: &'static str) -> Self {
        Self { aggregate, name, version: VERSION, upcasts: &[] }
    }

    /// Every version, oldest first.
    pub fn versions(&self) -> impl Iterator<Item = &'static str> {
        self.upcasts.iter().map(|upcast| upcast.from).chain([self.version])
    }

    /// The steps from `version` to the one that is written; none where the version is not known.
    pub fn upcasts_from(&self, version: &str) -> Option<&'static [Upcast]> {
        let known = self.versions().position(|known| known == version)?;
        self.upcasts.get(known..)
    }

    /// Every step with the version it leads to.
    pub fn steps(&self) -> impl Iterator<Item = (Upcast, &'static str)> {
        self.upcasts.iter().copied().zip(self.versions().skip(1))
    }
}

impl Upcast {
    /// The payload in the next version.
    pub fn apply(&self, payload: Value) -> Value {
        match self.change {
            Some(change) => change(payload),
            None => payload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::types;

    /// Major, minor and patch.
    fn numbers(version: &str) -> [u32; 3] {
        let numbers: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
        let [major, minor, patch] = numbers[..] else { panic!("{version}") };
        assert_eq!(version, format!("{major}.{minor}.{patch}"));
        [major, minor, patch]
    }

    #[test]
    fn versions_begin_with_the_first_and_rise_by_the_rule() {
        for event_type in types() {
            assert_eq!(event_type.versions().next(), Some(VERSION), "{event_type:?}");
            for (upcast, to) in event_type.steps() {
                let ([major, minor, _], next) = (numbers(upcast.from), numbers(to));
                let expected = match upcast.change {
                    Some(_) => [major + 1, 0, 0],
                    None => [major, minor + 1, 0],
                };
                assert_eq!(next, expected, "{event_type:?}");
            }
        }
    }

    #[test]
    fn a_type_is_registered_once() {
        let mut names: Vec<_> = types().map(|one| (one.aggregate, one.name)).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn steps_lead_from_each_version_to_the_newest() {
        const UPCASTS: &[Upcast] =
            &[Upcast { from: "1.0.0", change: None }, Upcast { from: "1.1.0", change: Some(|value| value) }];
        let event_type = EventType { aggregate: "a", name: "b", version: "2.0.0", upcasts: UPCASTS };
        let steps = |version| event_type.upcasts_from(version).map(<[Upcast]>::len);
        assert_eq!(
            ["1.0.0", "1.1.0", "2.0.0", "2.1.0", ""].map(steps),
            [Some(2), Some(1), Some(0), None, None]
        );
        assert_eq!(event_type.versions().collect::<Vec<_>>(), ["1.0.0", "1.1.0", "2.0.0"]);
    }
}
