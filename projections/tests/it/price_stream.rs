//! The price stream: each accepted round of the service's feeds once, in order.

use nsl_bus::Bus;
use nsl_projections::price_stream::{self, PricePublisher};
use nsl_projections::progress::Progress;
use nsl_projections::read_model::ReadModel;
use nsl_schemas::price::PriceMessage;
use nsl_schemas::streams::PRICES;

use crate::events::*;
use crate::world::{Running, World, spawned, with_bus};

fn publish(world: &World, bus: &Bus, prices: &Progress) -> Running {
    let progress = world.progress(price_stream::NAME);
    let publisher = PricePublisher {
        pool: world.pool.clone(),
        bus: bus.clone(),
        replicas: 1,
        prices: prices.clone(),
        progress: progress.clone(),
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
        let prices = world.run(ReadModel::Prices);
        let publishing = publish(world, bus, &prices.progress);
        publishing.reaches(4).await;
        assert_eq!(published(bus).await, [neo(1, 2)]);
        let last = world.append("price-feed", "system.NEO-USD", &round_recorded(2, 501)).await;
        publishing.reaches(last).await;
        assert_eq!(published(bus).await, [neo(1, 2), neo(2, 5)]);
        publishing.stop().await;

        // The checkpoint is lost, and the server's memory of message ids is not asked.
        world.execute("UPDATE checkpoints SET position = 0 WHERE follower = 'price-stream'").await;
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
