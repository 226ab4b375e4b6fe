//! What an honest host does, and what single lies come to.

use nsl_schemas::pool_view::{Certificate, Finalisation, Heads, SuccessionError};
use nsl_schemas::reservation::Head;

use super::super::Error;
use super::world::World;

/// Three workers that endorse.
fn begun() -> World {
    let mut world = World::new(3);
    begin(&mut world, &Heads::default());
    world
}

fn begin(world: &mut World, heads: &Heads) {
    let root = world.root();
    for worker in world.workers.iter_mut().flatten() {
        let entered = worker.establish_root(&root, heads.clone());
        assert_eq!(entered.is_ok(), root.has(&worker.key()), "{entered:?}");
    }
}

/// A reservation after the last, endorsed by these.
fn certify(world: &mut World, workers: &[usize], parent: Option<usize>) -> usize {
    let at = world.reserve("main", parent);
    // Of the view that they are in: a new one starts with what an earlier one certified, and needs no proof of it.
    let view = world.workers[workers[0]].as_ref().unwrap().view().unwrap().sha256();
    let is_of_view = |one: &Certificate| one.statement.view_sha256 == view;
    let before = world.certificates_before(at).into_iter().rfind(is_of_view);
    let certified = world.certificates.len();
    for worker in workers {
        world.endorse(*worker, at, before.as_ref()).unwrap();
    }
    assert!(world.certificates.len() > certified);
    at
}

/// The living `leavers` leave for `next`, who enter.
fn hand_over(world: &mut World, leavers: &[usize], next: &[usize]) {
    let previous = world.workers[leavers[0]].as_ref().unwrap().view().unwrap().clone();
    let links = world.workers[leavers[0]].as_ref().unwrap().links().to_vec();
    let members = world.keys(next.to_vec());
    for worker in leavers {
        world.leave(*worker, &members).unwrap();
    }
    let farewells: Vec<Finalisation> =
        world.finalisations[world.finalisations.len() - leavers.len()..].to_vec();
    for worker in next {
        world.teach(*worker, &links);
        world.enter(*worker, &previous, &farewells).unwrap();
    }
}

#[test]
fn a_chain_goes_on_through_deaths_and_replacements() {
    let mut world = begun();
    let mut last = certify(&mut world, &[0, 1, 2], None);
    last = certify(&mut world, &[0, 2], Some(last));
    for dead in 0..3 {
        world.workers[dead] = None;
        let living = [dead + 1, dead + 2];
        last = certify(&mut world, &living, Some(last));
        world.start();
        hand_over(&mut world, &living, &[dead + 1, dead + 2, dead + 3]);
        last = certify(&mut world, &[dead + 2, dead + 3], Some(last));
    }
    assert_eq!(world.reservations[last].sequence, 8);
    assert_eq!(world.workers[3].as_ref().unwrap().links().len(), 3);
}

#[test]
fn a_laggard_jumps_by_a_certificate_and_a_loser_is_dropped() {
    let mut world = begun();
    let first = certify(&mut world, &[0, 1], None);
    let fork = world.reserve("main", None);
    world.endorse(2, fork, None).unwrap();
    assert_eq!(world.endorse(2, first, None), Err(Error::OtherEndorsed { sequence: 1 }));
    assert_eq!(world.endorse(0, fork, None), Err(Error::OtherEndorsed { sequence: 1 }));
    let second = world.reserve("main", Some(first));
    assert_eq!(world.endorse(2, second, None), Err(Error::NotNext { expected: 1, found: 2 }));
    let proof = world.certificates_before(second).pop();
    world.endorse(2, second, proof.as_ref()).unwrap();
    assert_eq!(world.endorse(2, fork, None), Err(Error::NotNext { expected: 2, found: 1 }));
    let on_the_fork = world.reserve("main", Some(fork));
    assert_eq!(world.endorse(1, on_the_fork, proof.as_ref()), Err(Error::Certificate));
}

