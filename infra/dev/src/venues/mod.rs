//! `cargo dev venues`: a replayer that answers as Bitfinex, CoinGecko and CoinPaprika do, in their own wire
//! formats, with prices that move. `POST /control/<venue>/<mode>` makes one of them bad.
//!
//! For demonstrations and tests where no venue can be reached; the base URL is all that a client must change.

mod quotes;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;

use crate::interrupt;
use crate::outcome::Outcome;
use quotes::{Quote, Series, Venue, decimal};

/// How long a step of the base series lasts.
const STEP_MS: u64 = 2_000;
/// How old a stale venue's answers are: older than any feed's patience.
const STALE_AGE: Duration = Duration::from_hours(1);
/// How often Ctrl-C is looked for.
const INTERRUPT_INTERVAL: Duration = Duration::from_millis(100);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the base series is not a list of integers")]
    Series(#[from] std::num::ParseIntError),
    #[error("the server stopped")]
    Serve(#[source] io::Error),
}

/// How a venue behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    #[default]
    Good,
    Outlier,
    Stale,
    Failing,
    Html,
    Limited,
}

impl Mode {
    /// Every mode by the name under which it is asked for.
    const NAMES: [(&str, Self); 6] = [
        ("good", Self::Good),
        ("outlier", Self::Outlier),
        ("stale", Self::Stale),
        ("error", Self::Failing),
        ("html", Self::Html),
        ("limited", Self::Limited),
    ];

    fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, mode)| *mode)
    }
}

struct Replayer {
    series: Series,
    started: SystemTime,
    modes: Mutex<BTreeMap<Venue, Mode>>,
}

/// Serves until Ctrl-C.
pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Error> {
    let failed = |source| Error::Listen { address: arguments.listen, source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Serve)?;
    runtime.block_on(async {
        let listener = TcpListener::bind(arguments.listen).await.map_err(failed)?;
        println!("venues at http://{}", listener.local_addr().map_err(failed)?);
        serve(listener, interrupted()).await
    })?;
    Ok(Outcome::Interrupted)
}

async fn interrupted() {
    while !interrupt::was_requested() {
        tokio::time::sleep(INTERRUPT_INTERVAL).await;
    }
}

/// Answers as the three venues until `stop` is ready.
pub(crate) async fn serve(
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let replayer =
        Replayer { series: Series::neo_usd()?, started: SystemTime::now(), modes: Mutex::default() };
    let router = Router::new()
        .route("/v2/ticker/{symbol}", get(bitfinex))
        .route("/api/v3/simple/price", get(coingecko))
        .route("/v1/tickers/{id}", get(coinpaprika))
        .route("/control/{venue}/{mode}", post(control))
        .with_state(Arc::new(replayer));
    axum::serve(listener, router).with_graceful_shutdown(stop).await.map_err(Error::Serve)
}

async fn bitfinex(State(replayer): State<Arc<Replayer>>, Path(symbol): Path<String>) -> Response {
    replayer.answer(Venue::Bitfinex, |quote, _| {
        if symbol != "tNEOUSD" {
            return (StatusCode::INTERNAL_SERVER_ERROR, "[\"error\",10020,\"symbol: invalid\"]".to_owned());
        }
        let [bid, ask, last] = [quote.bid_e8, quote.ask_e8, quote.last_e8].map(decimal);
        let body = format!("[{bid},1204.5,{ask},987.25,-0.0121,-0.0047,{last},15342.55901,2.6113,2.4987]");
        (StatusCode::OK, body)
    })
}

async fn coingecko(
    State(replayer): State<Arc<Replayer>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    replayer.answer(Venue::Coingecko, |quote, time| {
        let asked = |name, value| query.get(name).is_some_and(|found| found == value);
        if !asked("ids", "neo") || !asked("vs_currencies", "usd") {
            return (StatusCode::OK, "{}".to_owned());
        }
        let (price, seconds) = (decimal(quote.last_e8), unix_ms(time) / 1_000);
        (StatusCode::OK, format!("{{\"neo\":{{\"usd\":{price},\"last_updated_at\":{seconds}}}}}"))
    })
}

async fn coinpaprika(State(replayer): State<Arc<Replayer>>, Path(id): Path<String>) -> Response {
    replayer.answer(Venue::Coinpaprika, |quote, time| {
        if id != "neo-neo" {
            return (StatusCode::NOT_FOUND, "{\"error\":\"id not found\"}".to_owned());
        }
        let price = decimal(quote.last_e8);
        let seconds = i64::try_from(unix_ms(time) / 1_000).unwrap_or_default();
        let last_updated = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        let body = format!(
            "{{\"id\":\"neo-neo\",\"name\":\"NEO\",\"symbol\":\"NEO\",\"rank\":104,\
             \"total_supply\":100000000,\
             \"max_supply\":100000000,\"beta_value\":1.13,\"first_data_at\":\"2016-09-09T00:00:00Z\",\
             \"last_updated\":\"{last_updated}\",\"quotes\":{{\"USD\":{{\"price\":{price},\
             \"volume_24h\":9911234.55,\"percent_change_15m\":-0.05,\"ath_price\":196.85}}}}}}"
        );
        (StatusCode::OK, body)
    })
}

async fn control(
    State(replayer): State<Arc<Replayer>>,
    Path((venue, mode)): Path<(String, String)>,
) -> Response {
    let (Some(venue), Some(mode)) = (Venue::parse(&venue), Mode::parse(&mode)) else {
        let modes = Mode::NAMES.map(|(name, _)| name).join(", ");
        let help = format!("expected /control/<bitfinex | coingecko | coinpaprika>/<{modes}>\n");
        return (StatusCode::NOT_FOUND, help).into_response();
    };
    replayer.modes.lock().unwrap_or_else(PoisonError::into_inner).insert(venue, mode);
    StatusCode::NO_CONTENT.into_response()
}

impl Replayer {
    /// The venue's answer in its present mode; `body` gives it for a quote and the time that it tells.
    fn answer(&self, venue: Venue, body: impl Fn(Quote, SystemTime) -> (StatusCode, String)) -> Response {
        let now = SystemTime::now();
        let elapsed = now.duration_since(self.started).unwrap_or_default();
        let step = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX) / STEP_MS;
        let quote = self.series.quote(venue, step);
        let mode = self.modes.lock().unwrap_or_else(PoisonError::into_inner).get(&venue).copied();
        let (status, text) = match mode.unwrap_or_default() {
            Mode::Good => body(quote, now),
            Mode::Outlier => body(quote.as_outlier(), now),
            Mode::Stale => return json(body(quote, now - STALE_AGE), now - STALE_AGE),
            Mode::Failing => (StatusCode::INTERNAL_SERVER_ERROR, "{\"error\":\"internal\"}".to_owned()),
            Mode::Html => return html(),
            Mode::Limited => return limited(),
        };
        json((status, text), now)
    }
}

/// JSON with the `Date` of its making, as a cache in front of a venue would pass it on.
fn json((status, text): (StatusCode, String), made: SystemTime) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(date) = httpdate::fmt_http_date(made).parse() {
        headers.insert(header::DATE, date);
    }
    (status, headers, text).into_response()
}

/// A firewall's page, with status 200.
fn html() -> Response {
    let page = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>";
    ([(header::CONTENT_TYPE, "text/html")], page).into_response()
}

fn limited() -> Response {
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "2")], "{\"error\":\"rate limited\"}")
        .into_response()
}

fn unix_ms(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
