//! What a host has: workers that it may kill and start, every reservation that a worker ever made, every statement that
//! it was ever given. It checks what must hold whenever a majority has endorsed something.

use std::collections::BTreeMap;
use std::sync::Arc;

use nsl_schemas::authority::{
    GenesisManifest, KeySignature, OperatorAct, Operators, Quorum, SealingProvider, Signed,
};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::nkey::{PublicKey, SigningKey};
use nsl_schemas::number::UnixMs;
use nsl_schemas::policy::Counters;
use nsl_schemas::pool_view::{
    Certificate, EndorsementStatement, Finalisation, Heads, PoolLink, PoolView, succeeds,
};
use nsl_schemas::reservation::{Head, Reservation, WalletName};
use uuid::Uuid;

use super::super::{Endorser, Error};

/// The wallets that the host plays with.
pub(super) const WALLETS: [&str; 2] = ["main", "other"];

pub(super) struct World {
    pub(super) operators: Operators,
    pub(super) workers: Vec<Option<Endorser>>,
    started: u8,
    /// In the order in which they were made.
    pub(super) reservations: Vec<Reservation>,
    signatures: BTreeMap<Vec<u8>, (EndorsementStatement, Vec<KeySignature>)>,
    pub(super) views: BTreeMap<Sha256, PoolView>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) finalisations: Vec<Finalisation>,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

impl World {
    /// `count` workers, of which the operators make a pool; none has begun yet.
    pub(super) fn new(count: usize) -> Self {
        let manifest = GenesisManifest {
            log_origin: "test".into(),
            quorum: Quorum { threshold: 1, keys: vec![key(255).public()] },
            attestation_root_sha256: Sha256([0; 32]),
            builds: vec![],
            sealing_provider: SealingProvider::Development,
            created_at_ms: 1,
        };
        let mut world = Self {
            operators: Operators::of_genesis(&manifest),
            workers: Vec::new(),
            started: 0,
            reservations: Vec::new(),
            signatures: BTreeMap::new(),
            views: BTreeMap::new(),
            certificates: Vec::new(),
            finalisations: Vec::new(),
        };
        (0..count).for_each(|_| world.start());
        let heads = Heads::default();
        world.establish_by_operators((0..count).collect(), &heads);
        world
    }

    /// Another worker, with a key of its own.
    pub(super) fn start(&mut self) {
        self.started += 1;
        let mut worker = Endorser::new(Arc::new(key(self.started)), self.operators.genesis_sha256());
        worker.follow(&self.operators);
        self.workers.push(Some(worker));
    }

    /// The operators' act, shown to all.
    pub(super) fn establish_by_operators(&mut self, members: Vec<usize>, heads: &Heads) -> PoolView {
        let members = self.keys(members);
        let view = PoolView {
            genesis_sha256: self.operators.genesis_sha256(),
            heads_sha256: heads.sha256(),
            members,
            number: self.operators.next_view_number(),
        };
        let act = OperatorAct::EstablishPool { heads_position: 1, view: view.clone() };
        let statement = self.operators.next(act, 1);
        self.operators.follow(&[Signed::sign(statement, &[&key(255)])]).unwrap();
        self.views.insert(view.sha256(), view.clone());
        for worker in self.workers.iter_mut().flatten() {
            worker.follow(&self.operators);
        }
        view
    }

    pub(super) fn root(&self) -> PoolView {
        self.operators.pool().unwrap().view.clone()
    }

