//! A document of which anything is changed is another document: it is never accepted.

use std::num::NonZero;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use fastrand::Rng;
use nsl_test_site::mutate;
use proptest::prelude::*;

use super::documents::{Payload, judge};

/// How many mutations are tried of a set of documents.
pub(super) const MUTATIONS: u32 = 100_000;
/// Changes that one mutation is made of, at most.
const CHANGES_MAX: usize = 3;

/// The only change that leaves what is signed and what is said alone: the optional tag of COSE_Sign1.
const TAG: u8 = 0xd2;

static DOCUMENT: LazyLock<Vec<u8>> = LazyLock::new(|| Payload::valid().signed());

fn untagged(document: &[u8]) -> &[u8] {
    document.strip_prefix(&[TAG]).unwrap_or(document)
}

/// How many of [`MUTATIONS`] mutations of the documents in turn are accepted, on all cores. The n-th mutation is always
/// the same one, so a failure names what repeats it.
pub(super) fn accepted_mutations(
    documents: &[&[u8]],
    is_accepted: impl Fn(usize, &[u8]) -> bool + Sync,
) -> u32 {
    let (next, accepted) = (AtomicU32::new(0), AtomicU32::new(0));
    let try_next = || {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= MUTATIONS {
            return false;
        }
        let index = number as usize % documents.len();
        let mut random = Rng::with_seed(u64::from(number));
        let mut document = documents[index].to_vec();
        for _ in 0..random.usize(1..=CHANGES_MAX) {
            mutate(&mut random, &mut document);
        }
        if untagged(&document) != untagged(documents[index]) && is_accepted(index, &document) {
            println!("mutation {number} of document {index} is accepted");
            accepted.fetch_add(1, Ordering::Relaxed);
        }
        true
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| while try_next() {});
        }
    });
    accepted.into_inner()
}

#[test]
fn refuses_the_document_with_any_one_byte_changed() {
    for at in 0..DOCUMENT.len() {
        let mut document = DOCUMENT.clone();
        document[at] ^= 1 << (at % 8);
        assert!(judge(&document).is_err(), "byte {at}");
    }
}

#[test]
fn refuses_the_document_cut_at_any_byte() {
    for length in 0..DOCUMENT.len() {
        assert!(judge(&DOCUMENT[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn refuses_the_document_with_any_one_byte_inserted() {
    for (at, inserted) in (0..DOCUMENT.len()).map(|at| (at, DOCUMENT[at])) {
        let mut document = DOCUMENT.clone();
        document.insert(at, inserted);
        assert!(judge(&document).is_err(), "byte {at}");
    }
}

#[test]
fn accepts_the_tag_of_cose_and_nothing_else_before_a_document() {
    let before = |byte: u8| [&[byte], DOCUMENT.as_slice()].concat();
    let accepted: Vec<u8> = (0..=u8::MAX).filter(|byte| judge(&before(*byte)).is_ok()).collect();
    assert_eq!(accepted, [TAG]);
}

#[test]
fn accepts_no_mutation_of_a_document() {
    let accepted = accepted_mutations(&[&DOCUMENT], |_, document| judge(document).is_ok());
    println!("{MUTATIONS} mutations of a document of our own: accepted {accepted}");
    assert_eq!(accepted, 0);
}

proptest! {
    #[test]
    fn refuses_arbitrary_bytes(document: Vec<u8>) {
        prop_assert!(judge(&document).is_err());
    }
}
