//! What differs between a definition and what the server has, and what may be done about it.

use std::fmt::{self, Debug};

/// What to do where a server's stream or consumer differs from its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriftPolicy {
    /// Refuse to start: somebody changed it on purpose, or two versions disagree.
    Refuse,
    /// Bring it to the definition where the server can; a smaller limit may discard messages.
    Update,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field of the definition.
    pub field: &'static str,
    /// What the server has.
    pub found: String,
    /// What the definition says.
    pub expected: String,
    /// The server cannot change it on an existing object.
    pub fixed: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is {}, expected {}", self.field, self.found, self.expected)?;
        if self.fixed { formatter.write_str(" (cannot be changed in place)") } else { Ok(()) }
    }
}

/// What ensuring a definition did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensured {
    /// It was not there.
    Created,
    /// It was there and equal.
    Unchanged,
    /// It differed so and was brought to the definition.
    Updated(Vec<Difference>),
}

/// Collects differences field by field.
#[derive(Debug, Default)]
pub(crate) struct Comparison(pub(crate) Vec<Difference>);

impl Comparison {
    pub(crate) fn field<T: PartialEq + Debug>(&mut self, field: &'static str, found: &T, expected: &T) {
        self.record(field, found, expected, false);
    }

    pub(crate) fn fixed<T: PartialEq + Debug>(&mut self, field: &'static str, found: &T, expected: &T) {
        self.record(field, found, expected, true);
    }

    /// A protection that the server never lifts again once it is on.
    pub(crate) fn latch(&mut self, field: &'static str, found: bool, expected: bool) {
        self.record(field, &found, &expected, found);
    }

    pub(crate) fn may_update(&self, policy: DriftPolicy) -> bool {
        policy == DriftPolicy::Update && self.0.iter().all(|difference| !difference.fixed)
    }

    fn record<T: PartialEq + Debug>(&mut self, field: &'static str, found: &T, expected: &T, fixed: bool) {
        if found != expected {
            let (found, expected) = (format!("{found:?}"), format!("{expected:?}"));
            self.0.push(Difference { field, found, expected, fixed });
        }
    }
}

/// The differences as one line of an error.
pub(crate) fn listed(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