    /// The keys of workers that live, as a view has them.
    pub(super) fn keys(&self, workers: Vec<usize>) -> Vec<PublicKey> {
        let mut keys: Vec<_> =
            workers.into_iter().filter_map(|at| self.workers.get(at)?.as_ref()).map(Endorser::key).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// A reservation of a wallet after `parent`, or the first.
    pub(super) fn reserve(&mut self, wallet: &str, parent: Option<usize>) -> usize {
        let before = parent.map_or_else(Head::before_first, |at| self.reservations[at].head());
        let number = u128::try_from(self.reservations.len()).unwrap();
        self.reservations.push(Reservation {
            counters: Counters::default(),
            genesis_sha256: self.operators.genesis_sha256(),
            key_version: 1,
            policy_sha256: Sha256([1; 32]),
            previous_sha256: before.sha256,
            request_id: Uuid::from_u128(number),
            request_sha256: Sha256([2; 32]),
            reserved_at_ms: UnixMs(3).0,
            sequence: before.sequence + 1,
            tenant: "acme".parse().unwrap(),
            tx_hash: format!("0x{number:x}"),
            wallet: wallet.parse().unwrap(),
        });
        self.reservations.len() - 1
    }

    /// Every certificate of the reservation before this one.
    pub(super) fn certificates_before(&self, reservation: usize) -> Vec<Certificate> {
        let reservation = &self.reservations[reservation];
        let is_before = |one: &&Certificate| {
            let (head, statement) = (one.statement.head, &one.statement);
            statement.wallet == reservation.wallet_name() && reservation.follows(&head)
        };
        self.certificates.iter().filter(is_before).cloned().collect()
    }

    pub(super) fn endorse(
        &mut self,
        worker: usize,
        reservation: usize,
        certificate: Option<&Certificate>,
    ) -> Result<(), Error> {
        let reservation = self.reservations[reservation].clone();
        let Some(worker) = self.workers[worker].as_mut() else { return Ok(()) };
        let endorsement = worker.endorse(&reservation, certificate)?;
        self.keep(endorsement);
        Ok(())
    }

    pub(super) fn recall(&mut self, worker: usize, wallet: &WalletName, head: &Head) {
        let recalled = self.workers[worker].as_ref().map(|worker| worker.recall(wallet, head));
        if let Some(Ok(endorsement)) = recalled {
            self.keep(endorsement);
        }
    }

    pub(super) fn leave(&mut self, worker: usize, members: &[PublicKey]) -> Result<(), Error> {
        let Some(worker) = self.workers[worker].as_mut() else { return Ok(()) };
        let view = worker.view().ok_or(Error::NoView)?.sha256();
        let finalisation = worker.finalise(&view, members, |_| true)?;
        self.finalisations.push(finalisation);
        Ok(())
    }

    /// Shows a worker all that followed, as far as any worker knows.
    pub(super) fn teach(&mut self, worker: usize, from: &[PoolLink]) {
        if let Some(worker) = self.workers[worker].as_mut() {
            let _ = worker.learn(from.to_vec());
        }
    }

    /// Has a worker enter the view that follows `previous` by these farewells.
    pub(super) fn enter(
        &mut self,
        worker: usize,
        previous: &PoolView,
        farewells: &[Finalisation],
    ) -> Result<(), Error> {
        let (next, _) = succeeds(previous, farewells)?;
        self.views.insert(next.sha256(), next.clone());
        let leavers: Vec<_> = farewells.iter().map(|one| one.signed.signatures[0].key).collect();
        let Some(worker) = self.workers[worker].as_mut() else { return Ok(()) };
        farewells.iter().try_for_each(|one| worker.witness(one.clone()))?;
        worker.establish_next(&next, &leavers)
    }

    /// Keeps an endorsement; a majority of them makes a certificate, which must agree with all others.
    fn keep(&mut self, endorsement: Signed<EndorsementStatement>) {
        let Signed { statement, signatures } = endorsement;
        let view = self.views[&statement.view_sha256].clone();
        let name = nsl_schemas::canonical::to_string(&statement).into_bytes();
        let (_, kept) = self.signatures.entry(name).or_insert_with(|| (statement.clone(), Vec::new()));
        if kept.iter().all(|one| one.key != signatures[0].key) {
            kept.extend(signatures);
        }
        let certificate = Certificate { statement, signatures: kept.clone() };
        if certificate.is_of(&view) && !self.certificates.contains(&certificate) {
            self.check(&certificate);
            self.certificates.push(certificate);
        }
    }

    /// What must hold: one reservation of a sequence, and each an ancestor of the later ones.
    fn check(&self, new: &Certificate) {
        for known in &self.certificates {
            let (one, other) = (&known.statement, &new.statement);
            if one.wallet == other.wallet {
                let [first, last] =
                    if one.head.sequence <= other.head.sequence { [one, other] } else { [other, one] };
                assert!(
                    self.is_ancestor(&first.head, last.head),
                    "certified, and not of one chain: {first:?} and {last:?}"
                );
            }
        }
    }

    fn is_ancestor(&self, ancestor: &Head, mut head: Head) -> bool {
        while head.sequence > ancestor.sequence {
            let Some(reservation) = self.reservations.iter().find(|one| one.head() == head) else {
                return false;
            };
            head = Head { sequence: head.sequence - 1, sha256: reservation.previous_sha256 };
        }
        head == *ancestor
    }
}
