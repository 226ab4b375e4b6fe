//! Each error of form, path and signature, on a document that is right but for that.

use super::super::{
    DOCUMENT_BYTES_MAX, Error, NONCE_BYTES_MAX, PUBLIC_KEY_BYTES_MAX, TrustRoot, USER_DATA_BYTES_MAX,
    VerifyTime, verify,
};
use super::documents::{
    AUTHORITY, Authority, Certified, Envelope, NOW_MS, Payload, expectation, judge, write,
};
use crate::CborError;

type Case = (&'static str, Vec<u8>, fn(&Error) -> bool);

fn check(cases: Vec<Case>) {
    for (name, document, is_expected) in cases {
        match judge(&document) {
            Err(error) => assert!(is_expected(&error), "{name}: {error:?}"),
            Ok(_) => panic!("{name}: accepted"),
        }
    }
}

fn envelope(change: impl FnOnce(&mut Envelope)) -> Vec<u8> {
    let mut envelope = Envelope::around(&Payload::valid().to_bytes());
    change(&mut envelope);
    envelope.to_bytes()
}

fn field(name: &'static str, value: Vec<u8>) -> Vec<u8> {
    Payload::valid().with(name, value).signed()
}

macro_rules! malformed {
    ($part:literal, $source:pat) => {
        |error| matches!(error, Error::Malformed { part: $part, source: $source })
    };
}

#[test]
fn refuses_malformed_envelopes() {
    let trailing = [Payload::valid().signed(), vec![0]].concat();
    let padded = [Payload::valid().signed(), vec![0; DOCUMENT_BYTES_MAX]].concat();
    let large = Envelope::around(&vec![0; 16_385]).to_bytes();
    let not_shortest = |e: &mut Envelope| e.protected = vec![0x58, 4, 0xa1, 0x01, 0x38, 0x22];
    let indefinite = envelope(|e| {
        e.prefix = vec![0x9f];
        e.signature.push(0xff);
    });
    let is_unprotected: fn(&Error) -> bool =
        malformed!("envelope", CborError::Unexpected { expected: "an empty map as unprotected header", .. });
    check(vec![
        ("empty", vec![], malformed!("envelope", CborError::Truncated { .. })),
        ("too large", padded, |e| matches!(e, Error::TooLarge { limit: DOCUMENT_BYTES_MAX, .. })),
        ("payload too large", large, malformed!("envelope", CborError::TooLong { limit: 16_384, .. })),
        ("trailing byte", trailing, malformed!("envelope", CborError::TrailingBytes { count: 1, .. })),
        ("other tag", envelope(|e| e.prefix = vec![0xd1, 0x84]), |e| matches!(e, Error::Tag { tag: 17 })),
        ("two tags", envelope(|e| e.prefix = vec![0xd2, 0xd2, 0x84]), |e| {
            matches!(e, Error::Malformed { part: "envelope", source: CborError::Unexpected { .. } })
        }),
        ("three parts", envelope(|e| e.prefix = vec![0x83]), |e| {
            matches!(e, Error::Malformed { part: "envelope", source: CborError::Unexpected { .. } })
        }),
        ("indefinite array", indefinite, malformed!("envelope", CborError::Unexpected { .. })),
        ("not shortest", envelope(not_shortest), malformed!("envelope", CborError::NotShortest { .. })),
        ("unprotected header", envelope(|e| e.unprotected = vec![0xa1, 0x04, 0x40]), is_unprotected),
        ("indefinite header", envelope(|e| e.unprotected = vec![0xbf, 0xff]), is_unprotected),
        ("null payload", envelope(|e| e.payload = vec![0xf6]), |e| {
            matches!(e, Error::Malformed { part: "envelope", source: CborError::Unexpected { .. } })
        }),
        ("chunked payload", envelope(|e| e.payload = vec![0x5f, 0xff]), |e| {
            matches!(e, Error::Malformed { part: "envelope", source: CborError::ChunkedString { .. } })
        }),
    ]);
}

#[test]
fn refuses_other_algorithms_and_signatures() {
    let protected = |header: &'static [u8]| envelope(|e| e.protected = write::bytes(header));
    let signature = |bytes: &'static [u8]| envelope(|e| e.signature = write::bytes(bytes));
    check(vec![
        ("ES256", protected(&[0xa1, 0x01, 0x26]), |e| matches!(e, Error::Algorithm { algorithm: -7 })),
        ("QEMU's", protected(&[0xa1, 0x01, 0x20]), |e| matches!(e, Error::Algorithm { algorithm: -1 })),
        ("no header", protected(&[]), malformed!("protected header", CborError::Truncated { .. })),
        ("no algorithm", protected(&[0xa0]), malformed!("protected header", CborError::Unexpected { .. })),
        ("other label", protected(&[0xa1, 0x02, 0x38, 0x22]), |e| {
            matches!(e, Error::Malformed { part: "protected header", source: CborError::Unexpected { .. } })
        }),
        ("more labels", protected(&[0xa2, 0x01, 0x38, 0x22, 0x02, 0x80]), |e| {
            matches!(e, Error::Malformed { part: "protected header", source: CborError::Unexpected { .. } })
        }),
        ("trailing", protected(&[0xa1, 0x01, 0x38, 0x22, 0x00]), |e| {
            matches!(
                e,
                Error::Malformed { part: "protected header", source: CborError::TrailingBytes { .. } }
            )
        }),
        ("64 bytes", signature(&[0; 64]), |e| matches!(e, Error::SignatureLength { bytes: 64 })),
        ("no bytes", signature(&[]), |e| matches!(e, Error::SignatureLength { bytes: 0 })),
        ("97 bytes", signature(&[1; 97]), |e| matches!(e, Error::SignatureLength { bytes: 97 })),
        ("zero", signature(&[0; 96]), |e| matches!(e, Error::Signature { .. })),
    ]);
}

#[test]
fn refuses_malformed_payloads() {
    let payload = |bytes: &[u8]| Envelope::around(bytes).to_bytes();
    let trailing = [Payload::valid().to_bytes(), vec![0]].concat();
    let deep = Payload::valid().and("new", [vec![0x81; 20], vec![0]].concat()).signed();
    let many = (0..10).fold(Payload::valid(), |payload, index| {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        payload.and(names[index], vec![0])
    });
    let chunked = field("module_id", vec![0x7f, 0x61, b'a', 0xff]);
    check(vec![
        ("not a map", payload(&[0x80]), malformed!("payload", CborError::Unexpected { .. })),
        ("trailing", payload(&trailing), malformed!("payload", CborError::TrailingBytes { .. })),
        ("too deep", deep, malformed!("payload", CborError::TooDeep { limit: 16, .. })),
        ("many fields", many.signed(), malformed!("payload", CborError::TooLong { limit: 16, .. })),
        ("chunked text", chunked, malformed!("payload", CborError::ChunkedString { .. })),
        ("not utf-8", field("module_id", vec![0x61, 0xff]), malformed!("payload", CborError::NotUtf8 { .. })),
        ("reserved", field("module_id", vec![0x1c]), malformed!("payload", CborError::Reserved { .. })),
    ]);
}

#[test]
fn refuses_wrong_fields() {
    let long = |limit: usize| write::bytes(&vec![0; limit + 1]);
    let twice = |name| Payload::valid().and(name, write::bytes(b"again")).signed();
    check(vec![
        ("nonce twice", twice("nonce"), |e| matches!(e, Error::DuplicateField { field } if field == "nonce")),
        (
            "new twice",
            Payload::valid().and("new", vec![0]).and("new", vec![0]).signed(),
            |e| matches!(e, Error::DuplicateField { field } if field == "new"),
        ),
        ("no name", field("module_id", write::text("")), |e| {
            matches!(e, Error::EmptyField { field: "module_id" })
        }),
        ("no time", field("timestamp", vec![0]), |e| matches!(e, Error::EmptyField { field: "timestamp" })),
        (
            "negative time",
            field("timestamp", vec![0x20]),
            malformed!("payload", CborError::Unexpected { .. }),
        ),
        (
            "digest",
            field("digest", write::text("SHA256")),
            |e| matches!(e, Error::Digest { digest } if digest == "SHA256"),
        ),
        ("no bundle", field("cabundle", vec![0x80]), |e| {
            matches!(e, Error::EmptyField { field: "cabundle" })
        }),
        ("public key", field("public_key", long(PUBLIC_KEY_BYTES_MAX)), |e| {
            matches!(
                e,
                Error::Malformed { source: CborError::TooLong { limit: PUBLIC_KEY_BYTES_MAX, .. }, .. }
            )
        }),
        ("user data", field("user_data", long(USER_DATA_BYTES_MAX)), |e| {
            matches!(
                e,
                Error::Malformed { source: CborError::TooLong { limit: USER_DATA_BYTES_MAX, .. }, .. }
            )
        }),
        ("nonce", field("nonce", long(NONCE_BYTES_MAX)), |e| {
            matches!(e, Error::Malformed { source: CborError::TooLong { limit: NONCE_BYTES_MAX, .. }, .. })
        }),
        (
            "text as nonce",
            field("nonce", write::text("n")),
            malformed!("payload", CborError::Unexpected { .. }),
        ),
    ]);
}

#[test]
fn refuses_the_absence_of_each_mandatory_field() {
    for name in ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"] {
        let judged = judge(&Payload::valid().without(name).signed());
        assert!(
            matches!(&judged, Err(Error::MissingField { field }) if *field == name),
            "{name}: {judged:?}"
        );
    }
}

