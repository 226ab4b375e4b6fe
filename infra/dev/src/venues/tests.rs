//! The replayer over real HTTP, read by the adapters of the service that it is for.

use nsl_price_sources::venue::{self, Adapter, Answer};
use nsl_schemas::price::Observation;
use nsl_schemas::token;
use reqwest::header::{DATE, RETRY_AFTER};
use tokio::net::TcpListener;

use super::*;

const SYMBOLS: [(&str, &str); 3] =
    [("bitfinex", "tNEOUSD"), ("coingecko", "neo"), ("coinpaprika", "neo-neo")];

async fn start() -> (String, tokio::task::JoinHandle<Result<(), Error>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    (base, tokio::spawn(serve(listener, std::future::pending())))
}

async fn set(base: &str, venue: &str, mode: &str) -> u16 {
    let url = format!("{base}/control/{venue}/{mode}");
    reqwest::Client::new().post(url).send().await.unwrap().status().as_u16()
}

fn adapter(name: &str) -> (token::Venue, &'static Adapter) {
    let venue = token::Venue::parse(name).unwrap();
    let adapter = venue::find(&venue).unwrap();
    (venue, adapter)
}

async fn ask(base: &str, name: &str, symbol: &str) -> reqwest::Response {
    reqwest::get(format!("{base}{}", (adapter(name).1.path)(symbol))).await.unwrap()
}

async fn read(base: &str, name: &str, symbol: &str) -> Result<Observation, venue::Error> {
    let response = ask(base, name, symbol).await;
    let date = httpdate::parse_http_date(response.headers()[DATE].to_str().unwrap()).unwrap();
    let body = response.bytes().await.unwrap();
    let received_at_ms = unix_ms(SystemTime::now());
    let (venue, adapter) = adapter(name);
    (adapter.parse)(&Answer {
        venue: &venue,
        symbol,
        body: &body,
        received_at_ms,
        served_at_ms: unix_ms(date),
    })
}

#[tokio::test]
async fn every_venue_is_read_by_its_own_adapter() {
    let (base, server) = start().await;
    for (name, symbol) in SYMBOLS {
        let observation = read(&base, name, symbol).await.unwrap();
        let age_ms = unix_ms(SystemTime::now()) - observation.observed_at_ms;
        assert!((200_000_000..300_000_000).contains(&observation.price_e8.0), "{observation:?}");
        assert!(age_ms < 60_000, "{observation:?}");
        assert!(read(&base, name, "unknown").await.is_err(), "{name}");
    }
    server.abort();
}

#[tokio::test]
async fn a_venue_turns_bad_and_good_again() {
    let (base, server) = start().await;
    for (name, symbol) in SYMBOLS {
        let good = read(&base, name, symbol).await.unwrap();
        assert_eq!(set(&base, name, "outlier").await, 204);
        let outlier = read(&base, name, symbol).await.unwrap();
        assert!(outlier.price_e8.0 > good.price_e8.0 / 100 * 140, "{name}");
        assert_eq!(set(&base, name, "stale").await, 204);
        let stale = read(&base, name, symbol).await.unwrap();
        assert!(stale.observed_at_ms + 3_500_000 < good.observed_at_ms, "{name}");
        assert_eq!(set(&base, name, "html").await, 204);
        assert_eq!(ask(&base, name, symbol).await.status().as_u16(), 200);
        assert!(read(&base, name, symbol).await.is_err(), "{name}");
        assert_eq!(set(&base, name, "error").await, 204);
        assert_eq!(ask(&base, name, symbol).await.status().as_u16(), 500);
        assert_eq!(set(&base, name, "limited").await, 204);
        let limited = ask(&base, name, symbol).await;
        assert_eq!(
            (limited.status().as_u16(), &limited.headers()[RETRY_AFTER]),
            (429, &"2".parse().unwrap())
        );
        assert_eq!(set(&base, name, "good").await, 204);
        assert!(read(&base, name, symbol).await.is_ok(), "{name}");
    }
    server.abort();
}

#[tokio::test]
async fn an_unknown_venue_or_mode_changes_nothing() {
    let (base, server) = start().await;
    assert_eq!(set(&base, "mtgox", "outlier").await, 404);
    assert_eq!(set(&base, "bitfinex", "wild").await, 404);
    assert!(read(&base, "bitfinex", "tNEOUSD").await.is_ok());
    server.abort();
}
