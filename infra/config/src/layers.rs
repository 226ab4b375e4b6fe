//! The merged value tree, and which layer set each leaf.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::{Error, Setting, redact};

/// Environment variables with this prefix are ours; `__` separates the parts of a key.
const VARIABLE_PREFIX: &str = "NSL__";
/// A hand-written configuration is a few KiB; more is a mistaken path, and must not be read into memory.
const FILE_LIMIT_BYTES: u64 = 1024 * 1024;

/// The layer that set a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The `default.toml` compiled into the binary.
    Default,
    /// The file of `--config`.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A `--set` flag.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(path) => write!(formatter, "file {}", path.display()),
            Self::Variable(name) => write!(formatter, "environment {name}"),
            Self::Flag => formatter.write_str("flag --set"),
        }
    }
}

/// The layers merged so far. Tables merge key by key; every other value, arrays included, replaces.
#[derive(Debug)]
pub(crate) struct Layers {
    root: Table,
    origins: BTreeMap<String, Origin>,
}

impl Layers {
    pub(crate) fn from_defaults(text: &str) -> Result<Self, Error> {
        let table: Table = toml::from_str(text).map_err(Error::Defaults)?;
        let mut layers = Self { root: Table::new(), origins: BTreeMap::new() };
        layers.merge(&mut Vec::new(), table, &Origin::Default);
        Ok(layers)
    }

    pub(crate) fn apply_file(&mut self, path: &Path) -> Result<(), Error> {
        let read = |source| Error::ReadFile { path: path.to_owned(), source };
        let mut text = String::new();
        // One byte more than the limit tells "too large" from "exactly full".
        let mut bounded = File::open(path).map_err(read)?.take(FILE_LIMIT_BYTES + 1);
        bounded.read_to_string(&mut text).map_err(read)?;
        if bounded.limit() == 0 {
            return Err(Error::FileTooLarge { path: path.to_owned(), limit_bytes: FILE_LIMIT_BYTES });
        }
        let table: Table = toml::from_str(&text).map_err(|error| parse_error(path, &text, &error))?;
        self.merge(&mut Vec::new(), table, &Origin::File(path.to_owned()));
        Ok(())
    }

    pub(crate) fn apply_environment(
        &mut self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(), Error> {
        for (name, value) in environment {
            // A name that is not UTF-8 can still begin with our prefix: judged by its lossy form, then refused.
            let name = name.to_string_lossy().into_owned();
            let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else { continue };
            let rest = rest.to_ascii_lowercase();
            let key = split_key(&rest, "__").ok_or_else(|| Error::VariableName { name: name.clone() })?;
            let value = value.into_string().map_err(|_| Error::VariableEncoding { name: name.clone() })?;
            self.set_text(&key, value, Origin::Variable(name));
        }
        Ok(())
    }

    pub(crate) fn apply_flags(&mut self, flags: &[String]) -> Result<(), Error> {
        for (index, flag) in flags.iter().enumerate() {
            let malformed = || Error::Flag { position: index + 1 };
            let (key, value) = flag.split_once('=').ok_or_else(malformed)?;
            let key = split_key(key.trim(), ".").ok_or_else(malformed)?;
            self.set_text(&key, value.to_owned(), Origin::Flag);
        }
        Ok(())
    }

    /// The tree to deserialise.
    pub(crate) fn root(&self) -> &Table {
        &self.root
    }

    /// Who set `key`, or the nearest table or array above it.
    pub(crate) fn origin(&self, key: &str) -> Option<&Origin> {
        let mut key = key;
        loop {
            if let Some(origin) = self.origins.get(key) {
                return Some(origin);
            }
            key = key.rsplit_once('.')?.0;
        }
    }

    /// Reads the text that an environment variable or flag gave for `key` as TOML instead; false if it cannot be
    /// more than a string.
    pub(crate) fn reread_text(&mut self, key: &str) -> bool {
        if !matches!(self.origins.get(key), Some(Origin::Variable(_) | Origin::Flag)) {
            return false;
        }
        let Some(slot) = lookup(&mut self.root, key) else { return false };
        let Value::String(text) = &*slot else { return false };
        match parse_value(text) {
            Some(value) if !value.is_str() => {
                *slot = value;
                true
            }
            _ => false,
        }
    }

    /// All leaves, redacted.
    pub(crate) fn settings(mut self) -> Vec<Setting> {
        let root = &mut self.root;
        self.origins
            .into_iter()
            .filter_map(|(key, origin)| {
                let value = redact::shown(&key, lookup(root, &key)?);
                Some(Setting { key, value, origin })
            })
            .collect()
    }

    fn merge(&mut self, prefix: &mut Vec<String>, table: Table, origin: &Origin) {
        for (key, value) in table {
            prefix.push(key);
            match value {
                Value::Table(inner) if !inner.is_empty() => self.merge(prefix, inner, origin),
                // An empty section must exist for the struct that expects it, but replaces nothing.
                Value::Table(_) if lookup(&mut self.root, &prefix.join(".")).is_some() => {}
                leaf => self.set(prefix, leaf, origin.clone()),
            }
            prefix.pop();
        }
    }

    /// Text stays text unless the default says that the key is something else; what has no default is settled by
    /// the type that asks for it (`reread_text`), so that a password like `1e5` is never mangled.
    fn set_text(&mut self, key: &[String], text: String, origin: Origin) {
        let joined = key.join(".");
        let typed = match lookup(&mut self.root, &joined) {
            Some(Value::String(_)) | None => None,
            Some(_) => parse_value(&text),
        };
        self.set(key, typed.unwrap_or(Value::String(text)), origin);
    }

    fn set(&mut self, key: &[String], value: Value, origin: Origin) {
        let Some((leaf, sections)) = key.split_last() else { return };
        let joined = key.join(".");
        // A scalar in place of a section, or the reverse, leaves no stale origin behind.
        let below = format!("{joined}.");
        self.origins.retain(|known, _| !known.starts_with(&below));
        let mut table = &mut self.root;
        let mut path = String::new();
        for section in sections {
            path.push_str(section);
            self.origins.remove(&path);
            path.push('.');
            let entry = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
            if !entry.is_table() {
                *entry = Value::Table(Table::new());
            }
            let Value::Table(inner) = entry else { return };
            table = inner;
        }
        table.insert(leaf.clone(), value);
        self.origins.insert(joined, origin);
    }
}

fn split_key(text: &str, separator: &str) -> Option<Vec<String>> {
    let parts: Vec<String> = text.split(separator).map(str::to_owned).collect();
    let valid = |part: &String| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    parts.iter().all(valid).then_some(parts)
}

fn parse_value(text: &str) -> Option<Value> {
    let mut table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    // More than one key means that the text smuggled a line break.
    if table.len() == 1 { table.remove("value") } else { None }
}

fn lookup<'a>(root: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    let mut parts = key.split('.');
    let mut value = root.get_mut(parts.next()?)?;
    for part in parts {
        value = value.as_table_mut()?.get_mut(part)?;
    }
    Some(value)
}

fn parse_error(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let line = error.span().map(|span| 1 + text.bytes().take(span.start).filter(|b| *b == b'\n').count());
    let message =
        line.map_or_else(|| error.message().to_owned(), |line| format!("line {line}: {}", error.message()));
    Error::ParseFile { path: path.to_owned(), message }
}
