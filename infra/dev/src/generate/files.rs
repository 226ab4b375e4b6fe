//! The files of the contract as they shall be: path below its folder → text.

use std::collections::BTreeMap;

use serde::Serialize;

/// Files in the order of their paths.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files(BTreeMap<String, String>);

impl Files {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a document, indented for people and for line-wise differences.
    pub(super) fn add(&mut self, path: &str, document: &impl Serialize) {
        let text = serde_json::to_string_pretty(document)
            .expect("documents are JSON values and schemas: string keys, nothing that cannot be written");
        let earlier = self.0.insert(path.to_owned(), text + "\n");
        assert!(earlier.is_none(), "two documents are called {path}");
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }
}
