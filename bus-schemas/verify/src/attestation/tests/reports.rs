//! The report makes the verifier's checks, all of them, and nothing else.

use std::collections::BTreeMap;

use super::super::{Check, Error, Expectation, Report, TrustRoot, VerifyTime, examine};
use super::documents::{AUTHORITY, Envelope, LEAF_VALID_MS, NOW_MS, Payload, expectation, judge, write};
use crate::CborError;

fn refused(report: &Report) -> Vec<Check> {
    report.verdicts.iter().filter(|verdict| verdict.refusal.is_some()).map(|verdict| verdict.check).collect()
}

fn report(document: &[u8], expectation: &Expectation, time: VerifyTime) -> Report {
    examine(document, expectation, &AUTHORITY.trust(), time).unwrap()
}

#[test]
fn a_report_holds_for_what_the_verifier_admits() {
    let document = Payload::valid().signed();
    let report = report(&document, &expectation(), VerifyTime::Document);
    assert!(report.holds(), "{report:?}");
    assert_eq!(report.document, judge(&document).unwrap());
    let checks: Vec<_> = report.verdicts.iter().map(|verdict| verdict.check).collect();
    let (first, last) = ([Check::Root, Check::Signature, Check::Path], [Check::Pcr(16), Check::Nonce]);
    assert_eq!(checks, [&first[..], &[Check::Mode, Check::Build], &last[..]].concat());
    let names: Vec<_> = report.chain.iter().map(|link| link.subject.as_deref().unwrap()).collect();
    assert_eq!(names, ["root", "intermediate", "leaf"]);
    let valid = report.chain[2].validity.unwrap();
    let (from_s, until_s) = (NOW_MS / 1000, (NOW_MS / 1000 * 1000 + LEAF_VALID_MS) / 1000);
    let seconds = [valid.not_before_s, valid.not_after_s].map(|second| u64::try_from(second).unwrap());
    assert_eq!(seconds, [from_s, until_s]);
}

#[test]
fn every_check_that_fails_is_reported_and_no_other() {
    let wrong = Expectation {
        builds: vec![BTreeMap::from([(0, [1; 48])])],
        pcrs: BTreeMap::from([(1, [0xa1; 48]), (2, [1; 48]), (8, [0; 48])]),
        nonce: Some(vec![1]),
        allow_debug: false,
    };
    let late = VerifyTime::At(NOW_MS + LEAF_VALID_MS + 1000);
    let all = report(&Payload::valid().signed(), &wrong, late);
    assert_eq!(refused(&all), [Check::Path, Check::Build, Check::Pcr(2), Check::Pcr(8), Check::Nonce]);
    assert!(!all.holds() && all.chain.iter().all(|link| !link.is_valid));

    let mut envelope = Envelope::around(&Payload::valid().to_bytes());
    envelope.signature = write::bytes(&[1; 96]);
    let forged = report(&envelope.to_bytes(), &expectation(), VerifyTime::Document);
    assert_eq!(refused(&forged), [Check::Signature]);

    let document = Payload::valid().signed();
    let strange = examine(&document, &expectation(), &TrustRoot::aws_nitro(), VerifyTime::Document).unwrap();
    assert_eq!(refused(&strange), [Check::Root]);
}

#[test]
fn measurements_are_the_readers_to_judge_when_no_build_is_listed_but_debug_mode_is_not() {
    let none = Expectation::default();
    let open = report(&Payload::valid().signed(), &none, VerifyTime::Document);
    assert!(open.holds() && open.verdicts.iter().all(|verdict| verdict.check != Check::Build));
    let zero = write::map(&[(write::unsigned(0), write::bytes(&[0; 48]))]);
    let debug = report(&Payload::valid().with("pcrs", zero).signed(), &none, VerifyTime::Document);
    assert_eq!(refused(&debug), [Check::Mode]);
}

#[test]
fn what_cannot_be_read_has_no_report() {
    let judged = examine(&[0x80], &expectation(), &AUTHORITY.trust(), VerifyTime::Document);
    assert!(matches!(judged, Err(Error::Malformed { source: CborError::Unexpected { .. }, .. })));
}

#[test]
fn a_certificate_that_cannot_be_read_is_a_link_that_says_nothing() {
    let unreadable = Payload::valid().with("certificate", write::bytes(&[0x30, 0x82, 0xff, 0xff])).signed();
    let report = report(&unreadable, &expectation(), VerifyTime::Document);
    assert_eq!(refused(&report), [Check::Signature, Check::Path]);
    let leaf = &report.chain[2];
    assert!(!leaf.is_valid && leaf.subject.is_none() && leaf.validity.is_none(), "{leaf:?}");
}
