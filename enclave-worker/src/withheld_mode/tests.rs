//! A signature's proof, whole and with one thing wrong at a time.

use nsl_schemas::authority::Signed;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::policy::Counters;
use nsl_schemas::pool_view::EndorsementStatement;
use nsl_schemas::reservation::{Head, WalletName};
use nsl_schemas::token::{AggregateId, Tenant};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::*;

const NOW_MS: u64 = 1_790_000_000_000;
const TX_HASH: &str = "0x01";
const POLICY: Sha256 = Sha256([2; 32]);
const GENESIS: Sha256 = Sha256([1; 32]);

fn member(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn key(secret: u8) -> PrivateKey {
    PrivateKey::from_bytes(Zeroizing::new([secret; 32])).unwrap()
}

fn subject() -> Subject {
    Subject {
        genesis_sha256: GENESIS,
        tenant: Tenant::parse("acme").unwrap(),
        wallet: AggregateId::parse("main").unwrap(),
        command_id: Uuid::from_u128(7),
        request_sha256: Sha256([3; 32]),
        issued_at_ms: NOW_MS,
        now_ms: NOW_MS,
    }
}

fn reservation() -> Reservation {
    let Subject { genesis_sha256, tenant, wallet, command_id, request_sha256, .. } = subject();
    Reservation {
        counters: Counters::default(),
        genesis_sha256,
        key_version: 1,
        policy_sha256: POLICY,
        previous_sha256: Head::before_first().sha256,
        request_id: command_id,
        request_sha256,
        reserved_at_ms: NOW_MS,
        sequence: 1,
        tenant,
        tx_hash: TX_HASH.to_owned(),
        wallet,
    }
}

fn sealed(reservation: Reservation) -> SealedReservation {
    ReservationSeal::of(&key(7)).unwrap().seal(reservation)
}

/// A view of these members.
fn view(number: u32, seeds: &[u8]) -> PoolView {
    let mut members: Vec<_> = seeds.iter().map(|seed| member(*seed).public()).collect();
    members.sort_unstable();
    PoolView { genesis_sha256: GENESIS, heads_sha256: Sha256([4; 32]), members, number }
}

fn statement(view: &PoolView, reservation: &Reservation) -> EndorsementStatement {
    EndorsementStatement {
        genesis_sha256: GENESIS,
        head: reservation.head(),
        view_sha256: view.sha256(),
        wallet: reservation.wallet_name(),
    }
}

fn endorsed(statement: EndorsementStatement, by: &[u8]) -> Certificate {
    let keys: Vec<SigningKey> = by.iter().map(|seed| member(*seed)).collect();
    Signed::sign(statement, &keys.iter().collect::<Vec<_>>())
}

/// The code of the no, and whether it is for good.
fn verdict(
    subject: &Subject,
    sealed: &SealedReservation,
    view: Option<&PoolView>,
    certificate: Option<&Certificate>,
) -> Result<(), (&'static str, bool)> {
    let proof = Proof { reservation: Some(sealed), view, certificate };
    check(&key(7), subject, TX_HASH, POLICY, proof).map_err(|failure| match failure {
        Failure::Refused(refusal) => (refusal.code.code, true),
        Failure::Unavailable(error) => (error.code().code, false),
    })
}

#[test]
fn a_majority_of_the_workers_own_view_lets_it_sign() {
    let (view, sealed) = (view(1, &[1, 2, 3]), sealed(reservation()));
    for (by, expected) in [
        (&[1, 2][..], Ok(())),
        (&[3, 1, 2], Ok(())),
        (&[1], Err(("reservation_not_endorsed", false))),
        (&[1, 1], Err(("reservation_not_endorsed", false))),
        (&[1, 4], Err(("reservation_not_endorsed", false))),
        (&[], Err(("reservation_not_endorsed", false))),
    ] {
        let certificate = endorsed(statement(&view, &sealed.reservation), by);
        assert_eq!(verdict(&subject(), &sealed, Some(&view), Some(&certificate)), expected, "{by:?}");
    }
}

#[test]
fn endorsements_of_anything_else_are_none() {
    let (view_1, sealed) = (view(1, &[1, 2, 3]), sealed(reservation()));
    let alters: [fn(&mut EndorsementStatement); 5] = [
        |s| s.genesis_sha256 = Sha256([9; 32]),
        |s| s.head.sequence = 2,
        |s| s.head.sha256 = Sha256([9; 32]),
        |s| s.view_sha256 = view(2, &[1, 2, 3]).sha256(),
        |s| s.wallet = WalletName { wallet: AggregateId::parse("other").unwrap(), ..s.wallet.clone() },
    ];
    for (index, alter) in alters.into_iter().enumerate() {
        let mut altered = statement(&view_1, &sealed.reservation);
        alter(&mut altered);
        let certificate = endorsed(altered, &[1, 2, 3]);
        let answer = verdict(&subject(), &sealed, Some(&view_1), Some(&certificate));
        assert_eq!(answer, Err(("reservation_not_endorsed", false)), "case {index}");
    }
    // A certificate of the view before, and a view whose members the host chose.
    let certificate = endorsed(statement(&view_1, &sealed.reservation), &[1, 2, 3]);
    let answer = verdict(&subject(), &sealed, Some(&view(2, &[1, 2, 3])), Some(&certificate));
    assert_eq!(answer, Err(("reservation_not_endorsed", false)));
    assert_eq!(verdict(&subject(), &sealed, Some(&view_1), None), Err(("reservation_not_endorsed", false)));
    assert_eq!(
        verdict(&subject(), &sealed, None, Some(&certificate)),
        Err(("withheld_mode_required", false))
    );
}

#[test]
fn a_reservation_serves_its_own_transaction_request_and_policy_alone() {
    type Alter = fn(&mut Reservation);
    let view = view(1, &[1]);
    let alters: [(&str, Alter); 4] = [
        ("request", |r| r.request_id = Uuid::nil()),
        ("request's hash", |r| r.request_sha256 = Sha256([9; 32])),
        ("transaction", |r| r.tx_hash = "0x02".to_owned()),
        ("policy", |r| r.policy_sha256 = Sha256([9; 32])),
    ];
    for (name, alter) in alters {
        let mut other = reservation();
        alter(&mut other);
        let certificate = endorsed(statement(&view, &other), &[1]);
        // As a worker made it, and as a host alters one.
        let forged = SealedReservation { reservation: other.clone(), ..sealed(reservation()) };
        let answer = verdict(&subject(), &sealed(other), Some(&view), Some(&certificate));
        assert_eq!(answer, Err(("reservation_mismatch", true)), "{name}");
        let answer = verdict(&subject(), &forged, Some(&view), Some(&certificate));
        assert_eq!(answer, Err(("reservation_invalid", true)), "{name}");
    }
    let of_another_wallet = ReservationSeal::of(&key(8)).unwrap().seal(reservation());
    let certificate = endorsed(statement(&view, &reservation()), &[1]);
    let answer = verdict(&subject(), &of_another_wallet, Some(&view), Some(&certificate));
    assert_eq!(answer, Err(("reservation_invalid", true)));
}

#[test]
fn a_reservation_is_used_within_an_hour_by_the_nsm() {
    let (view, sealed) = (view(1, &[1]), sealed(reservation()));
    let certificate = endorsed(statement(&view, &sealed.reservation), &[1]);
    for (now_ms, expected) in [
        (NOW_MS - 1, Ok(())),
        (NOW_MS + RESERVATION_USE_MS_MAX, Ok(())),
        (NOW_MS + RESERVATION_USE_MS_MAX + 1, Err(("reservation_expired", true))),
        (u64::MAX, Err(("reservation_expired", true))),
    ] {
        let subject = Subject { now_ms, ..subject() };
        assert_eq!(verdict(&subject, &sealed, Some(&view), Some(&certificate)), expected, "{now_ms}");
    }
}

#[test]
fn without_a_reservation_nothing_is_signed() {
    let view = view(1, &[1]);
    let certificate = endorsed(statement(&view, &reservation()), &[1]);
    let proof = Proof { reservation: None, view: Some(&view), certificate: Some(&certificate) };
    let Err(Failure::Refused(refusal)) = check(&key(7), &subject(), TX_HASH, POLICY, proof) else {
        panic!("not refused")
    };
    assert_eq!(refusal.code, errors::WITHHELD_MODE_REQUIRED);
}
