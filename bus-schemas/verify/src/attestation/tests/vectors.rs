//! Real documents of AWS', and strangers' forgeries of them, judged as their index says.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::super::{Error, Expectation, Pcr, TrustRoot, VerifyTime, examine, verify};
use super::mutations::{MUTATIONS, accepted_mutations};

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
        self.judge_bytes(&self.document, allow_debug, time)
    }

    /// Judges other bytes by what is expected of this document.
    fn judge_bytes(&self, document: &[u8], allow_debug: bool, time: VerifyTime) -> Result<(), Error> {
        let expectation = Expectation { builds: vec![self.build()], allow_debug, ..Expectation::default() };
        verify(document, &expectation, &TrustRoot::aws_nitro(), time).map(drop)
    }

    /// Whether AWS signed exactly these bytes.
    fn is_authentic(&self) -> bool {
        self.is("aws_root_g1") && self.index["trailing_bytes"] == 0
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
        if vector.is("debug_mode") && vector.is_authentic() {
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
fn reports_on_real_documents_as_the_index_says() {
    for vector in Vector::all().into_iter().filter(Vector::is_authentic) {
        let trust = TrustRoot::aws_nitro();
        let report =
            examine(&vector.document, &Expectation::default(), &trust, VerifyTime::Document).unwrap();
        assert_eq!(report.holds(), vector.is("accept"), "{}: {:?}", vector.name(), report.verdicts);
        assert_eq!(report.document.module_id, vector.index["module_id"].as_str().unwrap());
        assert_eq!(report.document.is_debug().unwrap(), vector.is("debug_mode"));
        assert_eq!(report.chain.len(), 5, "{}", vector.name());
        assert_eq!(report.chain[0].subject.as_deref(), Some("aws.nitro-enclaves"));
        assert_eq!(hex::encode(report.chain[0].sha256), vector.index["root_sha256"].as_str().unwrap());
        assert!(report.chain.iter().all(|link| link.is_valid), "{}: {:?}", vector.name(), report.chain);
    }
}

#[test]
fn accepts_no_mutation_of_a_real_document() {
    // Debug documents too: what holds only their signature back is then tried as well.
    let vectors: Vec<_> = Vector::all().into_iter().filter(Vector::is_authentic).collect();
    if vectors.is_empty() {
        return;
    }
    let documents: Vec<_> = vectors.iter().map(|vector| vector.document.as_slice()).collect();
    let accepted = accepted_mutations(&documents, |index, document| {
        vectors[index].judge_bytes(document, true, VerifyTime::Document).is_ok()
    });
    println!("{MUTATIONS} mutations of {} real documents: accepted {accepted}", vectors.len());
    assert_eq!(accepted, 0);
}
