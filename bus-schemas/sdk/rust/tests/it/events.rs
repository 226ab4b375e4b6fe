//! Following the log and prices.

use std::time::Duration;

use futures::StreamExt as _;
use nsl_client::{EventFilter, events};
use nsl_schemas::number::PriceE8;
use nsl_schemas::price::PriceMessage;
use nsl_schemas::subject;
use nsl_schemas::token::{EventName, Pair};
use serde_json::json;
use uuid::Uuid;

use crate::world::world;

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn events_come_in_order_from_the_position_asked_for_to_the_head() {
    let Some(world) = world().await else { return };
    let mut positions = Vec::new();
    for index in 0..5 {
        positions.push(world.publish_event("main", "transfer-signed", &json!({"index": index})).await);
    }
    let filter = EventFilter { tenant: Some(world.tenant.clone()), ..EventFilter::default() };
    let events = world.client.events_to_head(&filter, positions[2]).await.unwrap();
    assert_eq!(events.head(), positions[4]);
    world.publish_event("main", "transfer-signed", &json!({"index": "later"})).await;
    let seen: Vec<_> = events.map(Result::unwrap).collect().await;
    assert_eq!(seen.iter().map(|event| event.position).collect::<Vec<_>>(), positions[2..]);
    assert_eq!(seen[0].data.get(), "{\"index\":2}");
    assert_eq!((seen[0].name(), seen[0].event_type.as_str()), ("transfer-signed", "transfer-signed"));
    assert!(world.client.log_head().await.unwrap() > positions[4]);
}

#[tokio::test]
async fn a_follower_goes_on_without_gap_or_repeat_also_when_a_notice_is_lost() {
    let Some(world) = world().await else { return };
    let first = world.publish_event("main", "one", &json!({})).await;
    let mut events = world.client.events(&EventFilter::default(), 1).await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().position, first);
    // Once the follower was told that there is no more, it rests, and nobody tells it of this one.
    let unannounced = async {
        world.asked(2).await;
        world.log("main", "two", &json!({}))
    };
    let (event, unannounced) = tokio::join!(tokio::time::timeout(LIMIT, events.next()), unannounced);
    assert_eq!(event.unwrap().unwrap().unwrap().position, unannounced);

    let mut events = world.client.events(&EventFilter::default(), unannounced + 1).await.unwrap();
    for _ in 0..20 {
        let position = world.publish_event("main", "more", &json!({})).await;
        let event = tokio::time::timeout(LIMIT, events.next()).await.unwrap();
        assert_eq!(event.unwrap().unwrap().position, position);
    }
}

#[tokio::test]
async fn waiting_ends_with_the_event_or_with_the_limit() {
    let Some(world) = world().await else { return };
    let filter = EventFilter {
        tenant: Some(world.tenant.clone()),
        name: Some(EventName::parse("wanted").unwrap()),
        ..EventFilter::default()
    };
    let wait = world.client.wait_for_event(&filter, 1, LIMIT, |event| Ok(Some(event.position)));
    let publish = async {
        world.publish_event("main", "other", &json!({})).await;
        world.publish_event("main", "wanted", &json!({})).await
    };
    let (found, published) = tokio::join!(wait, publish);
    assert_eq!(found.unwrap(), published);
    let limit = Duration::from_millis(100);
    let nothing = world.client.wait_for_event(&filter, published + 1, limit, |_| Ok(Some(()))).await;
    assert!(matches!(nothing, Err(events::Error::TimedOut { .. })), "{nothing:?}");
}

#[tokio::test]
async fn prices_begin_with_the_latest_and_go_on() {
    let Some(world) = world().await else { return };
    let pair = Pair::parse(&format!("P{}-USD", Uuid::now_v7().simple())).unwrap();
    let message = |position: u64| PriceMessage {
        pair: pair.clone(),
        round: position,
        price_e8: PriceE8(position),
        confidence_e8: PriceE8(1),
        as_of_ms: 1,
        age_max_ms: 1,
        sources: vec![],
        position,
    };
    let publish = async |position| {
        let payload = serde_json::to_vec(&message(position)).unwrap();
        world.jetstream.publish(subject::price(&pair), payload.into()).await.unwrap().await.unwrap();
    };
    publish(1).await;
    publish(2).await;
    let mut prices = world.client.prices(&pair).await.unwrap();
    assert_eq!(prices.next().await.unwrap().unwrap(), message(2));
    publish(3).await;
    assert_eq!(prices.next().await.unwrap().unwrap(), message(3));
}
