//! Workers as a pool that endorses: by what a host says to them, and what it is answered.

use nsl_enclave_protocol::pool_view::{PoolAnswer, PoolRequest};
use nsl_enclave_protocol::{Request, Response};
use nsl_enclave_worker::Worker;
use nsl_schemas::authority::{OperatorAct, Operators, Signed};
use nsl_schemas::bytes::Base64;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::outcome::JobResult;
use nsl_schemas::pool_view::{Certificate, Finalisation, Heads, PoolView, succeeds};
use nsl_schemas::reservation::SealedReservation;

use crate::reservations::{Wallet, counting, of_amount};
use nsl_test_site::key;

use crate::site::{Site, ask};

/// A build that the operators did not allow.
const OTHER_BUILD: [[u8; 48]; 3] = [[0xb0; 48], [0xb1; 48], [0xb2; 48]];

/// A worker, and how it registered.
struct Registered {
    worker: Worker,
    key: PublicKey,
    document: Base64,
}

impl Registered {
    async fn of(worker: Worker) -> Self {
        match ask(&worker, &Request::Register { nonce: Base64(vec![5; 32]) }).await {
            Response::Registration { key, attestation } => Self { worker, key, document: attestation },
            other => panic!("{other:?}"),
        }
    }

    async fn pool(&self, about: PoolRequest) -> Result<PoolAnswer, String> {
        match ask(&self.worker, &Request::Pool { about: Box::new(about) }).await {
            Response::Pool { answer } => Ok(*answer),
            Response::Error { code, .. } => Err(code),
            other => panic!("{other:?}"),
        }
    }

    async fn endorse(
        &self,
        wallet: &Wallet<'_>,
        reservation: &SealedReservation,
        certificate: Option<&Certificate>,
    ) -> Result<Certificate, String> {
        let request = Request::Endorse {
            certificate: certificate.cloned().map(Box::new),
            policy: Box::new(wallet.policy.clone()),
            reservation: Box::new(reservation.clone()),
            sealed_key: Box::new(wallet.sealed_key.clone()),
        };
        match ask(&self.worker, &request).await {
            Response::Endorsed { endorsement } => Ok(*endorsement),
            Response::Error { code, .. } => Err(code),
            other => panic!("{other:?}"),
        }
    }

    async fn sign(
        &self,
        wallet: &Wallet<'_>,
        amount: u128,
        reservation: &SealedReservation,
        certificate: Option<&Certificate>,
    ) -> Result<(), String> {
        let job = Box::new(wallet.sign_job(&of_amount(amount), Some(reservation)));
        let request = Request::Perform { certificate: certificate.cloned().map(Box::new), job };
        match ask(&self.worker, &request).await {
            Response::Outcome { outcome } => match outcome.result {
                JobResult::TransferSigned { .. } => Ok(()),
                other => panic!("{other:?}"),
            },
            Response::Error { code, .. } => Err(code),
            other => panic!("{other:?}"),
        }
    }

    async fn leave(
        &self,
        view: &PoolView,
        members: &[PublicKey],
        newcomers: &[&Base64],
    ) -> Result<Finalisation, String> {
        let newcomers = newcomers.iter().map(|document| (*document).clone()).collect();
        let (members, view_sha256) = (members.to_vec(), view.sha256());
        match self.pool(PoolRequest::Finalise { members, newcomers, view_sha256 }).await? {
            PoolAnswer::Finalised { finalisation } => Ok(finalisation),
            other => panic!("{other:?}"),
        }
    }

    async fn follow(&self, site: &Site, view: &PoolView) {
        let operators = Operators::of_genesis(&site.genesis.statement);
        let act = OperatorAct::EstablishPool { heads_position: 0, view: view.clone() };
        let acts = vec![Signed::sign(operators.next(act, 1), &[&key(1)])];
        let Response::Following { sequence: 1, .. } = ask(&self.worker, &Request::Follow { acts }).await
        else {
            panic!("the act was not taken")
        };
    }
}

fn sorted(workers: &[&Registered]) -> Vec<PublicKey> {
    let mut keys: Vec<_> = workers.iter().map(|worker| worker.key).collect();
    keys.sort();
    keys
}

/// Three workers that the operators established.
async fn established(site: &Site) -> ([Registered; 3], PoolView) {
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(Registered::of(site.worker().await).await);
    }
    let members = sorted(&workers.iter().collect::<Vec<_>>());
    let heads = Heads::default();
    let view = PoolView { genesis_sha256: site.sha256(), heads_sha256: heads.sha256(), members, number: 1 };
    for worker in &workers {
        worker.follow(site, &view).await;
        let (heads, leavers, view) = (Some(heads.clone()), Vec::new(), view.clone());
        worker.pool(PoolRequest::Establish { heads, leavers, view }).await.unwrap();
    }
    (workers.try_into().unwrap_or_else(|_| panic!("three workers")), view)
}

