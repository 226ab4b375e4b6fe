//! A document of which anything is changed is another document: it is never accepted.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::documents::{Payload, judge};

/// The only change that leaves what is signed and what is said alone: the optional tag of COSE_Sign1.
const TAG: u8 = 0xd2;

static DOCUMENT: LazyLock<Vec<u8>> = LazyLock::new(|| Payload::valid().signed());

fn is_original(document: &[u8]) -> bool {
    document.strip_prefix(&[TAG]).unwrap_or(document) == *DOCUMENT
}

#[derive(Debug, Clone)]
enum Mutation {
    Flip { at: usize, bits: u8 },
    Insert { at: usize, bytes: Vec<u8> },
    Remove { at: usize, count: usize },
    Truncate { at: usize },
    Repeat { at: usize, count: usize },
}

impl Mutation {
    fn apply(&self, document: &mut Vec<u8>) {
        let clamp = |at: &usize| at % DOCUMENT.len();
        match self {
            Self::Flip { at, bits } => document[clamp(at)] ^= bits,
            Self::Insert { at, bytes } => {
                let at = clamp(at);
                document.splice(at..at, bytes.iter().copied());
            }
            Self::Remove { at, count } => {
                let at = clamp(at);
                document.drain(at..(at + count).min(document.len()));
            }
            Self::Truncate { at } => document.truncate(clamp(at)),
            Self::Repeat { at, count } => {
                let at = clamp(at);
                let repeated = document[at..(at + count).min(document.len())].to_vec();
                document.splice(at..at, repeated);
            }
        }
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<usize>(), 1u8..).prop_map(|(at, bits)| Mutation::Flip { at, bits }),
        (any::<usize>(), prop::collection::vec(any::<u8>(), 1..8))
            .prop_map(|(at, bytes)| Mutation::Insert { at, bytes }),
        (any::<usize>(), 1usize..64).prop_map(|(at, count)| Mutation::Remove { at, count }),
        any::<usize>().prop_map(|at| Mutation::Truncate { at }),
        (any::<usize>(), 1usize..64).prop_map(|(at, count)| Mutation::Repeat { at, count }),
    ]
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

proptest! {
    #[test]
    fn refuses_every_mutated_document(mutations in prop::collection::vec(mutation(), 1..4)) {
        let mut document = DOCUMENT.clone();
        for mutation in mutations {
            // A mutation may have shortened it already: later ones apply to what is long enough.
            if document.len() == DOCUMENT.len() {
                mutation.apply(&mut document);
            }
        }
        prop_assert_eq!(judge(&document).is_ok(), is_original(&document));
    }

    #[test]
    fn refuses_arbitrary_bytes(document: Vec<u8>) {
        prop_assert!(judge(&document).is_err());
    }
}
