//! What a site decides once and keeps: its ports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::port;
use crate::private_file::{read_bounded, write_private};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    ports: BTreeMap<String, u16>,
}

/// The content of `site.json`.
#[derive(Debug)]
pub(super) struct Settings {
    path: PathBuf,
    kept: Kept,
    /// Purposes whose port was handed out in this opening: taken by ourselves, so not to be chosen anew.
    in_use: BTreeSet<String>,
}

impl Settings {
    pub(super) fn load(path: PathBuf) -> Result<Self, Error> {
        let kept = match read_bounded(&path)? {
            Some(text) => serde_json::from_str(&text)
                .map_err(|source| Error::Settings { path: path.clone(), source })?,
            None => Kept::default(),
        };
        Ok(Self { path, kept, in_use: BTreeSet::new() })
    }

    /// The port kept for `purpose`, if one was ever chosen.
    pub(super) fn known_port(&self, purpose: &str) -> Option<u16> {
        self.kept.ports.get(purpose).copied()
    }

    pub(super) fn port(&mut self, purpose: &str) -> Result<u16, Error> {
        let kept = self.kept.ports.get(purpose).copied();
        if let Some(port) = kept.filter(|port| self.in_use.contains(purpose) || port::is_free(*port)) {
            self.in_use.insert(purpose.to_owned());
            return Ok(port);
        }
        let taken: Vec<u16> = self.kept.ports.values().copied().collect();
        let port = port::choose(&taken)?;
        self.kept.ports.insert(purpose.to_owned(), port);
        write_private(&self.path, format!("{:#}\n", serde_json::json!(self.kept)).as_bytes())?;
        self.in_use.insert(purpose.to_owned());
        Ok(port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    #[test]
    fn keeps_its_ports_until_somebody_takes_one() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Settings::load(folder.path().join("site.json")).unwrap();
        let first = open().port("postgres").unwrap();
        let other = open().port("nats").unwrap();
        assert_ne!(first, other);
        assert_eq!(open().port("postgres").unwrap(), first);

        let mut opened = open();
        assert_eq!(opened.port("postgres").unwrap(), first);
        let taker = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
        assert_eq!(opened.port("postgres").unwrap(), first, "in use by this opening itself");
        let second = open().port("postgres").unwrap();
        assert_ne!(second, first);
        drop(taker);
        assert_eq!(open().port("postgres").unwrap(), second);
    }

    #[test]
    fn damaged_settings_are_named_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.json");
        std::fs::write(&path, "{").unwrap();
        assert!(matches!(Settings::load(path), Err(Error::Settings { .. })));
    }
}
