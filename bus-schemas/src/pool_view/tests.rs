use proptest::prelude::*;

use super::*;
use crate::nkey::SigningKey;
use crate::token::{AggregateId, TOKEN_BYTES_MAX, Tenant};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

/// The keys of these seeds, as views have them.
fn members(seeds: &[u8]) -> Vec<PublicKey> {
    let mut members: Vec<_> = seeds.iter().map(|seed| key(*seed).public()).collect();
    members.sort();
    members
}

fn view(seeds: &[u8]) -> PoolView {
    let heads_sha256 = Heads::default().sha256();
    PoolView { genesis_sha256: Sha256([1; 32]), heads_sha256, members: members(seeds), number: 1 }
}

fn wallet(id: &str) -> WalletName {
    WalletName { tenant: Tenant::parse("acme").unwrap(), wallet: AggregateId::parse(id).unwrap() }
}

fn head(sequence: u32, hash: u8) -> Head {
    Head { sequence, sha256: Sha256([hash; 32]) }
}

fn heads(of: &[(&str, Head)]) -> Heads {
    let mut heads = Heads::default();
    for (id, head) in of {
        heads.set(wallet(id), Standing::from(*head)).unwrap();
    }
    heads
}

fn endorsement(view: &PoolView, head: Head) -> EndorsementStatement {
    let (genesis_sha256, view_sha256) = (view.genesis_sha256, view.sha256());
    EndorsementStatement { genesis_sha256, head, view_sha256, wallet: wallet("main") }
}

fn leave(view: &PoolView, seed: u8, next: &[u8], heads: Heads) -> Finalisation {
    let statement = FinalisationStatement {
        genesis_sha256: view.genesis_sha256,
        heads_sha256: heads.sha256(),
        members: members(next),
        view_sha256: view.sha256(),
    };
    Finalisation { heads, signed: Signed::sign(statement, &[&key(seed)]) }
}

#[test]
fn a_majority_is_more_than_half() {
    for (count, expected) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (16, 9)] {
        let seeds: Vec<u8> = (1..=count).collect();
        assert_eq!(view(&seeds).majority().threshold, expected, "{count}");
        assert!(view(&seeds).is_sound());
    }
    let many: Vec<u8> = (1..=17).collect();
    assert!(!view(&many).is_sound());
    assert!(!view(&[]).is_sound());
    assert!(!view(&[1, 1]).is_sound());
    let mut unsorted = view(&[1, 2, 3]);
    unsorted.members.reverse();
    assert!(!unsorted.is_sound());
    assert!(!PoolView { number: 0, ..view(&[1]) }.is_sound());
}

#[test]
fn a_certificate_is_one_of_a_majority_of_its_own_view() {
    let view = view(&[1, 2, 3]);
    let sign = |statement, seeds: &[u8]| {
        let keys: Vec<_> = seeds.iter().map(|seed| key(*seed)).collect();
        Certificate::sign(statement, &keys.iter().collect::<Vec<_>>())
    };
    let statement = || endorsement(&view, head(1, 7));
    assert!(sign(statement(), &[1, 3]).certifies(&view, &wallet("main"), &head(1, 7)));
    assert!(!sign(statement(), &[1]).is_of(&view));
    assert!(!sign(statement(), &[1, 1]).is_of(&view));
    assert!(!sign(statement(), &[1, 4]).is_of(&view));
    assert!(!sign(statement(), &[1, 3]).is_of(&PoolView { number: 2, ..view.clone() }));
    assert!(!sign(statement(), &[1, 3]).certifies(&view, &wallet("other"), &head(1, 7)));
    assert!(!sign(statement(), &[1, 3]).certifies(&view, &wallet("main"), &head(1, 8)));
    let elsewhere = EndorsementStatement { genesis_sha256: Sha256([9; 32]), ..statement() };
    assert!(!sign(elsewhere, &[1, 3]).is_of(&view));
}

#[test]
fn the_signed_bytes_are_canonical_as_they_are_declared() {
    let view = view(&[1, 2]);
    let left = leave(&view, 1, &[2, 3], heads(&[("a", head(1, 1))]));
    let link = PoolLink { finalisations: vec![left.signed.clone()], view: view.clone() };
    assert_eq!(canonical::to_string(&view), serde_json::to_string(&view).unwrap());
    let statement = endorsement(&view, head(1, 1));
    assert_eq!(canonical::to_string(&statement), serde_json::to_string(&statement).unwrap());
    assert_eq!(canonical::to_string(&left.heads), serde_json::to_string(&left.heads).unwrap());
    let json = canonical::to_string(&link);
    assert_eq!(canonical::from_slice::<PoolLink>(json.as_bytes()).unwrap(), link);
}

#[test]
fn heads_have_one_form_and_a_bound() {
    let line = |id: &str| WalletHead { standing: head(1, 1).into(), wallet: wallet(id) };
    assert_eq!(Heads::try_from(vec![line("b"), line("a")]), Err(HeadsError::Order));
    assert_eq!(Heads::try_from(vec![line("a"), line("a")]), Err(HeadsError::Order));
    let many: Vec<_> = (0..=HEADS_MAX).map(|id| line(&format!("{id:05}"))).collect();
    assert_eq!(Heads::try_from(many.clone()), Err(HeadsError::TooMany));
    let mut full = Heads::try_from(many[1..].to_vec()).unwrap();
    assert_eq!(full.set(wallet("other"), head(1, 1).into()), Err(HeadsError::TooMany));
    assert_eq!(full.set(wallet("00001"), head(2, 1).into()), Ok(()));
    assert_eq!(full.of(&wallet("other")), Head::before_first().into());
}

