use super::*;
use crate::authority::{SealingProvider, Signed};
use crate::bytes::Pcr;
use crate::nkey::SigningKey;
use crate::pool_view::Heads;
use crate::token::Tenant;

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

fn quorum(threshold: u8, numbers: &[u8]) -> Quorum {
    Quorum { threshold, keys: numbers.iter().map(|number| key(*number).public()).collect() }
}

fn build(number: u8) -> Build {
    let pcr = |index| Pcr([number + index; 48]);
    Build { name: format!("build {number}"), pcr0: pcr(0), pcr1: pcr(1), pcr2: pcr(2) }
}

/// Two of the keys 1, 2 and 3; build 10 is allowed.
fn begun() -> Operators {
    Operators::of_genesis(&GenesisManifest {
        log_origin: "test".into(),
        quorum: quorum(2, &[1, 2, 3]),
        attestation_root_sha256: Sha256([0; 32]),
        builds: vec![build(10)],
        sealing_provider: SealingProvider::Development,
        created_at_ms: 1,
    })
}

fn sign<T: Statement>(statement: T, signers: &[u8]) -> Signed<T> {
    let keys: Vec<SigningKey> = signers.iter().map(|number| key(*number)).collect();
    Signed::sign(statement, &keys.iter().collect::<Vec<_>>())
}

fn act(operators: &mut Operators, act: OperatorAct, signers: &[u8]) -> Result<(), ActError> {
    let signed = sign(operators.next(act, 5), signers);
    operators.follow(&[signed])
}

fn replace(numbers: &[u8], voids_roots: bool) -> OperatorAct {
    OperatorAct::ReplaceQuorum { quorum: quorum(2, numbers), voids_roots }
}

fn root(operators: &Operators, epoch: u32, signers: &[u8]) -> Signed<TenantRoot> {
    let tenant = Tenant::parse("acme").unwrap();
    let genesis_sha256 = operators.genesis_sha256();
    sign(TenantRoot { epoch, genesis_sha256, tenant, key: key(20).public(), issued_at_ms: 5 }, signers)
}

#[test]
fn acts_of_the_quorum_allow_and_revoke() {
    let mut operators = begun();
    act(&mut operators, OperatorAct::AllowBuild { build: build(50) }, &[1, 3]).unwrap();
    assert_eq!(operators.builds(), [build(10), build(50)]);
    // A build is its measurements, whatever it is called.
    let renamed = Build { name: "other".into(), ..build(10) };
    act(&mut operators, OperatorAct::RevokeBuild { build: renamed }, &[2, 3]).unwrap();
    assert_eq!(operators.builds(), [build(50)]);
    act(&mut operators, OperatorAct::RevokeWorker { key: key(40).public() }, &[1, 2]).unwrap();
    assert!(operators.is_revoked(&key(40).public()));
    assert_eq!(operators.sequence(), 3);
}

/// Makes one thing wrong in an act.
type Alter = fn(&mut OperatorStatement);

#[test]
fn an_act_counts_only_where_it_stands() {
    let operators = begun();
    let allow = OperatorAct::AllowBuild { build: build(50) };
    let cases: [(Alter, &[u8], ActError); 7] = [
        (|s| s.genesis_sha256 = Sha256([9; 32]), &[1, 2], ActError::OtherGenesis),
        (|s| s.epoch = 1, &[1, 2], ActError::Epoch { expected: 0, found: 1 }),
        (|s| s.sequence = 2, &[1, 2], ActError::Sequence { expected: 1, found: 2 }),
        (|s| s.previous_sha256 = Sha256([9; 32]), &[1, 2], ActError::Previous),
        (|_| {}, &[1], ActError::Quorum),
        (|_| {}, &[1, 1], ActError::Quorum),
        (|_| {}, &[1, 9], ActError::Quorum),
    ];
    for (index, (alter, signers, expected)) in cases.into_iter().enumerate() {
        let mut statement = operators.next(allow.clone(), 5);
        alter(&mut statement);
        assert_eq!(operators.check(&sign(statement, signers)), Err(expected), "case {index}");
    }
    let mut altered = sign(operators.next(allow, 5), &[1, 2]);
    altered.statement.issued_at_ms = 6;
    assert_eq!(operators.check(&altered), Err(ActError::Quorum));
}

#[test]
fn an_act_never_counts_twice_and_none_can_be_left_out() {
    let mut operators = begun();
    let first = sign(operators.next(OperatorAct::AllowBuild { build: build(50) }, 5), &[1, 2]);
    operators.follow(std::slice::from_ref(&first)).unwrap();
    let second = sign(operators.next(OperatorAct::RevokeBuild { build: build(10) }, 6), &[1, 2]);
    assert_eq!(operators.check(&first), Err(ActError::Sequence { expected: 2, found: 1 }));
    assert_eq!(begun().check(&second), Err(ActError::Sequence { expected: 1, found: 2 }));
    let mut shown = begun();
    shown.follow(&[first, second.clone()]).unwrap();
    operators.follow(&[second]).unwrap();
    assert_eq!(shown, operators);
}

