//! Connections that are judged before they take calls.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nsl_enclave_protocol::channel::{ConnectionError, Health};
use nsl_enclave_protocol::{Admission, AdmissionError, Newcomer, Pool, PoolOptions, ServerLimits};

use crate::harness::{Running, late, quick_options, soon};

/// Admits whoever answers `who` with `expected`.
#[derive(Debug)]
struct Password {
    expected: &'static [u8],
    judged: AtomicUsize,
}

impl Admission for Password {
    fn admit(
        &self,
        newcomer: Newcomer,
    ) -> Pin<Box<dyn Future<Output = Result<(), AdmissionError>> + Send + '_>> {
        Box::pin(async move {
            self.judged.fetch_add(1, Ordering::SeqCst);
            let answer = newcomer.call(&b"who"[..], late()).await?;
            if answer == self.expected { Ok(()) } else { Err("stranger".into()) }
        })
    }
}

fn password(expected: &'static [u8]) -> Arc<Password> {
    Arc::new(Password { expected, judged: AtomicUsize::new(0) })
}

/// A server that says `name` to every request.
async fn named(name: &'static [u8]) -> Running {
    Running::start(ServerLimits::default(), move |_| async move { name.to_vec() }).await
}

fn judged_by(judge: &Arc<Password>) -> PoolOptions {
    let admission = Arc::clone(judge) as Arc<dyn Admission>;
    PoolOptions { channel: quick_options(), admission: Some(admission), ..PoolOptions::default() }
}

#[tokio::test]
async fn only_admitted_members_take_calls() {
    let (friend, stranger) = (named(b"friend").await, named(b"stranger").await);
    let judge = password(b"friend");
    let pool = Pool::open(vec![stranger.endpoint(), friend.endpoint()], judged_by(&judge)).unwrap();
    for _ in 0..20 {
        assert_eq!(pool.call(&b"job"[..], late()).await.unwrap(), b"friend");
    }
}

#[tokio::test]
async fn a_refused_connection_says_why_and_is_tried_again() {
    let stranger = named(b"stranger").await;
    let judge = password(b"friend");
    let pool = Pool::open(vec![stranger.endpoint()], judged_by(&judge)).unwrap();
    assert!(pool.call(&b"job"[..], soon()).await.unwrap_err().is_unhandled());
    while judge.judged.load(Ordering::SeqCst) < 3 {
        tokio::task::yield_now().await;
    }
    let refused = |health: &Health| matches!(health, Health::Connecting(Some(cause)) if matches!(&**cause, ConnectionError::NotAdmitted(_)));
    assert!(refused(&pool.health()[0].connection));
}

#[tokio::test]
async fn a_successor_at_the_same_endpoint_is_judged_anew() {
    let mut friend = named(b"friend").await;
    let judge = password(b"friend");
    let pool = Pool::open(vec![friend.endpoint()], judged_by(&judge)).unwrap();
    assert_eq!(pool.call(&b"job"[..], late()).await.unwrap(), b"friend");
    friend.shut_down();
    let socket = friend.ended().await;
    let _stranger =
        Running::start_at(socket, ServerLimits::default(), |_| async { b"stranger".to_vec() }).await;
    while judge.judged.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    assert!(pool.call(&b"job"[..], soon()).await.is_err());
}
