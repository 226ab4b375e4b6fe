//! Questions by request-reply: answers, pages, reading one's own writes, bad questions.

use std::sync::Arc;

use nsl_bus::Bus;
use nsl_bus::async_nats::HeaderMap;
use nsl_projections::queries::{NAMES, Queries};
use nsl_projections::read_model::{self, PRICES, SIGNING_REQUESTS, WALLETS};
use nsl_schemas::query::{ProjectionStatus, Reply, name};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::events::*;
use crate::world::{PATIENCE, World, until, with_bus};

struct Asking<'a> {
    bus: &'a Bus,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl<'a> Asking<'a> {
    async fn begin(world: &World, bus: &'a Bus, progress: Vec<nsl_projections::progress::Progress>) -> Self {
        let stop = CancellationToken::new();
        let queries = Arc::new(Queries { pool: world.pool.clone(), progress });
        let tasks = NAMES
            .into_iter()
            .map(|name| {
                let served = Arc::clone(&queries).serve(bus.clone(), name, stop.clone());
                tokio::spawn(async move { served.await.unwrap() })
            })
            .collect();
        let asking = Self { bus, stop, tasks };
        for name in NAMES {
            let subject = format!("nsl.v1.qry.acme.{name}");
            until("the service of a question", async || {
                asking.bus.request(&subject, HeaderMap::new(), "".into(), PATIENCE).await.is_ok()
            })
            .await;
        }
        asking
    }

    async fn ask(&self, tenant: &str, name: &str, question: &str) -> Reply<Value> {
        let subject = format!("nsl.v1.qry.{tenant}.{name}");
        let payload = question.to_owned().into();
        let answer = self.bus.request(&subject, HeaderMap::new(), payload, PATIENCE).await.unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    }

    async fn data(&self, tenant: &str, name: &str, question: &str) -> Value {
        match self.ask(tenant, name, question).await {
            Reply::Ok(value) => value,
            Reply::Error { code, message } => panic!("{code}: {message}"),
        }
    }

    async fn code(&self, tenant: &str, name: &str, question: &str) -> String {
        match self.ask(tenant, name, question).await {
            Reply::Ok(value) => panic!("{value}"),
            Reply::Error { code, .. } => code,
        }
    }

    async fn end(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test]
async fn questions_are_answered_from_the_read_models() {
    with_bus(async |world, bus| {
        for event in [creation_requested(1), key_created(1), transfer_requested(2), transfer_signed(2)] {
            world.append("wallet", "acme.main", &event).await;
        }
        world.append("price-feed", "system.NEO-USD", &feed_registered(60_000)).await;
        let last = world.append("price-feed", "system.NEO-USD", &round_recorded(1, 500)).await;
        let running: Vec<_> = read_model::ALL.into_iter().map(|model| world.run(model)).collect();
        for one in &running {
            one.reaches(last).await;
        }
        let asking =
            Asking::begin(world, bus, running.iter().map(|one| one.progress.clone()).collect()).await;

        let wallet = asking.data("acme", name::WALLET, r#"{"id":"main"}"#).await;
        assert_eq!((&wallet["status"], &wallet["version"]), (&json!("open"), &json!(4)));
        assert_eq!(wallet.get("tenant"), None);
        let id = json!({ "id": request(2) }).to_string();
        assert_eq!(asking.data("acme", name::SIGNING_REQUEST, &id).await["status"], "signed");
        for (name, field, expected) in [
            (name::WALLETS, "id", json!("main")),
            (name::SIGNING_REQUESTS, "id", json!(request(2))),
            (name::TRANSACTIONS, "tx_hash", json!(tx_hash(2))),
            (name::PRICES, "pair", json!("NEO-USD")),
        ] {
            for question in ["", r#"{"limit":1}"#] {
                let page = asking.data("acme", name, question).await;
                assert_eq!(page["data"][0][field], expected, "{name}");
                assert_eq!(page.get("next"), None, "{name}");
            }
            // Prices are everybody's, the rest is its tenant's.
            let shared = usize::from(name == name::PRICES);
            let other = asking.data("other", name, r#"{"limit":1}"#).await;
            assert_eq!(other["data"].as_array().unwrap().len(), shared, "{name}");
        }
        assert_eq!(asking.data("acme", name::PRICE, r#"{"id":"NEO-USD"}"#).await["price_e8"], "500");
        let page = asking.data("acme", name::PROJECTIONS, "").await;
        let statuses: Vec<ProjectionStatus> = serde_json::from_value(page["data"].clone()).unwrap();
        assert_eq!(statuses.len(), read_model::ALL.len());
        assert!(
            statuses
                .iter()
                .all(|status| (status.position, status.head, &status.error) == (last, last, &None))
        );

        // A client that was told a position reads nothing older than it.
        let next = last + 1;
        let question = json!({ "id": "main", "at_position": next }).to_string();
        let requested = transfer_requested(3);
        let (answer, appended) = tokio::join!(
            asking.data("acme", name::WALLET, &question),
            world.append("wallet", "acme.main", &requested)
        );
        assert_eq!((appended, answer["version"].as_u64()), (next, Some(5)));
        asking.end().await;
        for one in running {
            one.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn bad_questions_get_a_named_error() {
    with_bus(async |world, bus| {
        let last = world.append("wallet", "acme.main", &creation_requested(1)).await;
        for model in [&SIGNING_REQUESTS, &PRICES] {
            world.project(model, last).await;
        }
        let running = world.run(&WALLETS);
        running.reaches(last).await;
        let asking = Asking::begin(world, bus, vec![running.progress.clone()]).await;
        let long = format!("{{\"id\":\"{}\"}}", "x".repeat(5000));
        for (name, question, code) in [
            (name::WALLET, r#"{"id":"absent"}"#, "not_found"),
            (name::WALLET, r#"{"id":"' OR 1=1"}"#, "query_invalid"),
            (name::WALLET, r#"{"id":"\u0000"}"#, "query_invalid"),
            (name::WALLETS, r#"{"limit":1,"after":"\u0000"}"#, "query_invalid"),
            (name::PRICE, r#"{"id":"NEO-USD"}"#, "not_found"),
            (name::SIGNING_REQUEST, r#"{"id":"no-uuid"}"#, "not_found"),
            (name::WALLET, "", "query_invalid"),
            (name::WALLET, "{", "query_invalid"),
            (name::WALLET, r#"{"id":1}"#, "query_invalid"),
            (name::WALLET, r#"{"id":"main","at_position":-1}"#, "query_invalid"),
            (name::WALLET, long.as_str(), "query_invalid"),
            (name::WALLETS, r#"{"limit":0}"#, "query_invalid"),
            (name::WALLETS, r#"{"limit":101}"#, "query_invalid"),
            (name::TRANSACTIONS, r#"{"limit":1,"after":"main"}"#, "query_invalid"),
            (name::WALLET, r#"{"id":"main","at_position":99}"#, "unavailable"),
            // Not built yet.
            (name::TRANSACTIONS, "", "unavailable"),
        ] {
            assert_eq!(asking.code("acme", name, question).await, code, "{name} {question:.60}");
        }
        assert_eq!(asking.code("ac$me", name::WALLET, r#"{"id":"main"}"#).await, "query_invalid");
        asking.end().await;
        running.stop().await;
    })
    .await;
}