#[test]
fn refuses_wrong_pcrs() {
    let pcr = |index: u64, bytes: usize| (write::unsigned(index), write::bytes(&vec![0xa0; bytes]));
    let pcrs = |entries: &[(Vec<u8>, Vec<u8>)]| field("pcrs", write::map(entries));
    let many: Vec<_> = (0..33).map(|index| pcr(index, 48)).collect();
    check(vec![
        ("index", pcrs(&[pcr(32, 48)]), |e| matches!(e, Error::PcrIndex { index: 32 })),
        ("huge index", pcrs(&[pcr(1 << 40, 48)]), |e| matches!(e, Error::PcrIndex { .. })),
        ("twice", pcrs(&[pcr(0, 48), pcr(0, 48)]), |e| matches!(e, Error::DuplicatePcr { index: 0 })),
        ("SHA-256", pcrs(&[pcr(0, 32)]), |e| matches!(e, Error::PcrLength { index: 0, bytes: 32 })),
        ("SHA-512", pcrs(&[pcr(3, 64)]), |e| matches!(e, Error::PcrLength { index: 3, bytes: 64 })),
        ("too many", pcrs(&many), malformed!("payload", CborError::TooLong { limit: 32, .. })),
        ("none", pcrs(&[]), |e| matches!(e, Error::MissingPcr { index: 0 })),
        ("no PCR0", pcrs(&[pcr(1, 48)]), |e| matches!(e, Error::MissingPcr { index: 0 })),
        ("no PCR16", pcrs(&[pcr(0, 48), (write::unsigned(1), write::bytes(&[0xa1; 48]))]), |e| {
            matches!(e, Error::MissingPcr { index: 16 })
        }),
    ]);
}

