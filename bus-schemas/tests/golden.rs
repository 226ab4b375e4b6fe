//! The golden corpus: every event version that was ever written is read, for ever.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nsl_schemas::bytes::Sha256;
use nsl_schemas::canonical;
use nsl_schemas::event::{Stored, types};
use serde_json::Value;

/// Deepest folder of the corpus: aggregate, event, version.
const DEPTH_MAX: usize = 4;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/golden")
}

/// Path below the corpus → SHA-256, as the manifest says.
fn manifest() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(corpus().join("MANIFEST")).unwrap();
    let lines = text.lines().map(|line| line.split_once("  ").unwrap());
    lines.map(|(sha256, path)| (path.to_owned(), sha256.to_owned())).collect()
}

/// The files below `events`, by their paths below the corpus.
fn files(folder: &Path, prefix: &str, depth: usize) -> Vec<String> {
    assert!(depth <= DEPTH_MAX, "{prefix}");
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .flat_map(|entry| {
            let path = format!("{prefix}/{}", entry.file_name().into_string().unwrap());
            let is_folder = entry.file_type().unwrap().is_dir();
            if is_folder { files(&entry.path(), &path, depth + 1) } else { vec![path] }
        })
        .collect()
}

/// Aggregate type, event type and version of a sample, with its payload.
fn sample(path: &str) -> ([String; 3], String) {
    let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    let [_, aggregate, event, version, _] = <[String; 5]>::try_from(parts).unwrap();
    ([aggregate, event, version], std::fs::read_to_string(corpus().join(path)).unwrap())
}

#[test]
fn every_sample_is_as_it_was_committed_and_none_is_missing_or_unlisted() {
    let manifest = manifest();
    for (path, sha256) in &manifest {
        let bytes = std::fs::read(corpus().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(
            &Sha256::of(&bytes).to_string(),
            sha256,
            "{path} was changed: samples are added, never edited"
        );
    }
    let mut found = files(&corpus().join("events"), "events", 1);
    found.sort();
    assert_eq!(found, manifest.into_keys().collect::<Vec<_>>());
}

#[test]
fn every_version_of_every_event_has_a_sample() {
    let manifest = manifest();
    for event_type in types() {
        for version in event_type.versions() {
            let folder = format!("events/{}/{}/{version}/", event_type.aggregate, event_type.name);
            let has_one = manifest.keys().any(|path| path.starts_with(&folder));
            assert!(
                has_one,
                "{folder} has no sample: `cargo dev gen` adds one of the version that is written"
            );
        }
    }
}

#[test]
fn every_sample_is_read_and_the_newest_versions_are_written_as_they_were() {
    let manifest = manifest();
    for path in manifest.keys() {
        let ([aggregate_type, event_type, event_version], payload) = sample(path);
        let stored = Stored {
            aggregate_type: &aggregate_type,
            event_type: &event_type,
            event_version: &event_version,
            payload: &payload,
        };
        let event = stored.decode_any().unwrap_or_else(|error| panic!("{path}: {error}"));
        let newest = event.event_type();
        assert_eq!((newest.aggregate, newest.name), (aggregate_type.as_str(), event_type.as_str()), "{path}");
        if newest.version == event_version {
            assert_eq!(canonical::to_string(&event), payload, "{path}");
        }
    }
}

#[test]
fn a_member_that_no_version_has_is_refused_at_every_depth() {
    for path in manifest().keys() {
        let ([aggregate_type, event_type, event_version], payload) = sample(path);
        let parsed: Value = serde_json::from_str(&payload).unwrap();
        for pointer in objects(&parsed, String::new()) {
            let mut altered = parsed.clone();
            altered.pointer_mut(&pointer).unwrap()["unheard-of"] = Value::from(1);
            let payload = altered.to_string();
            let stored = Stored {
                aggregate_type: &aggregate_type,
                event_type: &event_type,
                event_version: &event_version,
                payload: &payload,
            };
            let error = stored.decode_any().map(|_| ()).unwrap_err();
            assert!(!error.is_from_the_future(), "{path} {pointer}: {error}");
        }
    }
}

/// Where the objects of a document are; of a list the first only.
fn objects(value: &Value, at: String) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let below = members.iter().flat_map(|(name, member)| objects(member, format!("{at}/{name}")));
            let below: Vec<String> = below.collect();
            [vec![at], below].concat()
        }
        Value::Array(elements) => {
            elements.first().map(|first| objects(first, format!("{at}/0"))).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}
