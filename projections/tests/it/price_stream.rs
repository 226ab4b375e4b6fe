//! The price stream: each accepted round of the service's feeds once, in order.

use nsl_bus::Bus;
use nsl_projections::price_stream::{self, PricePublisher};
use nsl_projections::progress::Progress;
use nsl_projections::read_model::PRICES as PRICES_MODEL;
use nsl_schemas::price::PriceMessage;
use nsl_schemas::query::ProjectionState;
use nsl_schemas::streams::PRICES;

use crate::events::*;
use crate::world::{PACE, Running, World, spawned, until, with_bus};

fn publish(world: &World, bus: &Bus, prices: &Progress) -> Running {
    let progress = world.progress(price_stream::NAME);
    let publisher = PricePublisher {
        pool: world.pool.clone(),
        bus: bus.clone(),
        prices: prices.clone(),
        progress: progress.clone(),
        pace: PACE,
    };
    spawned(progress, |stop| publisher.run(stop))
}

async fn published(bus: &Bus) -> Vec<(String, u64, u64)> {
    let stream = bus.jetstream().get_stream(PRICES).await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let mut found = Vec::new();
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let price: PriceMessage = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(message.subject.as_str(), format!("nsl.v1.price.{}", price.pair));
        assert_eq!((price.age_max_ms, price.sources.len()), (60_000, 2));
        found.push((price.pair.to_string(), price.round, price.position));
    }
    found
}

fn neo(round: u64, position: u64) -> (String, u64, u64) {
    ("NEO-USD".to_owned(), round, position)
}

#[tokio::test]
async fn every_round_is_published_once_even_when_the_read_models_begin_anew() {
    with_bus(async |world, bus| {
        world.append("price-feed", "system.NEO-USD", &feed_registered(60_000)).await;
        world.append("price-feed", "system.NEO-USD", &round_recorded(1, 500)).await;
        // Another tenant's feed of the same name is nobody's price.
        world.append("price-feed", "acme.NEO-USD", &feed_registered(1)).await;
        world.append("price-feed", "acme.NEO-USD", &round_recorded(1, 1)).await;
        let prices = world.run(&PRICES_MODEL);
        let publishing = publish(world, bus, &prices.progress);
        publishing.reaches(4).await;
        assert_eq!(published(bus).await, [neo(1, 2)]);
        let last = world.append("price-feed", "system.NEO-USD", &round_recorded(2, 501)).await;
        publishing.reaches(last).await;
        assert_eq!(published(bus).await, [neo(1, 2), neo(2, 5)]);
        publishing.stop().await;

        // A restart and a second process repeat nothing.
        let last = world.append("price-feed", "system.NEO-USD", &round_recorded(3, 502)).await;
        let (one, other) = (publish(world, bus, &prices.progress), publish(world, bus, &prices.progress));
        one.reaches(last).await;
        other.reaches(last).await;
        assert_eq!(published(bus).await, [neo(1, 2), neo(2, 5), neo(3, 6)]);
        for running in [one, other, prices] {
            running.stop().await;
        }
    })
    .await;
}

/// Sequence, subject, number of headers, bytes of every message.
async fn stored(bus: &Bus) -> Vec<(u64, String, Vec<u8>)> {
    let stream = bus.jetstream().get_stream(PRICES).await.unwrap();
    let mut found = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        found.push((sequence, message.subject.to_string(), message.payload.to_vec()));
    }
    found
}

#[tokio::test]
async fn a_deleted_price_stream_is_published_again_the_same() {
    with_bus(async |world, bus| {
        let mut last = 0;
        for pair in ["NEO-USD", "GAS-USD"] {
            world.append("price-feed", &format!("system.{pair}"), &feed_registered(60_000)).await;
        }
        for round in 1..=40 {
            for pair in ["NEO-USD", "GAS-USD"] {
                last = world
                    .append("price-feed", &format!("system.{pair}"), &round_recorded(round, round))
                    .await;
            }
        }
        let prices = world.run(&PRICES_MODEL);
        let publishing = publish(world, bus, &prices.progress);
        publishing.reaches(last).await;
        let before = stored(bus).await;
        assert_eq!(before.len(), 80);

        // While it is looked after.
        bus.jetstream().delete_stream(PRICES).await.unwrap();
        until("the publication after the deletion", async || {
            bus.last_sequence(PRICES).await.is_ok_and(|found| found == 80)
        })
        .await;
        assert_eq!(stored(bus).await, before);
        publishing.stop().await;

        // While nobody looks after it.
        bus.jetstream().delete_stream(PRICES).await.unwrap();
        let last = world.append("price-feed", "system.GAS-USD", &round_recorded(41, 41)).await;
        let publishing = publish(world, bus, &prices.progress);
        publishing.reaches(last).await;
        let after = stored(bus).await;
        assert_eq!((&after[..80], after.len()), (&before[..], 81));

        // One that tells another history stands still until it is deleted.
        publishing.stop().await;
        let forged = bus.jetstream().publish("nsl.v1.price.NEO-USD", "{}".into()).await.unwrap();
        forged.await.unwrap();
        let publishing = publish(world, bus, &prices.progress);
        until("the stop", async || publishing.progress.status().state == ProjectionState::Failed).await;
        let reason = publishing.progress.status().error.unwrap();
        assert!(reason.contains("differs from the log at its message 82"), "{reason}");
        bus.jetstream().delete_stream(PRICES).await.unwrap();
        publishing.reaches(last).await;
        assert_eq!(stored(bus).await, after);
        publishing.stop().await;
        prices.stop().await;
    })
    .await;
}
