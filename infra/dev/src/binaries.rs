//! Builds our services with cargo and learns where it put them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::services::Service;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot run cargo")]
    Run(#[source] std::io::Error),
    #[error("the services do not build")]
    Build,
    #[error("cargo built no program called {binary}")]
    NotBuilt { binary: &'static str },
}

/// The programs of our services by name.
#[derive(Debug)]
pub(crate) struct Binaries {
    paths: BTreeMap<String, PathBuf>,
}

/// The part of cargo's messages that names a built program.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

impl Binaries {
    /// Builds what the services need; cargo's own progress goes to standard error.
    pub(crate) fn build(
        root: &Path,
        services: &(impl Iterator<Item = &'static Service> + Clone),
    ) -> Result<Self, Error> {
        let mut child = Command::new("cargo")
            .args(arguments(services.clone()))
            .current_dir(root)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::Run)?;
        let mut paths = BTreeMap::new();
        if let Some(messages) = child.stdout.take() {
            for line in BufReader::new(messages).lines() {
                let line = line.map_err(Error::Run)?;
                let Ok(Message { executable: Some(path) }) = serde_json::from_str(&line) else { continue };
                if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                    paths.insert(name.to_owned(), path.clone());
                }
            }
        }
        if !child.wait().map_err(Error::Run)?.success() {
            return Err(Error::Build);
        }
        match services.clone().find(|service| !paths.contains_key(service.binary)) {
            Some(service) => Err(Error::NotBuilt { binary: service.binary }),
            None => Ok(Self { paths }),
        }
    }

    /// The file of `binary`.
    pub(crate) fn path(&self, binary: &str) -> PathBuf {
        self.paths.get(binary).cloned().unwrap_or_else(|| binary.into())
    }
}

fn arguments<'a>(services: impl Iterator<Item = &'a Service> + Clone) -> Vec<String> {
    let mut arguments = vec!["build".to_owned(), "--message-format=json-render-diagnostics".to_owned()];
    let packages: BTreeSet<&str> = services.clone().map(|service| service.package).collect();
    let binaries: BTreeSet<&str> = services.clone().map(|service| service.binary).collect();
    let features = services
        .flat_map(|service| service.features.iter().map(|feature| format!("{}/{feature}", service.package)));
    arguments.extend(packages.into_iter().flat_map(|package| ["--package".to_owned(), package.to_owned()]));
    arguments.extend(binaries.into_iter().flat_map(|binary| ["--bin".to_owned(), binary.to_owned()]));
    let features: BTreeSet<String> = features.collect();
    arguments.extend(features.into_iter().flat_map(|feature| ["--features".to_owned(), feature]));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::built;

    #[test]
    fn each_package_is_built_once_with_its_features() {
        let arguments = arguments(built()).join(" ");
        assert_eq!(arguments.matches("--package nsl-enclave-worker").count(), 1, "{arguments}");
        assert_eq!(arguments.matches("--features nsl-enclave-worker/development").count(), 1, "{arguments}");
        assert!(arguments.contains("--bin nsl-price-sources"), "{arguments}");
    }
}
