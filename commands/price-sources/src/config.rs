//! The service's configuration and the checks that its types cannot make.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use nsl_bus::BusConfig;
use nsl_schemas::price::FeedRules;
use nsl_schemas::token::{Pair, Venue};
use nsl_telemetry::{ServiceConfig, TelemetryConfig};
use reqwest::Url;
use serde::Deserialize;

use crate::venue::{self, Adapter, QUOTE_CURRENCY};

/// The commented defaults.
pub const DEFAULTS: &str = include_str!("../default.toml");

/// Longest symbol: the longest coin id of an aggregator has about 60 characters.
const SYMBOL_BYTES_MAX: usize = 100;

/// Everything.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Logs and the admin server.
    pub telemetry: TelemetryConfig,
    /// The bus.
    pub bus: BusConfig,
    /// Who signs the round commands.
    pub issuer: IssuerConfig,
    /// Requests to venues.
    pub http: HttpConfig,
    /// By the venue's name.
    pub venues: BTreeMap<Venue, VenueConfig>,
    /// By pair.
    pub feeds: BTreeMap<Pair, FeedConfig>,
}

impl ServiceConfig for Config {
    fn telemetry(&self) -> &TelemetryConfig {
        &self.telemetry
    }
}

/// The `[issuer]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// A file with an `SU…` seed.
    pub seed_file: PathBuf,
}

/// The `[http]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// For the connection.
    pub connect_timeout_ms: NonZeroU64,
    /// For the whole request.
    pub request_timeout_ms: NonZeroU64,
}

/// One venue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VenueConfig {
    /// Whether it is asked.
    pub enabled: bool,
    /// Scheme, host and port.
    pub base_url: String,
    /// Between two requests for one pair.
    pub interval_ms: NonZeroU64,
    /// One request a period, on average over all pairs.
    pub rate_period_ms: NonZeroU64,
    /// Most requests at once.
    pub rate_burst: NonZeroU32,
    /// The venue's name of each pair.
    pub symbols: BTreeMap<Pair, String>,
}

/// One feed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedConfig {
    /// Whether its venues are asked and rounds are made.
    pub enabled: bool,
    /// A round at least this often.
    pub round_interval_ms: NonZeroU64,
    /// A round at once when the median moved this far.
    pub round_deviation_bps: NonZeroU32,
    /// What the feed is registered with.
    pub rules: FeedRules,
}

/// A configuration that contradicts itself or the build.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No adapter of this name.
    #[error("venues.{venue}: this build knows no such venue, only {known}")]
    UnknownVenue {
        /// As configured.
        venue: Venue,
        /// What there is.
        known: String,
    },
    /// A base URL over which anybody on the way could forge prices, or with parts that do not belong there.
    #[error(
        "venues.{venue}.base_url: expected https://host, or http:// on loopback, without user, path and query"
    )]
    BaseUrl {
        /// Whose.
        venue: Venue,
    },
    /// A symbol that is no part of a URL's path.
    #[error(
        "venues.{venue}.symbols.{pair}: expected 1 to {SYMBOL_BYTES_MAX} characters of A-Z a-z 0-9 : _ -"
    )]
    Symbol {
        /// Whose.
        venue: Venue,
        /// Which.
        pair: Pair,
    },
    /// A pair that the venues do not quote.
    #[error("venues.{venue}.symbols.{pair}: expected a pair <base>-{QUOTE_CURRENCY}, as the venue is asked")]
    QuoteCurrency {
        /// Whose.
        venue: Venue,
        /// Which.
        pair: Pair,
    },
    /// A feed that can never have a round.
    #[error(
        "feeds.{pair}: rules.sources_min is {sources_min}, but {venues} enabled venues have a symbol for it"
    )]
    TooFewVenues {
        /// Which.
        pair: Pair,
        /// What the rules ask for.
        sources_min: u8,
        /// What there is.
        venues: usize,
    },
}

/// One thing to ask again and again.
#[derive(Debug, Clone)]
pub struct Source {
    /// How to ask and to read.
    pub adapter: &'static Adapter,
    /// Whom.
    pub venue: Venue,
    /// For what.
    pub pair: Pair,
    /// In the venue's spelling.
    pub symbol: String,
    /// Where.
    pub url: Url,
}

impl Config {
    /// The feeds that are made.
    pub fn enabled_feeds(&self) -> impl Iterator<Item = (&Pair, &FeedConfig)> {
        self.feeds.iter().filter(|(_, feed)| feed.enabled)
    }

    /// Checks the whole and lists what is to be asked for enabled feeds, venue by venue.
    pub fn sources(&self) -> Result<Vec<(&VenueConfig, Vec<Source>)>, Error> {
        let enabled = self.venues.iter().filter(|(_, config)| config.enabled);
        let mut venues: Vec<_> = enabled
            .map(|(venue, config)| Ok((config, sources_of(venue, config)?)))
            .collect::<Result<_, Error>>()?;
        for (_, sources) in &mut venues {
            sources.retain(|source| self.feeds.get(&source.pair).is_some_and(|feed| feed.enabled));
        }
        for (pair, feed) in self.enabled_feeds() {
            let offering = venues.iter().filter(|(config, _)| config.symbols.contains_key(pair)).count();
            if offering < usize::from(feed.rules.sources_min) {
                let sources_min = feed.rules.sources_min;
                return Err(Error::TooFewVenues { pair: pair.clone(), sources_min, venues: offering });
            }
        }
        Ok(venues)
    }
}

