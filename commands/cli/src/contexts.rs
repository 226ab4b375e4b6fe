//! Named contexts: which service to talk to, for which tenant, as whom. The file holds paths of secrets, no secrets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nsl_schemas::token::Tenant;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::files;

/// The name that stands for the context before the selected one.
pub(crate) const PREVIOUS: &str = "-";

/// One context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// The NATS server.
    pub(crate) url: String,
    /// Whose aggregates.
    pub(crate) tenant: Tenant,
    /// The user of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// Where that user's password is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password_file: Option<PathBuf>,
    /// Where the seed of the command key is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) issuer_file: Option<PathBuf>,
    /// Where the genesis manifest is that the user trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) genesis_file: Option<PathBuf>,
}

/// All contexts, the selected one, and the one before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    #[serde(default)]
    pub(crate) current: Option<String>,
    #[serde(default)]
    pub(crate) previous: Option<String>,
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Context>,
}

impl Contexts {
    /// Reads the file; without one there are no contexts.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let bytes = match files::read(path, files::FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(error),
        };
        serde_json::from_slice(&bytes)
            .map_err(|source| Error::ContextsContent { path: path.to_owned(), source })
    }

    /// Replaces the file, readable by its owner only.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|source| Error::ContextsContent { path: path.to_owned(), source })?;
        files::replace_private(path, &text)
    }

    /// The context named, or else the selected one.
    pub(crate) fn resolve(&self, name: Option<&str>) -> Result<(&str, &Context), Error> {
        let name = name.or(self.current.as_deref()).ok_or(Error::ContextMissing)?;
        let found = self.contexts.get_key_value(name);
        found.map(|(name, context)| (name.as_str(), context)).ok_or_else(|| unknown(name))
    }

    /// Adds a context; the first one becomes the selected one.
    pub(crate) fn add(&mut self, name: &str, context: Context) -> Result<(), Error> {
        if self.contexts.contains_key(name) {
            return Err(Error::ContextExists { name: name.to_owned() });
        }
        self.contexts.insert(name.to_owned(), context);
        self.current.get_or_insert_with(|| name.to_owned());
        Ok(())
    }

    /// Selects a context, or the previous one by `-`, and returns its name.
    pub(crate) fn select(&mut self, name: &str) -> Result<String, Error> {
        let name = if name == PREVIOUS {
            self.previous.clone().ok_or(Error::ContextPreviousUnknown)?
        } else {
            name.to_owned()
        };
        if !self.contexts.contains_key(&name) {
            return Err(unknown(&name));
        }
        if self.current.as_ref() != Some(&name) {
            self.previous = self.current.replace(name.clone());
        }
        Ok(name)
    }

    /// Forgets a context; the files that it names stay.
    pub(crate) fn remove(&mut self, name: &str) -> Result<(), Error> {
        self.contexts.remove(name).ok_or_else(|| unknown(name))?;
        for slot in [&mut self.current, &mut self.previous] {
            slot.take_if(|selected| selected == name);
        }
        Ok(())
    }
}

fn unknown(name: &str) -> Error {
    Error::ContextUnknown { name: name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(tenant: &str) -> Context {
        Context {
            url: "nats://127.0.0.1:4222".into(),
            tenant: Tenant::parse(tenant).unwrap(),
            user: None,
            password_file: None,
            issuer_file: Some("/keys/issuer.seed".into()),
            genesis_file: None,
        }
    }

    fn two() -> Contexts {
        let mut contexts = Contexts::default();
        contexts.add("one", context("acme")).unwrap();
        contexts.add("two", context("other")).unwrap();
        contexts
    }

    #[test]
    fn the_first_context_is_selected_and_a_name_overrides_it() {
        let contexts = two();
        assert_eq!(contexts.resolve(None).unwrap().0, "one");
        assert_eq!(contexts.resolve(Some("two")).unwrap(), ("two", &context("other")));
        assert!(matches!(contexts.resolve(Some("three")), Err(Error::ContextUnknown { .. })));
        assert!(matches!(Contexts::default().resolve(None), Err(Error::ContextMissing)));
    }

    #[test]
    fn a_dash_selects_the_one_before() {
        let mut contexts = two();
        assert!(matches!(contexts.select(PREVIOUS), Err(Error::ContextPreviousUnknown)));
        assert_eq!(contexts.select("two").unwrap(), "two");
        assert_eq!(contexts.select(PREVIOUS).unwrap(), "one");
        assert_eq!(contexts.select("one").unwrap(), "one");
        assert_eq!(contexts.select(PREVIOUS).unwrap(), "two", "selecting the selected one changes nothing");
        assert!(matches!(contexts.select("three"), Err(Error::ContextUnknown { .. })));
    }

    #[test]
    fn a_removed_context_is_no_longer_selected() {
        let mut contexts = two();
        contexts.remove("one").unwrap();
        assert!(matches!(contexts.resolve(None), Err(Error::ContextMissing)));
        assert!(matches!(contexts.remove("one"), Err(Error::ContextUnknown { .. })));
        assert!(matches!(contexts.add("two", context("acme")), Err(Error::ContextExists { .. })));
    }

    #[test]
    fn the_file_round_trips_and_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nsl").join("contexts.json");
        assert_eq!(Contexts::load(&path).unwrap(), Contexts::default());
        two().save(&path).unwrap();
        assert_eq!(Contexts::load(&path).unwrap(), two());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "{\"contexts\": {}, \"colour\": 1}").unwrap();
        assert!(matches!(Contexts::load(&path), Err(Error::ContextsContent { .. })));
    }
}
