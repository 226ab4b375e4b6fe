//! What an authentic document must claim, and when.

use std::collections::BTreeMap;

use super::super::{Error, Expectation, Pcr, TrustRoot, VerifyTime, manifest_pcr16, verify};
use super::documents::{
    AUTHORITY, Authority, Envelope, LEAF_VALID_MS, NONCE, NOW_MS, PCR0, Payload, expectation, judge, write,
};

fn meets(expectation: &Expectation) -> Result<(), Error> {
    verify(&Payload::valid().signed(), expectation, &AUTHORITY.trust(), VerifyTime::Document).map(drop)
}

#[test]
fn reports_what_the_document_says() {
    let document = judge(&Payload::valid().signed()).unwrap();
    assert_eq!(document.timestamp_ms, NOW_MS);
    assert_eq!(document.pcrs.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 16]);
    assert_eq!(document.public_key.as_deref(), Some(b"key".as_slice()));
    assert_eq!(document.user_data, None);
    assert_eq!(document.nonce.as_deref(), Some(NONCE));

    let report = serde_json::to_value(&document).unwrap();
    assert_eq!(report["pcrs"]["0"], hex::encode(PCR0));
    assert_eq!(report["public_key"], hex::encode("key"));
    assert_eq!(report["user_data"], serde_json::Value::Null);
}

#[test]
fn accepts_every_encoding_that_an_nsm_has_used() {
    let payload = Payload::valid();
    let bundle = [write::bytes(&AUTHORITY.root), write::bytes(&AUTHORITY.intermediate)];
    let indefinite = payload
        .clone()
        .with("pcrs", write::indefinite_map(&Payload::pcrs()))
        .with("cabundle", write::indefinite_array(&bundle));
    let indefinite = Envelope::around(&write::indefinite_map(&indefinite.entries()));
    let tagged = Envelope { prefix: vec![0xd2, 0x84], ..Envelope::around(&payload.to_bytes()) };
    let absent = payload.clone().without("public_key").without("user_data").signed();
    let empty = payload.clone().with("user_data", write::bytes(&[])).signed();
    let extended = payload.and("new_field", write::array(&[vec![0xf5], write::text("later")])).signed();
    for document in [indefinite.to_bytes(), tagged.to_bytes(), absent, empty, extended] {
        assert!(judge(&document).is_ok());
    }
}

#[test]
fn a_manifest_demands_its_builds_its_commitment_and_no_debugging() {
    let (one, two) = ([[1; 48], [2; 48], [3; 48]], [[4; 48], [5; 48], [6; 48]]);
    let demanded = Expectation::of_manifest([one, two], [0x11; 32]);
    let build = |pcrs: [Pcr; 3]| (0..).zip(pcrs).collect::<BTreeMap<u8, Pcr>>();
    let expected = Expectation {
        builds: vec![build(one), build(two)],
        pcrs: BTreeMap::from([(16, manifest_pcr16([0x11; 32]))]),
        nonce: None,
        allow_debug: false,
    };
    assert_eq!(demanded, expected);
    assert_eq!(demanded.answering(vec![7]), Expectation { nonce: Some(vec![7]), ..expected });
}

#[test]
fn refuses_everything_unless_a_build_is_allowed() {
    let no_build = Expectation::default();
    let nothing_named = Expectation { builds: vec![BTreeMap::new()], ..expectation() };
    let no_pcr0 = Expectation { builds: vec![BTreeMap::from([(1, [0xa1; 48])])], ..expectation() };
    let one_differs =
        Expectation { builds: vec![BTreeMap::from([(0, PCR0), (1, [0xff; 48])])], ..expectation() };
    let one_absent = Expectation { builds: vec![BTreeMap::from([(0, PCR0), (8, [0; 48])])], ..expectation() };
    for refused in [no_build, nothing_named, no_pcr0, one_differs, one_absent] {
        assert!(matches!(meets(&refused), Err(Error::BuildNotAllowed { .. })), "{refused:?}");
    }
}

#[test]
fn accepts_any_one_of_the_allowed_builds() {
    let mut allowed = expectation();
    allowed.builds.insert(0, BTreeMap::from([(0, [0xee; 48])]));
    assert!(meets(&allowed).is_ok());
}