fn sources_of(venue: &Venue, config: &VenueConfig) -> Result<Vec<Source>, Error> {
    let adapter = venue::find(venue).ok_or_else(|| Error::UnknownVenue {
        venue: venue.clone(),
        known: venue::ALL.iter().map(|adapter| adapter.name).collect::<Vec<_>>().join(", "),
    })?;
    let base_url = || Error::BaseUrl { venue: venue.clone() };
    let base: Url = config.base_url.parse().map_err(|_| base_url())?;
    if !is_trustworthy(&base) {
        return Err(base_url());
    }
    let source = |(pair, symbol): (&Pair, &String)| {
        check_symbol(venue, pair, symbol)?;
        let url = base.join(&(adapter.path)(symbol)).map_err(|_| base_url())?;
        Ok(Source { adapter, venue: venue.clone(), pair: pair.clone(), symbol: symbol.clone(), url })
    };
    config.symbols.iter().map(source).collect()
}

fn check_symbol(venue: &Venue, pair: &Pair, symbol: &str) -> Result<(), Error> {
    let (venue, named_pair) = (venue.clone(), pair.clone());
    let plain = symbol.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":_-".contains(&byte));
    if !plain || !(1..=SYMBOL_BYTES_MAX).contains(&symbol.len()) {
        return Err(Error::Symbol { venue, pair: named_pair });
    }
    match pair.as_str().rsplit_once('-') {
        Some((base, QUOTE_CURRENCY)) if !base.is_empty() => Ok(()),
        _ => Err(Error::QuoteCurrency { venue, pair: named_pair }),
    }
}

fn is_trustworthy(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    scheme && bare && url.username().is_empty() && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use nsl_config::ConfigArgs;

    use super::*;

    fn load(settings: &[&str]) -> Config {
        let mut set = vec!["issuer.seed_file=/etc/nsl/seed".to_owned()];
        set.extend(settings.iter().map(|setting| (*setting).to_owned()));
        let args = ConfigArgs { set, ..ConfigArgs::default() };
        nsl_config::load::<Config>(DEFAULTS, &args, []).unwrap().config
    }

    #[test]
    fn the_defaults_ask_three_venues_at_their_own_addresses() {
        let config = load(&[]);
        let sources = config.sources().unwrap();
        let urls: Vec<_> = sources.iter().flat_map(|(_, sources)| sources).map(|s| s.url.as_str()).collect();
        assert_eq!(
            urls,
            [
                "https://api-pub.bitfinex.com/v2/ticker/tNEOUSD",
                "https://api.coingecko.com/api/v3/simple/price?ids=neo&vs_currencies=usd\
                 &include_last_updated_at=true&precision=full",
                "https://api.coinpaprika.com/v1/tickers/neo-neo",
            ]
        );
    }

    #[test]
    fn every_contradiction_is_named() {
        let bitfinex = "venues.bitfinex";
        let unknown = "venues.mtgox={ enabled = true, base_url = \"https://a\", interval_ms = 1, \
                       rate_period_ms = 1, rate_burst = 1, symbols = {} }";
        for (settings, expected) in [
            (vec![unknown.to_owned()], "venues.mtgox: this build knows no such venue"),
            (vec![format!("{bitfinex}.base_url=http://api-pub.bitfinex.com")], "venues.bitfinex.base_url"),
            (vec![format!("{bitfinex}.base_url=https://user:word@host")], "venues.bitfinex.base_url"),
            (vec![format!("{bitfinex}.base_url=https://host/?key=word")], "venues.bitfinex.base_url"),
            (vec![format!("{bitfinex}.base_url=nothing")], "venues.bitfinex.base_url"),
            (vec![format!("{bitfinex}.base_url=ftp://host")], "venues.bitfinex.base_url"),
            (vec![format!("{bitfinex}.symbols.NEO-USD=../../x")], "symbols.NEO-USD: expected 1"),
            (vec![format!("{bitfinex}.symbols.NEO-USD=")], "symbols.NEO-USD: expected 1"),
            (vec![format!("{bitfinex}.symbols.NEO-USDT=tNEOUST")], "NEO-USDT: expected a pair <base>-USD"),
            (vec![format!("{bitfinex}.enabled=false")], "rules.sources_min is 3, but 2 enabled"),
        ] {
            let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
            let error = load(&settings).sources().unwrap_err().to_string();
            assert!(error.contains(expected), "{settings:?}: {error}");
        }
    }

    #[test]
    fn nothing_is_asked_for_a_feed_that_is_off() {
        let config = load(&["feeds.NEO-USD.enabled=false", "venues.bitfinex.enabled=false"]);
        assert!(config.sources().unwrap().iter().all(|(_, sources)| sources.is_empty()));
        assert_eq!(config.enabled_feeds().count(), 0);
    }

    #[test]
    fn plain_http_is_for_loopback() {
        for url in ["http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost:8080", "https://host"] {
            assert!(is_trustworthy(&url.parse().unwrap()), "{url}");
        }
    }
}