#[test]
fn refuses_broken_certificate_paths() {
    let root = || write::bytes(&AUTHORITY.root);
    let intermediate = || write::bytes(&AUTHORITY.intermediate);
    let stranger = Authority::generate();
    let bundle = |certificates: &[Vec<u8>]| field("cabundle", write::array(certificates));
    let certificate = |der: &[u8]| field("certificate", write::bytes(der));
    let signed_by = |leaf: &Certified| {
        let payload = Payload::valid().with("certificate", write::bytes(&leaf.der));
        Envelope::signed_by(&payload.to_bytes(), leaf).to_bytes()
    };
    let surplus = [root(), write::bytes(&stranger.intermediate), intermediate()];
    let p256 = Payload::valid().with("certificate", write::bytes(&AUTHORITY.leaf_p256.der)).signed();
    check(vec![
        ("no intermediate", bundle(&[root()]), |e| matches!(e, Error::CertificatePath { .. })),
        ("reversed", bundle(&[intermediate(), root()]), |e| matches!(e, Error::UntrustedRoot { .. })),
        ("surplus", bundle(&surplus), |e| matches!(e, Error::CertificateOrder)),
        ("twice", bundle(&[root(), intermediate(), intermediate()]), |e| {
            matches!(e, Error::CertificateOrder)
        }),
        ("eight", bundle(&vec![root(); 8]), malformed!("payload", CborError::TooLong { limit: 7, .. })),
        ("long", certificate(&[0; 1025]), malformed!("payload", CborError::TooLong { limit: 1024, .. })),
        ("no leaf", certificate(&[]), |e| matches!(e, Error::Certificate { role: "leaf", .. })),
        ("stranger's leaf", signed_by(&stranger.leaf), |e| matches!(e, Error::CertificatePath { .. })),
        ("authority as leaf", signed_by(&AUTHORITY.leaf_authority), |e| {
            matches!(e, Error::CertificatePath { source: webpki::Error::CaUsedAsEndEntity })
        }),
        ("P-256 leaf", p256, |e| {
            matches!(
                e,
                Error::Signature {
                    source: webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
                }
            )
        }),
    ]);
}

#[test]
fn refuses_a_trusted_root_that_is_no_certificate() {
    let root = b"not a certificate";
    let bundle = write::array(&[write::bytes(root), write::bytes(&AUTHORITY.intermediate)]);
    let document = field("cabundle", bundle);
    let judged = verify(&document, &expectation(), &TrustRoot::for_tests(root), VerifyTime::Document);
    assert!(matches!(judged, Err(Error::Certificate { role: "root", .. })));
}

#[test]
fn refuses_a_payload_that_the_leaf_did_not_sign() {
    let altered = Payload::valid().with("user_data", write::bytes(b"altered")).to_bytes();
    let moved = envelope(|e| e.payload = write::bytes(&altered));
    let other_leaf = Envelope::signed_by(&Payload::valid().to_bytes(), &AUTHORITY.leaf_authority);
    check(vec![
        ("altered payload", moved, |e| matches!(e, Error::Signature { .. })),
        ("another's signature", other_leaf.to_bytes(), |e| matches!(e, Error::Signature { .. })),
    ]);
}

#[test]
fn names_what_is_wrong_in_lowercase_fragments() {
    let cases = [
        (Error::TooLarge { bytes: 9, limit: 8 }, "attestation document has 9 bytes, more than 8"),
        (Error::Algorithm { algorithm: -7 }, "signature algorithm -7 is not es384 (-35)"),
        (Error::MissingField { field: "pcrs" }, "field \"pcrs\" is missing in the attestation document"),
    ];
    for (error, expected) in cases {
        assert_eq!(error.to_string(), expected);
    }
    assert!(judge(&field("timestamp", write::unsigned(NOW_MS))).is_ok());
}
