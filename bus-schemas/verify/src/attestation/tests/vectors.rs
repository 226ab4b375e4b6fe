//! Real documents of AWS', and strangers' forgeries of them, judged as their index says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::super::{Error, Expectation, Pcr, TrustRoot, VerifyTime, verify};

/// `NSL_VECTORS_DIR`, or the folder that stands beside a checkout of the project on development machines.
fn vectors_dir() -> Option<PathBuf> {
    let dir = std::env::var_os("NSL_VECTORS_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"),
        PathBuf::from,
    );
    let dir = dir.join("attestation");
    if dir.is_dir() {
        return Some(dir);
    }
    println!("SKIPPED: no attestation vectors in {}; set NSL_VECTORS_DIR", dir.display());
    None
}

struct Vector {
    index: Value,
    document: Vec<u8>,
}

impl Vector {
    fn all() -> Vec<Self> {
        let Some(dir) = vectors_dir() else { return Vec::new() };
        let index = std::fs::read(dir.join("index.json")).unwrap();
        let index: Vec<Value> = serde_json::from_slice(&index).unwrap();
        assert!(!index.is_empty());
        let document = |entry: &Value| std::fs::read(dir.join(entry["file"].as_str().unwrap())).unwrap();
        index.into_iter().map(|index| Self { document: document(&index), index }).collect()
    }

    fn name(&self) -> &str {
        self.index["file"].as_str().unwrap()
    }

    fn is(&self, property: &str) -> bool {
        self.index[property].as_bool().unwrap()
    }

    fn build(&self) -> BTreeMap<u8, Pcr> {
        let mut build = BTreeMap::from([(0, [0; 48])]);
        for (index, value) in self.index["nonzero_pcrs"].as_object().unwrap() {
            let value = hex::decode(value.as_str().unwrap()).unwrap();
            build.insert(index.parse().unwrap(), value.try_into().unwrap());
        }
        build
    }

    fn judge(&self, allow_debug: bool, time: VerifyTime) -> Result<(), Error> {
        let expectation = Expectation { builds: vec![self.build()], allow_debug, ..Expectation::default() };
        verify(&self.document, &expectation, &TrustRoot::aws_nitro(), time).map(drop)
    }
}

#[test]
fn judges_every_real_document_as_the_index_says() {
    for vector in Vector::all() {
        let judged = vector.judge(false, VerifyTime::Document);
        assert_eq!(judged.is_ok(), vector.is("accept"), "{}: {judged:?}", vector.name());
    }
}

#[test]
fn refuses_each_bad_document_for_its_own_reason() {
    for vector in Vector::all().into_iter().filter(|vector| !vector.is("accept")) {
        let judged = vector.judge(false, VerifyTime::Document);
        let is_right = if vector.index["trailing_bytes"] != 0 {
            matches!(judged, Err(Error::Malformed { part: "envelope", .. }))
        } else if !vector.is("aws_root_g1") {
            matches!(judged, Err(Error::UntrustedRoot { .. }))
        } else {
            vector.is("debug_mode") && matches!(judged, Err(Error::DebugMode))
        };
        assert!(is_right, "{}: {judged:?}", vector.name());
    }
}

#[test]
fn accepts_real_debug_documents_when_they_are_allowed() {
    for vector in Vector::all() {
        let is_debug = vector.is("debug_mode") && vector.index["trailing_bytes"] == 0;
        if is_debug {
            let judged = vector.judge(true, VerifyTime::Document);
            assert!(judged.is_ok(), "{}: {judged:?}", vector.name());
        }
    }
}

#[test]
fn refuses_real_documents_at_another_time() {
    for vector in Vector::all().into_iter().filter(|vector| vector.is("accept")) {
        let timestamp_ms = vector.index["timestamp_ms"].as_u64().unwrap();
        let day_ms = 24 * 60 * 60 * 1000;
        for time_ms in [timestamp_ms - day_ms, timestamp_ms + day_ms] {
            let judged = vector.judge(false, VerifyTime::At(time_ms));
            assert!(matches!(judged, Err(Error::CertificatePath { .. })), "{}: {judged:?}", vector.name());
        }
    }
}

#[test]
fn refuses_real_documents_with_any_part_changed() {
    // A prime step reaches every part of a document and keeps the test short.
    const STEP: usize = 37;
    for mut vector in Vector::all().into_iter().filter(|vector| vector.is("accept")) {
        for at in (0..vector.document.len()).step_by(STEP) {
            vector.document[at] ^= 0x01;
            assert!(vector.judge(false, VerifyTime::Document).is_err(), "{} byte {at}", vector.name());
            vector.document[at] ^= 0x01;
        }
    }
}