#[test]
fn acts_that_change_nothing_are_refused() {
    let mut operators = begun();
    act(&mut operators, OperatorAct::RevokeWorker { key: key(40).public() }, &[1, 2]).unwrap();
    for (attempted, expected) in [
        (OperatorAct::AllowBuild { build: build(10) }, ActError::BuildAllowed),
        (OperatorAct::RevokeBuild { build: build(11) }, ActError::BuildUnknown),
        (OperatorAct::RevokeWorker { key: key(40).public() }, ActError::WorkerRevoked),
        (replace(&[7, 7], false), ActError::QuorumUnsound),
    ] {
        assert_eq!(act(&mut operators, attempted, &[1, 2, 7]), Err(expected));
    }
    for number in 20..51 {
        act(&mut operators, OperatorAct::AllowBuild { build: build(number) }, &[1, 2]).unwrap();
    }
    let one_more = OperatorAct::AllowBuild { build: build(60) };
    assert_eq!(act(&mut operators, one_more, &[1, 2]), Err(ActError::Builds));
}

#[test]
fn a_quorum_hands_over_to_one_that_can_sign_and_signs_no_more() {
    let mut operators = begun();
    let stale = sign(operators.next(OperatorAct::AllowBuild { build: build(50) }, 5), &[1, 2]);
    assert_eq!(act(&mut operators, replace(&[4, 5, 6], false), &[1, 2]), Err(ActError::NewQuorum));
    assert_eq!(act(&mut operators, replace(&[4, 5, 6], false), &[4, 5]), Err(ActError::Quorum));
    act(&mut operators, replace(&[4, 5, 6], false), &[1, 2, 4, 6]).unwrap();
    assert_eq!(operators.epoch(), 1);
    assert_eq!(operators.check(&stale), Err(ActError::Epoch { expected: 1, found: 0 }));
    let allow = || OperatorAct::AllowBuild { build: build(50) };
    assert_eq!(act(&mut operators, allow(), &[1, 2, 3]), Err(ActError::Quorum));
    act(&mut operators, allow(), &[4, 5]).unwrap();
}

#[test]
fn a_root_counts_by_the_quorum_of_its_epoch_until_it_is_voided() {
    let mut operators = begun();
    let first = root(&operators, 0, &[1, 2]);
    let second = root(&operators, 1, &[4, 5]);
    assert_eq!(operators.check_root(&first), Ok(()));
    assert_eq!(operators.check_root(&second), Err(ChainError::EpochUnknown));
    act(&mut operators, replace(&[4, 5, 6], false), &[1, 2, 4, 5]).unwrap();
    assert_eq!(operators.check_root(&first), Ok(()));
    assert_eq!(operators.check_root(&second), Ok(()));
    assert_eq!(operators.check_root(&root(&operators, 1, &[1, 2, 3])), Err(ChainError::Root));
    act(&mut operators, replace(&[7, 8], true), &[4, 5, 7, 8]).unwrap();
    for void in [&first, &second] {
        assert_eq!(operators.check_root(void), Err(ChainError::RootVoid));
        assert!(!operators.keeps_root(&void.statement));
    }
    assert_eq!(operators.check_root(&root(&operators, 2, &[7, 8])), Ok(()));
}

fn view(operators: &Operators, numbers: &[u8]) -> PoolView {
    let mut members: Vec<PublicKey> = numbers.iter().map(|number| key(*number).public()).collect();
    members.sort();
    PoolView {
        genesis_sha256: operators.genesis_sha256(),
        heads_sha256: Heads::default().sha256(),
        members,
        number: operators.next_view_number(),
    }
}

#[test]
fn a_pool_is_established_beyond_whatever_followed_the_last_one() {
    let mut operators = begun();
    let establish = |view: PoolView| OperatorAct::EstablishPool { heads_position: 7, view };
    let first = view(&operators, &[40, 41, 42]);
    act(&mut operators, establish(first.clone()), &[1, 2]).unwrap();
    assert_eq!(operators.pool(), Some(&EstablishedPool { heads_position: 7, view: first.clone() }));
    let again = act(&mut operators, establish(first), &[1, 2]);
    assert_eq!(again, Err(ActError::ViewNumber { expected: 1_001, found: 1 }));
    let mut unsorted = view(&operators, &[40, 41]);
    unsorted.members.reverse();
    assert_eq!(act(&mut operators, establish(unsorted), &[1, 2]), Err(ActError::ViewUnsound));
    let elsewhere = PoolView { genesis_sha256: Sha256([9; 32]), ..view(&operators, &[40]) };
    assert_eq!(act(&mut operators, establish(elsewhere), &[1, 2]), Err(ActError::ViewUnsound));
    act(&mut operators, OperatorAct::RevokeWorker { key: key(40).public() }, &[1, 2]).unwrap();
    let revoked = view(&operators, &[40, 41]);
    assert_eq!(act(&mut operators, establish(revoked), &[1, 2]), Err(ActError::WorkerRevoked));
    let second = view(&operators, &[41]);
    act(&mut operators, establish(second), &[1, 2]).unwrap();
}
