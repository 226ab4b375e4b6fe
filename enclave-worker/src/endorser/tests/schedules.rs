//! Every schedule of a hostile host.

use nsl_schemas::pool_view::{Finalisation, Heads, PoolLink};
use proptest::prelude::*;

use super::super::Endorser;
use super::world::{WALLETS, World};

/// What the host does next; numbers choose among what there is.
#[derive(Debug, Clone, Copy)]
enum Move {
    /// A worker reserves after any reservation: old state shown again is a fork.
    Reserve {
        wallet: usize,
        back: usize,
    },
    /// Some workers are asked to endorse, with proof of the reservation before or without.
    Endorse {
        back: usize,
        workers: u8,
        is_proven: bool,
    },
    /// Some are asked to say it again.
    Recall {
        back: usize,
        workers: u8,
    },
    /// Some leave for some.
    Leave {
        workers: u8,
        next: u8,
    },
    /// Some enter the view that follows from some farewells.
    Enter {
        workers: u8,
        farewells: u8,
        for_those_of: usize,
    },
    /// Some begin in the operators' view, late perhaps.
    Begin {
        workers: u8,
    },
    Kill {
        worker: usize,
    },
    Start,
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => (0_usize..WALLETS.len(), 0_usize..3).prop_map(|(wallet, back)| Move::Reserve { wallet, back }),
        6 => (0_usize..4, any::<u8>(), any::<bool>())
            .prop_map(|(back, workers, is_proven)| Move::Endorse { back, workers, is_proven }),
        1 => (0_usize..4, any::<u8>()).prop_map(|(back, workers)| Move::Recall { back, workers }),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(workers, next)| Move::Leave { workers, next }),
        3 => (any::<u8>(), any::<u8>(), any::<usize>())
            .prop_map(|(workers, farewells, for_those_of)| Move::Enter { workers, farewells, for_those_of }),
        1 => any::<u8>().prop_map(|workers| Move::Begin { workers }),
        1 => (0_usize..8).prop_map(|worker| Move::Kill { worker }),
        1 => Just(Move::Start),
    ]
}

fn chosen(world: &World, mask: u8) -> Vec<usize> {
    (0..world.workers.len()).filter(|at| mask >> (at % 8) & 1 == 1).collect()
}

impl World {
    fn play(&mut self, one: Move) {
        match one {
            Move::Reserve { wallet, back } => {
                let of_wallet = |at: &usize| self.reservations[*at].wallet.as_str() == WALLETS[wallet];
                let parent = (0..self.reservations.len()).filter(of_wallet).rev().nth(back);
                self.reserve(WALLETS[wallet], parent);
            }
            Move::Endorse { back, workers, is_proven } => {
                let Some(at) = self.reservations.len().checked_sub(back + 1) else { return };
                for worker in chosen(self, workers) {
                    let certificates = if is_proven { self.certificates_before(at) } else { Vec::new() };
                    if certificates.is_empty() {
                        let _ = self.endorse(worker, at, None);
                    }
                    for certificate in certificates {
                        let _ = self.endorse(worker, at, Some(&certificate));
                    }
                }
            }
            Move::Recall { back, workers } => {
                let Some(at) = self.reservations.len().checked_sub(back + 1) else { return };
                let (wallet, head) = (self.reservations[at].wallet_name(), self.reservations[at].head());
                for worker in chosen(self, workers) {
                    self.recall(worker, &wallet, &head);
                }
            }
            Move::Leave { workers, next } => {
                let members = self.keys(chosen(self, next));
                for worker in chosen(self, workers) {
                    let _ = self.leave(worker, &members);
                }
            }
            Move::Enter { workers, farewells, for_those_of } => {
                self.enter_some(workers, farewells, for_those_of);
            }
            Move::Begin { workers } => {
                let root = self.root();
                for at in chosen(self, workers) {
                    if let Some(worker) = self.workers[at].as_mut() {
                        let _ = worker.establish_root(&root, Heads::default());
                    }
                }
            }
            Move::Kill { worker } => {
                if let Some(place) = self.workers.get_mut(worker) {
                    *place = None;
                }
            }
            Move::Start if self.workers.len() < 8 => self.start(),
            Move::Start => {}
        }
    }

    fn enter_some(&mut self, workers: u8, farewells: u8, for_those_of: usize) {
        let count = self.finalisations.len();
        let Some(at) = for_those_of.checked_rem(count) else { return };
        let model = self.finalisations[at].signed.statement.clone();
        let is_like = |one: &&Finalisation| {
            let statement = &one.signed.statement;
            statement.view_sha256 == model.view_sha256 && statement.members == model.members
        };
        let alike: Vec<_> = self.finalisations.iter().filter(is_like).collect();
        let some = alike.iter().enumerate().filter(|(at, _)| farewells >> (at % 8) & 1 == 1);
        let some: Vec<Finalisation> = some.map(|(_, one)| (*one).clone()).collect();
        let previous = self.views[&model.view_sha256].clone();
        // What anybody knows to have led to that view.
        let known: Vec<PoolLink> = self.workers.iter().flatten().flat_map(Endorser::links).cloned().collect();
        let mut links: Vec<_> =
            known.into_iter().filter(|link| link.view.number <= previous.number).collect();
        links.sort_by_key(|link| link.view.number);
        for worker in chosen(self, workers) {
            self.teach(worker, &links);
            let _ = self.enter(worker, &previous, &some);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_certified_is_one_chain_under_any_schedule(
        count in 1_usize..6, moves in prop::collection::vec(any_move(), 1..120),
    ) {
        let mut world = World::new(count);
        world.play(Move::Begin { workers: u8::MAX });
        for one in moves {
            world.play(one);
        }
    }
}
