//! `golden/`: payloads of every event version that was ever written, byte for byte as the log holds them, so that no
//! later build can cease to read one. Append-only: a sample that `MANIFEST` names is never written again.

mod held;
mod lives;
mod secrets;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;

use nsl_schemas::bytes::Sha256;
use nsl_schemas::canonical;
use nsl_schemas::event::types;

use super::folder::Error;
use values::Extent;

/// Where the corpus is, below the contract.
pub(super) const FOLDER: &str = "golden";
/// Every sample with its SHA-256, in the form of `sha256sum`.
const MANIFEST: &str = "golden/MANIFEST";

/// The samples that this build makes of its versions: path below the contract → payload.
fn samples() -> BTreeMap<String, String> {
    let mut samples = BTreeMap::new();
    for extent in [Extent::Minimal, Extent::Full, Extent::Extreme] {
        for event in lives::all(extent) {
            let event_type = event.event_type();
            let (aggregate, name, version) = (event_type.aggregate, event_type.name, event_type.version);
            let path = format!("{FOLDER}/events/{aggregate}/{name}/{version}/{}.json", extent.name());
            samples.entry(path).or_insert_with(|| canonical::to_string(&event));
        }
    }
    samples
}

/// Adds the samples that the manifest lacks; answers their paths.
pub(super) fn add(contract: &Path) -> Result<Vec<String>, Error> {
    let manifest = read(contract)?;
    let known: BTreeSet<String> =
        paths(&manifest).into_iter().map(|path| format!("{FOLDER}/{path}")).collect();
    let new: Vec<(String, String)> =
        samples().into_iter().filter(|(path, _)| !known.contains(path)).collect();
    let mut lines: Vec<String> = manifest.lines().map(str::to_owned).collect();
    for (path, payload) in &new {
        write(contract, path, payload)?;
        let below = path.trim_start_matches("golden/");
        lines.push(format!("{}  {below}", Sha256::of(payload.as_bytes())));
    }
    if !new.is_empty() {
        lines.sort_by(|one, other| path_of(one).cmp(&path_of(other)));
        write(contract, MANIFEST, &(lines.join("\n") + "\n"))?;
    }
    Ok(new.into_iter().map(|(path, _)| path).collect())
}

/// The versions that this build writes and of which the corpus has no sample.
pub(super) fn missing(contract: &Path) -> Result<Vec<String>, Error> {
    let manifest = read(contract)?;
    let known = paths(&manifest);
    let folders = types().map(|one| format!("events/{}/{}/{}/", one.aggregate, one.name, one.version));
    Ok(folders.filter(|folder| !known.iter().any(|path| path.starts_with(folder.as_str()))).collect())
}

/// The samples' paths, below the corpus' folder.
fn paths(manifest: &str) -> Vec<&str> {
    manifest.lines().filter_map(path_of).collect()
}

fn path_of(line: &str) -> Option<&str> {
    line.split_once("  ").map(|(_, path)| path)
}

fn read(contract: &Path) -> Result<String, Error> {
    let path = contract.join(MANIFEST);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(Error::Read { path, source }),
    }
}

fn write(contract: &Path, path: &str, text: &str) -> Result<(), Error> {
    let path = contract.join(path);
    super::folder::write_file(&path, text).map_err(|source| Error::Write { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_type_has_samples_of_every_extent() {
        let samples = samples();
        for one in types() {
            for name in ["minimal", "full", "extreme"] {
                let path =
                    format!("golden/events/{}/{}/{}/{name}.json", one.aggregate, one.name, one.version);
                assert!(samples.contains_key(&path), "{path}");
            }
        }
    }

    #[test]
    fn samples_are_added_and_never_written_again() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(missing(folder.path()).unwrap().len(), types().count());
        let added = add(folder.path()).unwrap();
        assert_eq!(added.len(), samples().len());
        assert_eq!(missing(folder.path()).unwrap(), [""; 0]);
        let manifest = read(folder.path()).unwrap();
        assert_eq!(manifest.lines().count(), added.len());

        let changed = folder.path().join(&added[0]);
        std::fs::write(&changed, "{}").unwrap();
        assert_eq!(add(folder.path()).unwrap(), [""; 0]);
        assert_eq!(std::fs::read_to_string(&changed).unwrap(), "{}");
        assert_eq!(read(folder.path()).unwrap(), manifest);
    }

    #[test]
    fn a_new_sample_leaves_the_others_lines_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        add(folder.path()).unwrap();
        let manifest = read(folder.path()).unwrap();
        let (first, rest) = manifest.split_once('\n').unwrap();
        write(folder.path(), MANIFEST, rest).unwrap();
        let added = add(folder.path()).unwrap();
        assert_eq!(added.len(), 1, "{added:?}");
        assert!(first.ends_with(added[0].strip_prefix("golden/").unwrap()));
        assert_eq!(read(folder.path()).unwrap(), manifest);
    }
}