/// The greatest message with all heads that there may be stays within 256 KiB, the limit of a worker's channel.
#[test]
fn all_heads_fit_one_message() {
    let mut heads = Heads::default();
    for id in 0..HEADS_MAX {
        let long = |prefix: &str| format!("{prefix:x<TOKEN_BYTES_MAX$}");
        let name = WalletName {
            tenant: Tenant::parse(&long("t")).unwrap(),
            wallet: AggregateId::parse(&long(&format!("{id:05}"))).unwrap(),
        };
        heads.set(name, Standing { head: head(u32::MAX, 0xff), is_disputed: true }).unwrap();
    }
    let seeds: Vec<u8> = (1..=16).collect();
    let left = leave(&view(&seeds), 1, &seeds, heads);
    let bytes = canonical::to_string(&left).len();
    assert!(bytes + 8 * 1024 <= 256 * 1024, "{bytes}");
}

#[test]
fn a_view_is_followed_by_what_a_majority_left_it_for() {
    let view = view(&[1, 2, 3]);
    let one = leave(&view, 1, &[2, 3, 4], heads(&[("a", head(2, 1)), ("b", head(1, 1))]));
    let two = leave(&view, 3, &[2, 3, 4], heads(&[("a", head(3, 2))]));
    let (next, merged) = succeeds(&view, &[one.clone(), two.clone()]).unwrap();
    assert_eq!(merged, heads(&[("a", head(3, 2)), ("b", head(1, 1))]));
    assert_eq!((next.number, &next.members, next.heads_sha256), (2, &members(&[2, 3, 4]), merged.sha256()));
    let link = |finalisations: &[&Finalisation]| PoolLink {
        finalisations: finalisations.iter().map(|one| one.signed.clone()).collect(),
        view: next.clone(),
    };
    assert_eq!(link(&[&one, &two]).follows(&view), Ok(()));
    assert_eq!(link(&[&one]).follows(&view), Err(SuccessionError::NoMajority));
    assert_eq!(link(&[&one, &one]).follows(&view), Err(SuccessionError::Finalisation));
    let stranger = leave(&view, 4, &[2, 3, 4], Heads::default());
    assert_eq!(link(&[&one, &stranger]).follows(&view), Err(SuccessionError::Finalisation));
    let elsewhere = leave(&view, 2, &[2, 3], Heads::default());
    assert_eq!(link(&[&one, &elsewhere]).follows(&view), Err(SuccessionError::Finalisation));
    let mut skipped = link(&[&one, &two]);
    skipped.view.number = 3;
    assert_eq!(skipped.follows(&view), Err(SuccessionError::Number { expected: 2, found: 3 }));
    let mut altered = two.clone();
    altered.heads = heads(&[("a", head(9, 2))]);
    assert_eq!(succeeds(&view, &[one.clone(), altered]), Err(SuccessionError::Finalisation));
    let mut forged = two;
    forged.signed.signatures[0].key = key(2).public();
    assert_eq!(succeeds(&view, &[one, forged]), Err(SuccessionError::Finalisation));
    assert_eq!(succeeds(&view, &[]), Err(SuccessionError::NoMajority));
}

#[test]
fn the_operators_number_is_never_reached_without_them() {
    let last = PoolView { number: VIEWS_PER_ACT, ..view(&[1]) };
    assert_eq!(
        succeeds(&last, &[leave(&last, 1, &[1], Heads::default())]).map(drop),
        Err(SuccessionError::Links)
    );
}

#[test]
fn two_reservations_of_one_sequence_are_a_dispute_that_lasts_until_it_is_passed() {
    let (one, two) = (heads(&[("a", head(4, 1))]), heads(&[("a", head(4, 2))]));
    let disputed = Heads::merge([&one, &two]).unwrap();
    assert_eq!(disputed.of(&wallet("a")), Standing { head: head(4, 1), is_disputed: true });
    assert_eq!(Heads::merge([&two, &disputed]).unwrap(), disputed);
    let further = heads(&[("a", head(5, 3))]);
    assert_eq!(Heads::merge([&disputed, &further]).unwrap(), further);
}

fn any_heads() -> impl Strategy<Value = Heads> {
    let standing = (0_u32..4, 0_u8..3, any::<bool>())
        .prop_map(|(sequence, hash, is_disputed)| Standing { head: head(sequence, hash), is_disputed });
    prop::collection::btree_map("[a-c]", standing, 0..3).prop_map(|of| {
        let mut heads = Heads::default();
        for (id, standing) in of {
            heads.set(wallet(&id), standing).unwrap();
        }
        heads
    })
}

proptest! {
    /// In whatever order and grouping members are heard, the heads are the same.
    #[test]
    fn merging_is_of_a_set(one in any_heads(), two in any_heads(), three in any_heads()) {
        let merge = |list: &[&Heads]| Heads::merge(list.iter().copied()).unwrap();
        let all = merge(&[&one, &two, &three]);
        prop_assert_eq!(&merge(&[&three, &one, &two]), &all);
        prop_assert_eq!(&merge(&[&merge(&[&one, &two]), &three]), &all);
        prop_assert_eq!(&merge(&[&all, &one]), &all);
        for id in ["a", "b", "c"] {
            prop_assert!(all.of(&wallet(id)).head.sequence >= one.of(&wallet(id)).head.sequence);
        }
    }

    #[test]
    fn heads_come_back_as_they_were_written(heads in any_heads()) {
        let json = canonical::to_string(&heads);
        prop_assert_eq!(canonical::from_slice::<Heads>(json.as_bytes()).unwrap(), heads);
    }
}
