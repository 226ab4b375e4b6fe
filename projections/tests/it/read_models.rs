//! Given events, then rows.

use nsl_projections::read_model::{PRICES, SIGNING_REQUESTS, TRANSACTIONS, WALLETS};
use nsl_projections::{prices, signing_requests, transactions, wallets};
use nsl_schemas::command::wallet::VmState;
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::number::{Amount, Datoshi, PriceE8};
use nsl_schemas::token::Tenant;

use crate::events::*;
use crate::world::with_world;

fn acme() -> Tenant {
    Tenant::parse("acme").unwrap()
}

#[tokio::test]
async fn a_wallet_shows_what_its_events_made_of_it() {
    // events of one wallet; status, whether it has an address, the policy's bound, the request
    let table: [(&[WalletEvent], &str, bool, u64, u128); 6] = [
        (&[creation_requested(1)], "creating", false, 10, 1),
        (&[creation_requested(1), creation_refused(1)], "refused", false, 10, 1),
        (&[creation_requested(1), creation_refused(1), creation_requested(2)], "creating", false, 10, 2),
        (&[creation_requested(1), key_created(1)], "open", true, 10, 1),
        (&[creation_requested(1), key_created(1), policy_changed(3, 77)], "open", true, 77, 1),
        (
            &[creation_requested(1), key_created(1), transfer_requested(4), transfer_signed(4)],
            "open",
            true,
            10,
            1,
        ),
    ];
    with_world(async |world| {
        let mut position = 0;
        for (case, (events, ..)) in table.iter().enumerate() {
            for event in *events {
                position = world.append("wallet", &format!("acme.w{case}"), event).await;
            }
        }
        world.append("wallet", "other.w0", &creation_requested(9)).await;
        world.project(&WALLETS, position + 1).await;
        for (case, (events, status, addressed, fee_max, asked_by)) in table.iter().enumerate() {
            let wallet = wallets::find(&world.pool, &acme(), &format!("w{case}")).await.unwrap().unwrap();
            assert_eq!(wallet.status, *status, "case {case}");
            assert_eq!(wallet.address.as_deref(), addressed.then_some("NAddress"), "case {case}");
            assert_eq!(wallet.public_key.is_some(), *addressed, "case {case}");
            assert_eq!(wallet.policy, policy(*fee_max), "case {case}");
            assert_eq!(wallet.version, u64::try_from(events.len()).unwrap(), "case {case}");
            assert_eq!(wallet.request_id, request(*asked_by), "case {case}");
        }
        let other =
            wallets::find(&world.pool, &Tenant::parse("other").unwrap(), "w0").await.unwrap().unwrap();
        assert_eq!((other.request_id, other.position), (request(9), position + 1));
        assert_eq!(wallets::find(&world.pool, &acme(), "absent").await.unwrap(), None);

        let first = wallets::list(&world.pool, &acme(), None, 4).await.unwrap();
        let ids =
            |page: &[nsl_schemas::query::Wallet]| page.iter().map(|w| w.id.to_string()).collect::<Vec<_>>();
        assert_eq!(
            (ids(&first.data).join(" "), first.next.as_deref()),
            ("w0 w1 w2 w3".to_owned(), Some("w3"))
        );
        let second = wallets::list(&world.pool, &acme(), first.next.as_deref(), 4).await.unwrap();
        assert_eq!((ids(&second.data), second.next), (vec!["w4".to_owned(), "w5".to_owned()], None));
    })
    .await;
}

#[tokio::test]
async fn a_signing_request_is_requested_then_signed_refused_or_expired() {
    with_world(async |world| {
        for event in [
            transfer_requested(1),
            transfer_requested(2),
            transfer_requested(3),
            transfer_signed(2),
            transfer_refused(3),
            transfer_requested(4),
            transfer_request_expired(4),
            transfer_requested(5),
            transfer_reserved(5),
        ] {
            world.append("wallet", "acme.main", &event).await;
        }
        world.project(&SIGNING_REQUESTS, 9).await;
        for (number, status, refusal, position) in [
            (1, "requested", None, 1),
            (2, "signed", None, 4),
            (3, "refused", Some("worker_policy_denied"), 5),
            (4, "expired", None, 7),
            (5, "reserved", None, 9),
        ] {
            let id = request(number).to_string();
            let found = signing_requests::find(&world.pool, &acme(), &id).await.unwrap().unwrap();
            assert_eq!(
                (found.status.as_str(), found.refusal_code.as_deref(), found.position),
                (status, refusal, position)
            );
            assert_eq!(
                (found.wallet.as_str(), found.amount, found.tx_hash),
                ("main", Amount(u128::MAX), tx_hash(number))
            );
            assert_eq!(signing_requests::find(&world.pool, &Tenant::system(), &id).await.unwrap(), None);
        }
        // Newest first by when they were asked for, whatever happened to them since.
        let first = signing_requests::list(&world.pool, &acme(), None, 2).await.unwrap();
        assert_eq!(first.data.iter().map(|found| found.id).collect::<Vec<_>>(), [request(5), request(4)]);
        assert_eq!(first.next.as_deref(), Some("6"));
        let second = signing_requests::list(&world.pool, &acme(), Some(6), 3).await.unwrap();
        let ids: Vec<_> = second.data.iter().map(|found| found.id).collect();
        assert_eq!(ids, [request(3), request(2), request(1)]);
        assert_eq!(second.next, None);
    })
    .await;
}

