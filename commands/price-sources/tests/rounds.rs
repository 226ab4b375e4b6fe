//! The whole service against a real NATS server, three venues played over HTTP and the command side played on
//! the bus.
//!
//! `NSL_TEST_NATS_URL` names a server with JetStream; without it the test says that it is skipped.

#![allow(clippy::unwrap_used, reason = "helpers of a test stop it by panicking")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions, Message, ServerAddr, Subscriber};
use axum::Router;
use axum::routing::get;
use futures::StreamExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nsl_schemas::command::Command;
use nsl_schemas::command::price_feed::PriceFeedCommand;
use nsl_schemas::envelope::{HEADER_COMMAND_ID, HEADER_ISSUER};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::number::PriceE8;
use nsl_schemas::query::{ById, Price, Reply};
use nsl_schemas::result::{Answer, CommandResult};
use nsl_schemas::subject::{self, CommandSubject};
use nsl_schemas::token::{Pair, Tenant};
use nsl_schemas::{canonical, streams};
use tokio::net::TcpListener;
use tokio::process::Child;
use uuid::Uuid;

const SEED: [u8; 32] = [9; 32];
/// Nothing here takes longer than seconds; a wait beyond this is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

/// Three venues that quote 2.55, 2.56 and 2.57 USD; gives their base URL.
async fn venues() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let coingecko =
        || async { format!("{{\"neo\":{{\"usd\":2.56,\"last_updated_at\":{}}}}}", now_ms() / 1_000) };
    let coinpaprika = || async {
        let (seconds, ms) = (i64::try_from(now_ms() / 1_000).unwrap(), now_ms() % 1_000);
        let time = jiff::Timestamp::from_second(seconds).unwrap().to_string();
        let time = time.replace('Z', &format!(".{ms:03}Z"));
        format!(
            "{{\"id\":\"neo-neo\",\"last_updated\":\"{time}\",\"quotes\":{{\"USD\":{{\"price\":2.57}}}}}}"
        )
    };
    let router = Router::new()
        .route("/v2/ticker/tNEOUSD", get(|| async { "[2.54,1,2.56,1,0,0,2.55,1,2.6,2.5]" }))
        .route("/api/v3/simple/price", get(coingecko))
        .route("/v1/tickers/neo-neo", get(coinpaprika));
    tokio::spawn(axum::serve(listener, router).into_future());
    base_url
}

/// The server's address, and the credentials that its URL may hold, in the places where a service takes them.
fn bus_section(nats: &ServerAddr) -> String {
    let address = format!("bus.url = \"nats://{}:{}\"", nats.host(), nats.port());
    match (nats.username(), nats.password()) {
        (Some(user), Some(password)) => {
            format!("{address}\nbus.user = {user:?}\nbus.password = {password:?}")
        }
        _ => address,
    }
}