#[test]
fn nothing_new_is_endorsed_after_leaving_and_the_same_is_said_again() {
    let mut world = begun();
    let first = certify(&mut world, &[0, 1], None);
    let members = world.keys(vec![0, 1]);
    world.leave(0, &members).unwrap();
    world.leave(0, &members).unwrap();
    assert_eq!(world.finalisations[0], world.finalisations[1]);
    let others = world.keys(vec![0, 2]);
    assert_eq!(world.leave(0, &others), Err(Error::LeftForOthers));
    let second = world.reserve("main", Some(first));
    let proof = world.certificates_before(second).pop();
    assert_eq!(world.endorse(0, second, proof.as_ref()), Err(Error::Left));
    let worker = world.workers[0].as_ref().unwrap();
    let (wallet, head) = (world.reservations[first].wallet_name(), world.reservations[first].head());
    assert!(worker.recall(&wallet, &head).is_ok());
    let head = world.reservations[second].head();
    assert_eq!(worker.recall(&wallet, &head), Err(Error::NotEndorsed));
}

#[test]
fn a_minority_cannot_hand_over_and_a_newcomer_must_prove_itself() {
    let mut world = begun();
    let members = world.keys(vec![0, 1]);
    world.leave(0, &members).unwrap();
    let (root, alone) = (world.root(), vec![world.finalisations[0].clone()]);
    let entered = world.enter(0, &root, &alone);
    assert_eq!(entered, Err(Error::Succession(SuccessionError::NoMajority)));
    world.start();
    let (root, members) = (root.sha256(), world.keys(vec![1, 3]));
    let worker = world.workers[1].as_mut().unwrap();
    assert_eq!(worker.finalise(&root, &members, |_| false), Err(Error::Newcomer));
    assert_eq!(worker.left_for(), None, "nothing was said");
}

#[test]
fn two_reservations_of_a_sequence_end_in_a_dispute_that_the_operators_settle() {
    let mut world = begun();
    let (one, two) = (world.reserve("main", None), world.reserve("main", None));
    world.endorse(0, one, None).unwrap();
    world.endorse(1, two, None).unwrap();
    hand_over(&mut world, &[0, 1], &[0, 1, 2]);
    for reservation in [one, two] {
        assert_eq!(world.endorse(2, reservation, None), Err(Error::Disputed));
    }
    let mut heads = Heads::default();
    let wallet = world.reservations[two].wallet_name();
    heads.set(wallet, world.reservations[two].head().into()).unwrap();
    world.establish_by_operators(vec![0, 1, 2], &heads);
    begin(&mut world, &heads);
    for worker in 0..2 {
        world.endorse(worker, two, None).unwrap();
    }
    certify(&mut world, &[0, 2], Some(two));
}

#[test]
fn what_the_operators_establish_ends_what_was_and_starts_with_its_heads_alone() {
    let mut world = begun();
    let first = certify(&mut world, &[0, 1], None);
    let mut heads = Heads::default();
    heads.set(world.reservations[first].wallet_name(), world.reservations[first].head().into()).unwrap();
    world.start();
    let view = world.establish_by_operators(vec![1, 3], &heads);
    assert_eq!(view.number, 1_001);
    assert_eq!(world.endorse(1, first, None), Err(Error::NoView));
    let worker = world.workers[1].as_mut().unwrap();
    assert_eq!(worker.establish_root(&view, Heads::default()), Err(Error::OtherHeads));
    begin(&mut world, &heads);
    let fork = world.reserve("main", None);
    assert_eq!(world.endorse(3, fork, None), Err(Error::NotNext { expected: 2, found: 1 }));
    for worker in [1, 3] {
        world.endorse(worker, first, None).unwrap();
    }
    certify(&mut world, &[1, 3], Some(first));
}

#[test]
fn a_worker_outside_of_every_view_endorses_nothing() {
    let mut world = World::new(1);
    world.start();
    let first = world.reserve("main", None);
    assert_eq!(world.endorse(0, first, None), Err(Error::NoView));
    let root = world.root();
    let stranger = world.workers[1].as_mut().unwrap();
    assert_eq!(stranger.establish_root(&root, Heads::default()), Err(Error::NoView));
    let wallet = world.reservations[first].wallet_name();
    let stranger = world.workers[1].as_ref().unwrap();
    assert_eq!(stranger.recall(&wallet, &Head::before_first()), Err(Error::NoView));
}