#[tokio::test]
async fn a_held_request_shows_what_it_waits_for_and_what_approvers_sign() {
    with_world(async |world| {
        let WalletEvent::TransferRequested(asked) = transfer_held(1, Some(2)) else { panic!() };
        for event in [
            transfer_held(1, Some(2)),
            transfer_held(2, Some(2)),
            transfer_approved(2, 1),
            transfer_held(3, Some(1)),
            transfer_approved(3, 0),
            transfer_held(4, Some(1)),
            transfer_cancelled(4),
        ] {
            world.append("wallet", "acme.main", &event).await;
        }
        world.project(&SIGNING_REQUESTS, 7).await;
        for (number, status, missing) in [
            (1, "awaiting-approvals", 2),
            (2, "awaiting-approvals", 1),
            (3, "requested", 0),
            (4, "cancelled", 1),
        ] {
            let id = request(number).to_string();
            let found = signing_requests::find(&world.pool, &acme(), &id).await.unwrap().unwrap();
            assert_eq!((found.status.as_str(), found.approvals_missing), (status, Some(missing)), "{number}");
            assert_eq!(found.not_before_ms, asked.not_before_ms);
            assert_eq!(found.transfer.as_ref(), Some(&asked.transfer));
            assert_eq!(found.request_sha256, Some(asked.request_sha256));
        }
    })
    .await;
}

#[tokio::test]
async fn a_transaction_is_signed_then_confirmed_faulted_or_expired() {
    with_world(async |world| {
        for number in 1..=4 {
            world.append("wallet", "acme.main", &transfer_signed(number)).await;
        }
        world.append("wallet", "acme.main", &transfer_confirmed(2, VmState::Halt)).await;
        world.append("wallet", "acme.main", &transfer_confirmed(3, VmState::Fault)).await;
        world.append("wallet", "acme.main", &transfer_expired(4)).await;
        world.project(&TRANSACTIONS, 7).await;
        let found = transactions::list(&world.pool, &acme(), None, 10).await.unwrap().data;
        let shown: Vec<_> = found
            .iter()
            .map(|t| {
                (t.request_id, t.status.as_str(), t.block_index, t.gas_consumed_datoshi, t.reason.as_deref())
            })
            .collect();
        let gas = Some(Datoshi(u64::MAX));
        assert_eq!(
            shown,
            [
                (request(4), "expired", None, None, Some("expired")),
                (request(3), "faulted", Some(12), gas, Some("out of GAS")),
                (request(2), "confirmed", Some(12), gas, None),
                (request(1), "signed", None, None, None),
            ]
        );
        assert!(found.iter().all(|transaction| transaction.valid_until_block == u32::MAX));
    })
    .await;
}

#[tokio::test]
async fn the_latest_round_is_the_price_and_a_feed_without_rounds_has_none() {
    with_world(async |world| {
        world.append("price-feed", "system.NEO-USD", &feed_registered(60_000)).await;
        world.append("price-feed", "system.GAS-USD", &feed_registered(30_000)).await;
        world.append("price-feed", "system.NEO-USD", &round_recorded(1, 500)).await;
        world.append("price-feed", "system.NEO-USD", &round_recorded(2, u64::MAX)).await;
        world.project(&PRICES, 4).await;
        let system = Tenant::system();
        let price = prices::find(&world.pool, &system, "NEO-USD").await.unwrap().unwrap();
        assert_eq!((price.round, price.price_e8, price.confidence_e8), (2, PriceE8(u64::MAX), PriceE8(3)));
        assert_eq!((price.as_of_ms, price.age_max_ms, price.position), (1_700_000_000_002, 60_000, 4));
        let sources: Vec<&str> = price.sources.iter().map(nsl_schemas::token::Venue::as_str).collect();
        assert_eq!(sources, ["bitfinex", "okx"], "only what was accepted counts");
        assert_eq!(prices::find(&world.pool, &system, "GAS-USD").await.unwrap(), None);
        let page = prices::list(&world.pool, &system, None, 10).await.unwrap();
        assert_eq!((page.data, page.next), (vec![price], None));
        assert_eq!(world.number("SELECT count(*) FROM price_rounds").await, 2);
    })
    .await;
}
