use std::sync::Arc;

use nsl_schemas::authority::{GenesisManifest, Operators, Quorum, SealingProvider};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::command::price_feed::{PriceFeedCommand, RecordRound, Register};
use nsl_schemas::errors::{self, ErrorCode};
use nsl_schemas::number::PriceE8;
use nsl_schemas::price::{FeedRules, Observation, Verdict};
use nsl_schemas::token::{AggregateId, Tenant, Venue};
use nsl_verify::attestation::TrustRoot;
use proptest::prelude::*;
use uuid::Uuid;

use super::{PriceFeed, judge};
use crate::decision::{Facts, Genesis, Order};

fn rules() -> FeedRules {
    FeedRules {
        sources_min: 2,
        age_max_ms: 10_000,
        deviation_floor_bps: 100,
        price_min_e8: PriceE8(1_000),
        price_max_e8: PriceE8(1_000_000_000_000),
    }
}

fn observation(venue: &str, price_e8: u64, observed_at_ms: u64) -> Observation {
    Observation {
        venue: Venue::parse(venue).unwrap(),
        price_e8: PriceE8(price_e8),
        bid_e8: None,
        ask_e8: None,
        observed_at_ms,
    }
}

fn order(body: PriceFeedCommand, issued_at_ms: u64) -> Order<PriceFeedCommand> {
    let manifest = GenesisManifest {
        log_origin: "test".into(),
        quorum: Quorum { threshold: 1, keys: vec![] },
        attestation_root_sha256: Sha256([0; 32]),
        builds: vec![],
        sealing_provider: SealingProvider::Development,
        created_at_ms: 0,
    };
    let operators = Arc::new(Operators::of_genesis(&manifest));
    let genesis = Genesis { sha256: manifest.sha256(), manifest, trust_root: TrustRoot::aws_nitro() };
    Order {
        tenant: Tenant::system(),
        id: AggregateId::parse("NEO-USD").unwrap(),
        command_id: Uuid::nil(),
        request_sha256: Sha256([0; 32]),
        issued_at_ms,
        now_ms: issued_at_ms,
        body,
        facts: Facts { genesis: Arc::new(genesis), operators, worker_is_registered: false, signing_ms: 0 },
    }
}

fn round(round: u64, as_of_ms: u64, observations: Vec<Observation>) -> PriceFeedCommand {
    PriceFeedCommand::RecordRound(RecordRound { round, as_of_ms, observations })
}

fn registered() -> PriceFeed {
    let mut feed = PriceFeed::default();
    for event in feed.decide(&order(PriceFeedCommand::Register(Register { rules: rules() }), 1)).unwrap() {
        feed.evolve(event);
    }
    feed
}

#[test]
fn verdicts_name_what_is_wrong_with_an_observation() {
    let crossed = Observation {
        bid_e8: Some(PriceE8(100_200)),
        ask_e8: Some(PriceE8(100_100)),
        ..observation("f", 100_000, 50_000)
    };
    let judgement = judge(
        &rules(),
        50_000,
        &[
            observation("a", 100_000, 50_000),
            observation("b", 100_400, 40_000),
            observation("c", 100_200, 45_000),
            observation("d", 150_000, 50_000),
            observation("e", 999, 50_000),
            crossed,
            observation("g", 100_000, 39_999),
            observation("h", 100_000, 50_001),
        ],
    );
    let verdicts: Vec<_> = judgement.observations.iter().map(|one| one.verdict).collect();
    assert_eq!(
        verdicts,
        [
            Verdict::Accepted,
            Verdict::Accepted,
            Verdict::Accepted,
            Verdict::Outlier,
            Verdict::OutOfBounds,
            Verdict::CrossedQuote,
            Verdict::Stale,
            Verdict::FromTheFuture,
        ]
    );
    assert_eq!(judgement.price, Some((PriceE8(100_200), PriceE8(200))));
}

#[test]
fn rounds_are_rejected_by_the_first_rule_that_says_no() {
    let good = || vec![observation("a", 100_000, 20_000), observation("b", 100_100, 20_000)];
    let cases: Vec<(PriceFeed, PriceFeedCommand, ErrorCode)> = vec![
        (PriceFeed::default(), round(1, 20_000, good()), errors::FEED_UNKNOWN),
        (registered(), round(1, 20_000, vec![good()[0].clone(); 33]), errors::LIMIT_EXCEEDED),
        (registered(), round(2, 20_000, good()), errors::ROUND_OUT_OF_ORDER),
        (registered(), round(1, 0, good()), errors::ROUND_OUT_OF_ORDER),
        (registered(), round(1, 20_001, good()), errors::ROUND_TIME_IMPLAUSIBLE),
        (registered(), round(1, 9_999, good()), errors::ROUND_TIME_IMPLAUSIBLE),
        (registered(), round(1, 20_000, vec![good()[0].clone(); 2]), errors::ROUND_VENUE_REPEATED),
        (registered(), round(1, 20_000, good()[..1].to_vec()), errors::ROUND_WITHOUT_QUORUM),
        (registered(), round(1, 20_000, vec![]), errors::ROUND_WITHOUT_QUORUM),
        (registered(), PriceFeedCommand::Register(Register { rules: rules() }), errors::FEED_EXISTS),
    ];
    for (feed, command, expected) in cases {
        assert_eq!(feed.decide(&order(command, 20_000)).unwrap_err().code, expected);
    }
    assert!(registered().decide(&order(round(1, 20_000, good()), 20_000)).is_ok());
}

#[test]
fn contradictory_rules_never_begin() {
    let changes: [fn(&mut FeedRules); 6] = [
        |r| r.sources_min = 0,
        |r| r.sources_min = 33,
        |r| r.age_max_ms = 0,
        |r| r.deviation_floor_bps = 5_001,
        |r| r.price_min_e8 = PriceE8(0),
        |r| r.price_max_e8 = r.price_min_e8,
    ];
    for change in changes {
        let mut changed = rules();
        change(&mut changed);
        let command = PriceFeedCommand::Register(Register { rules: changed });
        let rejection = PriceFeed::default().decide(&order(command, 1)).unwrap_err();
        assert_eq!(rejection.code, errors::FEED_RULES_INVALID);
    }
}

proptest! {
    /// Whatever a minority says, the price stays within what the honest majority said.
    #[test]
    fn a_minority_cannot_move_the_price_out_of_the_honest_range(
        honest in prop::collection::vec(99_000_u64..101_000, 4..8),
        liars in prop::collection::vec(any::<u64>(), 0..3),
    ) {
        let observations: Vec<_> = honest.iter().chain(&liars).enumerate()
            .map(|(index, price)| observation(&format!("v{index}"), *price, 1))
            .collect();
        let (price, _) = judge(&rules(), 1, &observations).price.unwrap();
        let (low, high) = (honest.iter().min().unwrap(), honest.iter().max().unwrap());
        prop_assert!((*low..=*high).contains(&price.0), "{} outside of {}..={}", price.0, low, high);
    }

    /// The order in which venues answer does not change the price.
    #[test]
    fn the_order_of_observations_does_not_matter(prices in prop::collection::vec(1_000_u64..2_000_000, 1..16)) {
        let forward: Vec<_> = prices.iter().enumerate()
            .map(|(index, price)| observation(&format!("v{index}"), *price, 1)).collect();
        let backward: Vec<_> = forward.iter().rev().cloned().collect();
        prop_assert_eq!(judge(&rules(), 1, &forward).price, judge(&rules(), 1, &backward).price);
    }
}