#[test]
fn refuses_another_manifest_and_another_nonce() {
    let other_manifest = Expectation { pcrs: BTreeMap::from([(16, [0x17; 48])]), ..expectation() };
    assert!(matches!(meets(&other_manifest), Err(Error::PcrMismatch { index: 16, .. })));
    let other_nonce = Expectation { nonce: Some(b"another".to_vec()), ..expectation() };
    assert!(matches!(meets(&other_nonce), Err(Error::NonceMismatch)));
    let unanswered = Payload::valid().without("nonce").signed();
    assert!(matches!(judge(&unanswered), Err(Error::NonceMismatch)));
}

#[test]
fn demands_the_value_of_any_register() {
    for index in [0, 1, 2, 16] {
        let value = judge(&Payload::valid().signed()).unwrap().pcrs[&index];
        let demanded = |value| Expectation { pcrs: BTreeMap::from([(index, value)]), ..expectation() };
        assert!(meets(&demanded(value)).is_ok(), "PCR{index}");
        let judged = meets(&demanded([0x17; 48]));
        assert!(matches!(judged, Err(Error::PcrMismatch { index: found, .. }) if found == index));
    }
    for index in [3, 4, 8, 15, 17, 31] {
        let absent = Expectation { pcrs: BTreeMap::from([(index, [0; 48])]), ..expectation() };
        assert!(matches!(meets(&absent), Err(Error::MissingPcr { index: found }) if found == index));
    }
}

#[test]
fn leaves_open_what_is_not_demanded() {
    assert!(meets(&Expectation { pcrs: BTreeMap::new(), nonce: None, ..expectation() }).is_ok());
}

#[test]
fn admits_debug_mode_only_when_it_is_allowed_and_listed() {
    let zero = [0; 48];
    let debug = write::map(&[(write::unsigned(0), write::bytes(&zero))]);
    let debug = Payload::valid().with("pcrs", debug).signed();
    let judged = |allow_debug, pcr0| {
        let builds = vec![BTreeMap::from([(0, pcr0)])];
        let expectation = Expectation { builds, allow_debug, ..Expectation::default() };
        verify(&debug, &expectation, &AUTHORITY.trust(), VerifyTime::Document)
    };
    assert!(matches!(judged(false, zero), Err(Error::DebugMode)));
    assert!(matches!(judged(true, PCR0), Err(Error::BuildNotAllowed { .. })));
    assert!(judged(true, zero).is_ok());
}

#[test]
fn accepts_a_document_only_while_its_certificates_are_valid() {
    let document = Payload::valid().signed();
    let at = |unix_ms| verify(&document, &expectation(), &AUTHORITY.trust(), VerifyTime::At(unix_ms));
    assert!(at(NOW_MS).is_ok());
    assert!(at(NOW_MS + LEAF_VALID_MS - 1000).is_ok());
    for outside in [0, NOW_MS - 1000, NOW_MS + LEAF_VALID_MS + 1000, u64::MAX] {
        assert!(matches!(at(outside), Err(Error::CertificatePath { .. })), "{outside}");
    }
}

#[test]
fn trusts_no_root_but_the_given_one() {
    let document = Payload::valid().signed();
    for trust in [TrustRoot::aws_nitro(), Authority::generate().trust()] {
        let judged = verify(&document, &expectation(), &trust, VerifyTime::Document);
        assert!(matches!(judged, Err(Error::UntrustedRoot { .. })));
    }
}

#[test]
fn takes_other_roots_than_that_of_aws_only_with_the_development_feature() {
    let aws = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b";
    assert_eq!(hex::encode(TrustRoot::aws_nitro().sha256()), aws);
    assert!(TrustRoot::from_sha256(TrustRoot::aws_nitro().sha256()).is_ok());

    let other = TrustRoot::from_sha256(AUTHORITY.trust().sha256());
    if cfg!(feature = "development") {
        assert_eq!(other.unwrap(), AUTHORITY.trust());
    } else {
        assert!(matches!(other, Err(Error::UntrustedRoot { .. })));
    }
}