fn start_service(folder: &Path, nats: &ServerAddr, venues_url: &str, pair: &Pair) -> Child {
    let seed_file = folder.join("issuer.seed").display().to_string();
    std::fs::write(&seed_file, SigningKey::seed_text(&SEED).as_str()).unwrap();
    std::fs::set_permissions(&seed_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let venues = [("bitfinex", "tNEOUSD"), ("coingecko", "neo"), ("coinpaprika", "neo-neo")];
    let venues = venues.map(|(venue, symbol)| {
        format!(
            "[venues.{venue}]\nbase_url = {venues_url:?}\ninterval_ms = 50\nrate_period_ms = 1\n\
             symbols = {{ {pair} = \"{symbol}\" }}\n"
        )
    });
    let config = format!(
        "telemetry.admin_address = \"127.0.0.1:0\"\nissuer.seed_file = {seed_file:?}\n{}\n\
         [feeds.NEO-USD]\nenabled = false\n\
         [feeds.{pair}]\nenabled = true\nround_interval_ms = 1\nround_deviation_bps = 50\n\
         [feeds.{pair}.rules]\nsources_min = 3\nage_max_ms = 60000\ndeviation_floor_bps = 100\n\
         price_min_e8 = \"1\"\nprice_max_e8 = \"1000000000000\"\n{}",
        bus_section(nats),
        venues.concat()
    );
    let config_file = folder.join("service.toml");
    std::fs::write(&config_file, config).unwrap();
    tokio::process::Command::new(env!("CARGO_BIN_EXE_nsl-price-sources"))
        .arg("--config")
        .arg(config_file)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The command side of one feed, played by hand.
struct CommandSide {
    nats: Client,
    commands: Subscriber,
    questions: Subscriber,
}

impl CommandSide {
    async fn start(url: &ServerAddr, pair: &Pair) -> Self {
        let options = match (url.username(), url.password()) {
            (Some(user), Some(password)) => {
                ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned())
            }
            _ => ConnectOptions::new(),
        };
        let nats = options.connect(url.clone()).await.unwrap();
        let config = stream::Config {
            name: streams::COMMANDS.to_owned(),
            subjects: vec![streams::COMMANDS_SUBJECT.to_owned()],
            storage: stream::StorageType::Memory,
            ..stream::Config::default()
        };
        jetstream::new(nats.clone()).get_or_create_stream(config).await.unwrap();
        let commands = nats.subscribe(format!("nsl.v1.cmd.system.price-feed.{pair}.*")).await.unwrap();
        let questions = nats.subscribe(subject::query(&Tenant::system(), "price")).await.unwrap();
        subscribed(&nats).await;
        Self { nats, commands, questions }
    }

    async fn next(subscriber: &mut Subscriber) -> Message {
        tokio::time::timeout(PATIENCE, subscriber.next()).await.unwrap().unwrap()
    }

    /// Answers the next question about `pair`; gives the position that it asked for.
    async fn answer_question(&mut self, pair: &Pair, reply: &Reply<Price>) -> Option<u64> {
        loop {
            let message = Self::next(&mut self.questions).await;
            let question: ById = canonical::from_slice(&message.payload).unwrap();
            if question.id == pair.as_str() {
                let payload = canonical::to_string(reply);
                self.nats.publish(message.reply.unwrap(), payload.into()).await.unwrap();
                return question.at_position;
            }
        }
    }

    /// Answers the next command with `answer` and gives it.
    async fn answer_command(&mut self, position: u64, answer: Answer) -> PriceFeedCommand {
        let message = Self::next(&mut self.commands).await;
        let headers = message.headers.as_ref().unwrap();
        let issuer = headers.get(HEADER_ISSUER).unwrap().as_str();
        assert_eq!(issuer, SigningKey::from_seed(&SEED).public().to_string());
        let command_id: Uuid = headers.get(HEADER_COMMAND_ID).unwrap().as_str().parse().unwrap();
        let subject = CommandSubject::parse(&message.subject).unwrap();
        let result = CommandResult { command_id, first_position: position, event_count: 1, answer };
        let payload = canonical::to_string(&result);
        self.nats.publish(subject::result(&subject.tenant, command_id), payload.into()).await.unwrap();
        match Command::parse(&subject, &message.payload).unwrap() {
            Command::PriceFeed(command) => *command,
            other => unreachable!("{other:?}"),
        }
    }
}

fn rejected(code: &str) -> Answer {
    Answer::Rejected { code: code.to_owned(), message: "as told by the test".to_owned() }
}

fn price(pair: &Pair, round: u64) -> Reply<Price> {
    Reply::Ok(Price {
        pair: pair.clone(),
        round,
        price_e8: PriceE8(256_000_000),
        confidence_e8: PriceE8(1),
        as_of_ms: 1,
        age_max_ms: 60_000,
        sources: Vec::new(),
        position: 42,
    })
}

#[tokio::test]
async fn venues_become_rounds_through_every_answer_of_the_command_side() {
    let Ok(nats_url) = std::env::var("NSL_TEST_NATS_URL") else {
        eprintln!("SKIPPED: NSL_TEST_NATS_URL names no NATS server");
        return;
    };
    let nats: ServerAddr = nats_url.parse().unwrap();
    let pair = Pair::parse(&format!("T{}-USD", Uuid::now_v7().simple())).unwrap();
    let mut command_side = CommandSide::start(&nats, &pair).await;
    let folder = tempfile::tempdir().unwrap();
    let mut service = start_service(folder.path(), &nats, &venues().await, &pair);

    let nothing = Reply::Error { code: "not_found".to_owned(), message: String::new() };
    assert_eq!(command_side.answer_question(&pair, &nothing).await, None);
    let first = command_side.answer_command(41, rejected("feed_unknown")).await;
    assert!(matches!(first, PriceFeedCommand::RecordRound(round) if round.round == 1));

    let register = command_side.answer_command(42, Answer::Accepted { version: 1 }).await;
    assert!(matches!(register, PriceFeedCommand::Register(register) if register.rules.sources_min == 3));

    let again = command_side.answer_command(43, rejected("round_out_of_order")).await;
    assert!(matches!(again, PriceFeedCommand::RecordRound(round) if round.round == 1));
    assert_eq!(command_side.answer_question(&pair, &price(&pair, 5)).await, Some(43));

    let PriceFeedCommand::RecordRound(round) =
        command_side.answer_command(44, Answer::Accepted { version: 2 }).await
    else {
        unreachable!("a registered feed is not registered again")
    };
    assert_eq!(round.round, 6);
    let prices: Vec<_> = round.observations.iter().map(|o| (o.venue.as_str(), o.price_e8.0)).collect();
    assert_eq!(prices, [("bitfinex", 255_000_000), ("coingecko", 256_000_000), ("coinpaprika", 257_000_000)]);
    let newest_ms = round.observations.iter().map(|observation| observation.observed_at_ms).max();
    assert_eq!(Some(round.as_of_ms), newest_ms);

    let PriceFeedCommand::RecordRound(next) =
        command_side.answer_command(45, Answer::Accepted { version: 3 }).await
    else {
        unreachable!("a registered feed is not registered again")
    };
    assert_eq!(next.round, 7);
    assert!(next.as_of_ms > round.as_of_ms);

    kill(Pid::from_raw(i32::try_from(service.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
    // A proposal that is under way is still awaited, so it is still answered.
    let status = loop {
        tokio::select! {
            status = service.wait() => break status.unwrap(),
            _ = command_side.answer_command(46, Answer::Accepted { version: 4 }) => {}
        }
    };
    assert!(status.success(), "{status}");
}

/// Waits until the server knows every subscription that `client` made so far: `flush` only sends them.
async fn subscribed(client: &async_nats::Client) {
    let inbox = client.new_inbox();
    let mut own = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "".into()).await.unwrap();
    own.next().await.unwrap();
}
