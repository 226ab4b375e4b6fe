//! Requests against a real HTTP server on loopback that behaves as venues do on bad days.

use axum::Router;
use axum::http::header::{DATE, LOCATION, RETRY_AFTER};
use axum::routing::get;
use tokio::net::TcpListener;

use super::*;

async fn served(path: &str) -> Result<Fetched, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/ok", get(|| async { "[1]" }))
        .route("/cached", get(|| async { ([(DATE, "Tue, 14 Nov 2023 22:13:20 GMT")], "[1]") }))
        .route("/ahead", get(|| async { ([(DATE, "Fri, 14 Nov 2099 22:13:20 GMT")], "[1]") }))
        .route("/full", get(|| async { "x".repeat(BODY_BYTES_MAX) }))
        .route("/long", get(|| async { "x".repeat(BODY_BYTES_MAX + 1) }))
        .route("/moved", get(|| async { (StatusCode::FOUND, [(LOCATION, "/ok")]) }))
        .route("/limited", get(|| async { (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "7")], "slow") }))
        .route("/slow", get(std::future::pending::<&str>));
    let server = tokio::spawn(axum::serve(listener, router).into_future());
    let config = HttpConfig {
        connect_timeout_ms: ms(5_000),
        request_timeout_ms: ms(if path == "/slow" { 50 } else { 5_000 }),
    };
    let url = format!("http://{address}{path}?key=secret-word").parse().unwrap();
    let fetched = fetch(&client(&config).unwrap(), &url).await;
    server.abort();
    fetched
}

fn ms(ms: u64) -> std::num::NonZeroU64 {
    std::num::NonZeroU64::new(ms).unwrap()
}

#[tokio::test]
async fn an_answer_is_dated_by_its_maker_unless_from_the_future() {
    let fresh = served("/ok").await.unwrap();
    assert_eq!(fresh.body, b"[1]");
    assert!(fresh.served_at_ms <= fresh.received_at_ms);
    assert_eq!(served("/cached").await.unwrap().served_at_ms, 1_700_000_000_000);
    let ahead = served("/ahead").await.unwrap();
    assert_eq!(ahead.served_at_ms, ahead.received_at_ms);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    assert_eq!(served("/full").await.unwrap().body.len(), BODY_BYTES_MAX);
    assert!(matches!(served("/long").await, Err(Error::TooLarge)));
}

#[tokio::test]
async fn everything_but_ok_is_an_error_and_no_redirect_is_followed() {
    for (path, expected) in [("/moved", 302), ("/none", 404), ("/limited", 429)] {
        let error = served(path).await.unwrap_err();
        assert!(matches!(&error, Error::Status { status, .. } if status.as_u16() == expected), "{error:?}");
        let pause = (path == "/limited").then_some(Duration::from_secs(7));
        assert_eq!(error.venue_pause(), pause, "{path}");
    }
}

#[tokio::test]
async fn a_slow_venue_times_out_and_its_url_is_not_shown() {
    let error = served("/slow").await.unwrap_err();
    assert_eq!(error.kind(), "timeout");
    let shown = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
    assert!(!shown.contains("secret-word"), "{shown}");
}
