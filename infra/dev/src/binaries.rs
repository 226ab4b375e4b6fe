//! Builds our services with cargo and learns where it put them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::services::Service;

/// Names a folder with all programs already built: nothing is built then. System tests start many sites and build once.
const PREBUILT_VARIABLE: &str = "NSL_BINARIES_DIR";

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot run cargo")]
    Run(#[source] std::io::Error),
    #[error("the services do not build")]
    Build,
    #[error("cargo built no program called {binary}")]
    NotBuilt { binary: &'static str },
    #[error("{PREBUILT_VARIABLE} names a folder without {}", path.display())]
    NotPrebuilt { path: PathBuf },
}

/// The folder of programs that were built before, if there is one.
pub(crate) fn prebuilt_directory() -> Option<PathBuf> {
    std::env::var_os(PREBUILT_VARIABLE).map(PathBuf::from)
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
    /// What the services need: found where `NSL_BINARIES_DIR` says, else built; cargo's own progress goes to standard
    /// error.
    pub(crate) fn build(
        root: &Path,
        services: &(impl Iterator<Item = &'static Service> + Clone),
    ) -> Result<Self, Error> {
        if let Some(folder) = prebuilt_directory() {
            return Self::find(&folder, services.clone());
        }
        Self::build_with(root, &[], services)
    }

    /// Builds for speed: what is measured.
    pub(crate) fn build_release(
        root: &Path,
        services: &(impl Iterator<Item = &'static Service> + Clone),
    ) -> Result<Self, Error> {
        Self::build_with(root, &["--release"], services)
    }

    fn build_with(
        root: &Path,
        profile: &[&str],
        services: &(impl Iterator<Item = &'static Service> + Clone),
    ) -> Result<Self, Error> {
        let arguments = arguments(services.clone());
        let paths = programs(Command::new("cargo").args(arguments).args(profile).current_dir(root))?;
        match services.clone().find(|service| !paths.contains_key(service.binary)) {
            Some(service) => Err(Error::NotBuilt { binary: service.binary }),
            None => Ok(Self { paths }),
        }
    }

    fn find(folder: &Path, services: impl Iterator<Item = &'static Service>) -> Result<Self, Error> {
        let path_of = |service: &Service| {
            let path = folder.join(service.binary);
            if path.is_file() {
                Ok((service.binary.to_owned(), path))
            } else {
                Err(Error::NotPrebuilt { path })
            }
        };
        Ok(Self { paths: services.map(path_of).collect::<Result<_, _>>()? })
    }

    /// The file of `binary`.
    pub(crate) fn path(&self, binary: &str) -> PathBuf {
        self.paths.get(binary).cloned().unwrap_or_else(|| binary.into())
    }
}

/// Builds the services that have failpoints with them, and returns where each program is.
pub(crate) fn build_failpoints(
    root: &Path,
    services: &(impl Iterator<Item = &'static Service> + Clone),
) -> Result<BTreeMap<String, PathBuf>, Error> {
    let packages: BTreeSet<&str> = services.clone().map(|service| service.package).collect();
    let features =
        packages.into_iter().flat_map(|package| ["--features".to_owned(), format!("{package}/failpoints")]);
    programs(Command::new("cargo").args(arguments(services.clone())).args(features).current_dir(root))
}

/// Builds one program as a distribution has it: without any feature.
pub(crate) fn build_distribution(root: &Path, package: &'static str) -> Result<PathBuf, Error> {
    let arguments = ["build", MESSAGES, "--package", package, "--bin", package];
    let mut paths = programs(Command::new("cargo").args(arguments).current_dir(root))?;
    paths.remove(package).ok_or(Error::NotBuilt { binary: package })
}

/// Runs a `cargo build` and returns the programs that it names, built now or before.
pub(crate) fn programs(cargo: &mut Command) -> Result<BTreeMap<String, PathBuf>, Error> {
    let mut child = cargo.stdout(Stdio::piped()).spawn().map_err(Error::Run)?;
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
    if child.wait().map_err(Error::Run)?.success() { Ok(paths) } else { Err(Error::Build) }
}

/// Makes cargo name the programs on standard output and leaves its diagnostics readable.
pub(crate) const MESSAGES: &str = "--message-format=json-render-diagnostics";

fn arguments<'a>(services: impl Iterator<Item = &'a Service> + Clone) -> Vec<String> {
    let mut arguments = vec!["build".to_owned(), MESSAGES.to_owned()];
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

    #[test]
    fn prebuilt_programs_must_all_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut services = built();
        let first = services.next().unwrap();
        std::fs::write(folder.path().join(first.binary), "").unwrap();
        let found = Binaries::find(folder.path(), [first].into_iter()).unwrap();
        assert_eq!(found.path(first.binary), folder.path().join(first.binary));
        let Err(Error::NotPrebuilt { path }) = Binaries::find(folder.path(), built()) else {
            panic!("found all")
        };
        assert_ne!(path, folder.path().join(first.binary));
    }
}