fn together(mut one: Certificate, other: Certificate) -> Certificate {
    one.signatures.extend(other.signatures);
    one
}

#[tokio::test]
async fn a_counted_transfer_is_signed_with_a_majoritys_endorsement_and_not_without() {
    let site = Site::new();
    let wallet = Wallet::born(&site, counting()).await;
    let alone = Registered::of(site.worker().await).await;
    let first = wallet.reserved(&alone.worker, 60, None).await;
    let code = |code: &str| Err(code.to_owned());
    assert_eq!(alone.sign(&wallet, 60, &first, None).await, code("withheld_mode_required"));
    assert_eq!(alone.endorse(&wallet, &first, None).await.map(drop), code("pool_not_established"));

    let ([a, b, c], _) = established(&site).await;
    assert_eq!(a.sign(&wallet, 60, &first, None).await, code("reservation_not_endorsed"));
    let by_a = a.endorse(&wallet, &first, None).await.unwrap();
    assert_eq!(a.sign(&wallet, 60, &first, Some(&by_a)).await, code("reservation_not_endorsed"));
    let fork = wallet.reserved(&b.worker, 70, None).await;
    assert_eq!(a.endorse(&wallet, &fork, None).await.map(drop), code("endorsement_refused"));
    let mut forged = first.clone();
    forged.reservation.counters.signatures_in_all = 0;
    assert_eq!(b.endorse(&wallet, &forged, None).await.map(drop), code("reservation_invalid"));
    let certificate = together(by_a, b.endorse(&wallet, &first, None).await.unwrap());
    assert_eq!(c.sign(&wallet, 60, &first, Some(&certificate)).await, Ok(()));
    let second = wallet.reserved(&c.worker, 60, Some(&first)).await;
    assert_eq!(c.endorse(&wallet, &second, None).await.map(drop), code("endorsement_refused"));
    c.endorse(&wallet, &second, Some(&certificate)).await.unwrap();
    assert_eq!(c.sign(&wallet, 60, &second, Some(&certificate)).await, code("reservation_not_endorsed"));
}

#[tokio::test]
async fn a_view_moves_on_to_a_worker_that_proved_itself_and_to_no_other() {
    let site = Site::new();
    let wallet = Wallet::born(&site, counting()).await;
    let ([a, b, _dead], view) = established(&site).await;
    let first = wallet.reserved(&a.worker, 60, None).await;
    let old = together(
        a.endorse(&wallet, &first, None).await.unwrap(),
        b.endorse(&wallet, &first, None).await.unwrap(),
    );
    let new = Registered::of(site.worker().await).await;
    let other = Registered::of(site.worker_of_build(OTHER_BUILD).await).await;
    let refused = Err("pool_view_invalid".to_owned());
    for (newcomer, documents) in [
        (&new, vec![]),
        (&new, vec![&a.document]),
        (&new, vec![&other.document]),
        (&other, vec![&other.document]),
    ] {
        let members = sorted(&[&a, &b, newcomer]);
        assert_eq!(a.leave(&view, &members, &documents).await.map(drop), refused);
    }
    let members = sorted(&[&a, &b, &new]);
    let mut farewells = Vec::new();
    for worker in [&a, &b] {
        farewells.push(worker.leave(&view, &members, &[&new.document]).await.unwrap());
    }
    assert_eq!(a.leave(&view, &sorted(&[&a, &b]), &[]).await.map(drop), refused, "it left for others");

    let (next, _) = succeeds(&view, &farewells).unwrap();
    new.follow(&site, &view).await;
    for worker in [&a, &b, &new] {
        for finalisation in farewells.clone() {
            worker.pool(PoolRequest::Witness { finalisation }).await.unwrap();
        }
        let establish =
            PoolRequest::Establish { heads: None, leavers: vec![a.key, b.key], view: next.clone() };
        worker.pool(establish).await.unwrap();
    }
    let second = wallet.reserved(&new.worker, 60, Some(&first)).await;
    let certificate = together(
        new.endorse(&wallet, &second, None).await.unwrap(),
        a.endorse(&wallet, &second, None).await.unwrap(),
    );
    assert_eq!(certificate.statement.view_sha256, next.sha256());
    assert_eq!(b.sign(&wallet, 60, &second, Some(&certificate)).await, Ok(()));
    assert_eq!(new.sign(&wallet, 60, &first, Some(&old)).await, Ok(()), "what was certified stays so");
}
