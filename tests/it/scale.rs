//! Command processors come, go, die and are stopped past their leases while commands arrive in order.

use std::time::{Duration, Instant};

use futures::future::join_all;
use nix::sys::signal::Signal;
use nsl_client::authority::{self, GrantTerms};
use nsl_schemas::command::authority::AUTHORITY_ID;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::token::AggregateId;
use uuid::Uuid;

use crate::patience::until;
use crate::processors::{Processor, until_held};
use crate::senders::Senders;
use crate::system::System;
use crate::{admin, wallets};

/// Between two rounds of the senders.
const ROUND: Duration = Duration::from_millis(100);
/// A step that a processor stands at, with decided commands in its hands, while it is stopped.
const DECIDED: &str = "processor::decided";
/// Newcomers, each granted and at work at once.
const GRANTS: usize = 12;
/// What each of them creates: several, so that each processor has some of them.
const WALLETS: usize = 4;
/// The lease of a local site's processors.
const LEASE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn processors_share_the_partitions_and_keep_every_promise_while_they_come_and_go() {
    let Some(system) = System::start_with_failpoints().await else { return };
    let first = system.admin("commands");
    until_held(&[&first], &[64]).await;
    let senders = Senders::start(&system, ROUND).await;

    let second = timed("1 -> 2", async {
        let second = Processor::start(&system, "commands-2");
        until_held(&[&first, &second.admin], &[32, 32]).await;
        second
    })
    .await;
    // One of them has a name that another has already, which must not matter.
    let (third, fourth) = timed("2 -> 4", async {
        let third = Processor::start(&system, "commands-3");
        let fourth = Processor::start(&system, "commands-3");
        until_held(&[&first, &second.admin, &third.admin, &fourth.admin], &[16; 4]).await;
        (third, fourth)
    })
    .await;
    timed("one of 4 killed", async {
        fourth.signal(Signal::SIGKILL);
        fourth.ended().await;
        until_held(&[&first, &second.admin, &third.admin], &[22, 21, 21]).await;
    })
    .await;
    let refused = timed("one of 3 stopped past its leases", stop_past_leases(&first, &second, &third)).await;
    timed("4 -> 1", async {
        for processor in [second, third] {
            processor.signal(Signal::SIGTERM);
            assert!(processor.ended().await.success());
        }
        until_held(&[&first], &[64]).await;
    })
    .await;
    let heard = senders.heard();
    until("the last processor decides alone", async || (senders.heard() > heard).then_some(())).await;
    senders.stop().await.check(&system).await;
    println!("stale appends refused {refused}");
    assert!(refused > 0, "the stopped processor came to append what it had decided");
}

/// Stops a processor that has decided commands in its hands until others hold its partitions, and wakes it. Returns how
/// many of its fences were refused.
async fn stop_past_leases(first: &str, second: &Processor, third: &Processor) -> u64 {
    let moved = admin::metric(&third.admin, "nsl_partition_moves_total", "lost").await.unwrap();
    admin::arm(&third.admin, DECIDED, "pause").await;
    // Long enough that a batch came to the step: senders send ten times as often.
    tokio::time::sleep(10 * ROUND).await;
    third.signal(Signal::SIGSTOP);
    tokio::time::sleep(LEASE + ROUND).await;
    until_held(&[first, &second.admin], &[32, 32]).await;
    third.signal(Signal::SIGCONT);
    until("the woken processor finds its leases lost", async || {
        let now = admin::metric(&third.admin, "nsl_partition_moves_total", "lost").await?;
        (now > moved).then_some(())
    })
    .await;
    admin::arm(&third.admin, DECIDED, "off").await;
    until_held(&[first, &second.admin, &third.admin], &[22, 21, 21]).await;
    admin::metric(&third.admin, "nsl_append_conflicts_total", "lost").await.unwrap()
}

/// A grant that one processor committed counts at once at the others: nobody who was just let in is turned away.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_counts_at_every_processor_from_its_result_on() {
    let Some(system) = System::start().await else { return };
    let other = Processor::start(&system, "commands-2");
    until_held(&[&system.admin("commands"), &other.admin], &[32, 32]).await;
    let (genesis, root, developer) = (system.genesis(), system.key("demo-root"), system.client().await);
    for number in 0..GRANTS {
        let [high, low] = [Uuid::now_v7(), Uuid::now_v7()].map(Uuid::into_bytes);
        let issuer = SigningKey::from_seed(&[high, low].concat().try_into().unwrap());
        let terms = GrantTerms {
            key: issuer.public(),
            label: format!("newcomer {number}"),
            scopes: vec![authority::parse_scope("wallet/*/create").unwrap()],
            not_before_ms: genesis.created_at_ms,
            expires_at_ms: u64::from(u32::MAX) * 1000,
        };
        let newcomer = system.client_of(issuer).await;
        let grant = authority::grant(&genesis, developer.tenant(), terms, &root).unwrap();
        let subject =
            developer.subject("authority", &AggregateId::parse(AUTHORITY_ID).unwrap(), "grant").unwrap();
        developer.send(&developer.prepare(&subject, &grant).unwrap()).await.unwrap();
        let creations = (0..WALLETS).map(|_| async {
            let id = wallets::fresh_id();
            let command = newcomer.prepare_create_wallet(Uuid::now_v7(), &id, &wallets::policy(&newcomer));
            newcomer.send(&command.unwrap()).await.unwrap();
        });
        join_all(creations).await;
    }
}

async fn timed<T>(what: &str, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = work.await;
    println!("{what}: {:.1} s", began.elapsed().as_secs_f32());
    done
}
