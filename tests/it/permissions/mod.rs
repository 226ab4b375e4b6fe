//! Who may do what: every cell of `infra/docs/permissions.md`, tried as its role on a running system.

mod bus;
mod database;
mod document;

use futures::StreamExt as _;
use nsl_client::{EventFilter, SendError};
use nsl_schemas::query::{EventPage, EventsRequest, name};
use nsl_schemas::subject;
use nsl_schemas::token::Tenant;
use uuid::Uuid;

use crate::patience::{PATIENCE, until};
use crate::system::{System, TENANT, text};
use crate::wallets;
use document::Document;

/// A tenant that is added while the system runs.
const OTHER: &str = "other";

fn add_other(system: &System) {
    let output = system.dev(&["tenant", "add", OTHER]);
    assert!(output.status.success(), "{}", text(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_may_do_what_the_document_says_and_nothing_else() {
    let Some(system) = System::start().await else { return };
    add_other(&system);
    let document = Document::read();
    let bus = bus::try_all(&system, &document).await;
    let database = database::try_all(&system, &document).await;
    let mismatches: Vec<&String> = bus.mismatches.iter().chain(&database.mismatches).collect();
    println!(
        "bus cells {}, database cells {}, allowed {}, mismatches {}",
        bus.cells,
        database.cells,
        bus.allowed + database.allowed,
        mismatches.len()
    );
    assert!(mismatches.is_empty(), "{mismatches:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_work_side_by_side_and_see_nothing_of_each_other() {
    let Some(system) = System::start().await else { return };
    add_other(&system);
    let (demo, other) = (system.client().await, system.client_of_tenant(OTHER).await);
    let mut heard = other.events(&EventFilter::default(), 1).await.unwrap();
    let wallet = wallets::create(&demo, &system.genesis()).await;
    let own = wallets::create(&other, &system.genesis()).await;
    // Its own account's: nothing of the first tenant's wallet came before.
    let first = heard.next().await.unwrap().unwrap();
    assert!(first.subject.starts_with("nsl.v1.evt.other."), "{}", first.subject);
    for tenant in [TENANT, OTHER] {
        let filter = EventFilter { tenant: Some(Tenant::parse(tenant).unwrap()), ..EventFilter::default() };
        let client = if tenant == TENANT { &demo } else { &other };
        let prefix = format!("nsl.v1.evt.{tenant}.");
        let events: Vec<_> = client.events_to_head(&filter, 1).await.unwrap().collect().await;
        assert!(!events.is_empty());
        assert!(events.iter().all(|event| event.as_ref().unwrap().subject.starts_with(&prefix)));
    }

    // The question itself cannot reach further than the subject that it is asked on.
    let demo_tenant = Tenant::parse(TENANT).unwrap();
    let request = EventsRequest {
        after: 0,
        limit: 1,
        tenant: Some(demo_tenant.clone()),
        aggregate: None,
        id: None,
        name: None,
    };
    let asked: Result<EventPage, _> =
        other.query(&Tenant::parse(OTHER).unwrap(), name::EVENTS, &request).await;
    assert!(asked.unwrap_err().to_string().contains("query_invalid"));
    let command =
        demo.prepare_create_wallet(Uuid::now_v7(), &wallets::fresh_id(), &wallets::policy(&demo)).unwrap();
    assert!(matches!(other.send(&command).await, Err(SendError::ForeignTenant { .. })));
    until("the result of the first tenant's wallet is looked up", async || {
        demo.recorded_result(&demo_tenant, wallet.command_id).await.unwrap()
    })
    .await;
    let theirs = other.recorded_result(&demo_tenant, wallet.command_id);
    assert!(tokio::time::timeout(PATIENCE, theirs).await.is_ok_and(|found| found.is_err()));
    assert_ne!((&own.wallet, &own.public_key), (&wallet.wallet, &wallet.public_key));
    let forged = subject::result(&demo_tenant, wallet.command_id);
    assert!(bus::publish_is_refused(&system, "tenant-other", &forged).await);
}
