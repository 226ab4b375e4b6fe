//! `nsl-projections rebuild`: the rebuild as an operator sees it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks on stdout and stderr")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use nsl_config::ConfigArgs;
use nsl_event_store::{ConnectError, EventReader};
use nsl_telemetry::service::{EXIT_FAILED, EXIT_USAGE};
use serde::Serialize;

use super::{Comparison, Rebuild};
use crate::builds::State;
use crate::config::{Config, DEFAULTS};
use crate::database::{self, Database};
use crate::fault::described;
use crate::read_model::{self, Definition};

/// Exit code of a comparison that found differences.
pub const EXIT_DIFFERENT: u8 = 3;
/// Sessions on the log: one reads ahead for each read model, one asks for the head.
const LOG_CONNECTIONS: u32 = 8;
/// How often `--json` says how far a build is.
const JSON_INTERVAL: Duration = Duration::from_secs(1);

/// Build read models anew from the whole log, beside the live ones, and switch to them
#[derive(Debug, Clone, clap::Args)]
pub struct RebuildArgs {
    /// Which read model
    #[arg(value_enum, default_value_t = Selection::All)]
    pub name: Selection,
    /// Compare with the live rows instead of replacing them; exits with 3 if they differ
    #[arg(long)]
    pub verify: bool,
    /// Begin from the first event, also where a build that was interrupted could go on
    #[arg(long, conflicts_with = "verify")]
    pub fresh: bool,
    /// One JSON object a line: progress every second, then what became of it
    #[arg(long)]
    pub json: bool,
    /// As for the service
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Which read models.
#[derive(Debug, Clone, Copy)]
pub enum Selection {
    /// Every one.
    All,
    /// One.
    One(&'static Definition),
}

impl ValueEnum for Selection {
    fn value_variants<'a>() -> &'a [Self] {
        const VARIANTS: [Selection; 5] = [
            Selection::All,
            Selection::One(read_model::ALL[0]),
            Selection::One(read_model::ALL[1]),
            Selection::One(read_model::ALL[2]),
            Selection::One(read_model::ALL[3]),
        ];
        &VARIANTS
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(match self {
            Self::All => clap::builder::PossibleValue::new("all").help("Every read model"),
            Self::One(definition) => clap::builder::PossibleValue::new(definition.name),
        })
    }
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The log cannot be used.
    #[error("event log cannot be used")]
    Log(#[from] ConnectError),
    /// The database of the read models cannot be used.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// A read model cannot be rebuilt.
    #[error(transparent)]
    Rebuild(#[from] super::Error),
    /// A rebuild panicked.
    #[error("rebuild panicked")]
    Panicked(#[from] tokio::task::JoinError),
}

/// What is said about one read model.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
enum Report {
    Building {
        projection: &'static str,
        version: u32,
        position: u64,
        head: u64,
        positions_per_second: u64,
        seconds_left: Option<u64>,
    },
    Equal {
        projection: &'static str,
        #[serde(flatten)]
        comparison: Comparison,
    },
    Different {
        projection: &'static str,
        #[serde(flatten)]
        comparison: Comparison,
    },
    Replaced {
        projection: &'static str,
        version: u32,
        position: u64,
        seconds: f64,
    },
}

/// Runs the command and gives its exit code.
pub async fn run(args: &RebuildArgs) -> ExitCode {
    let config = match nsl_config::load::<Config>(DEFAULTS, &args.config, std::env::vars_os()) {
        Ok(loaded) if args.config.print_config => {
            print!("{}", loaded.print());
            return ExitCode::SUCCESS;
        }
        Ok(loaded) => loaded.config,
        Err(error) => {
            eprintln!("nsl-projections: {}", described(&error));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match rebuild(args, &config).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_DIFFERENT),
        Err(error) => {
            eprintln!("nsl-projections: {}", described(&error));
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// Rebuilds what was selected, all at once; false if a comparison found a difference. A failing one stops no other.
async fn rebuild(args: &RebuildArgs, config: &Config) -> Result<bool, Error> {
    let models = match args.name {
        Selection::All => read_model::ALL.to_vec(),
        Selection::One(model) => vec![model],
    };
    let log = EventReader::connect(config.log.url.expose(), LOG_CONNECTIONS).await?;
    let database = Database::new(&config.read.url)?;
    database.prepare().await?;
    let bars = MultiProgress::new();
    let rebuilding: Vec<_> = models
        .into_iter()
        .map(|model| {
            let shown = Shown::new(model, args.json, &bars);
            tokio::spawn(one(log.clone(), database.clone(), model, args.clone(), shown))
        })
        .collect();
    let (mut equal, mut failure) = (true, None);
    for rebuilt in rebuilding {
        match rebuilt.await? {
            Ok(report) => {
                equal &= !matches!(report, Report::Different { .. });
                if args.json { print_json(&report) } else { show(&report) }
            }
            Err(error) if failure.is_none() => failure = Some(error),
            Err(error) => eprintln!("nsl-projections: {}", described(&error)),
        }
    }
    failure.map_or(Ok(equal), Err)
}

async fn one(
    log: EventReader,
    database: Database,
    model: &'static Definition,
    args: RebuildArgs,
    mut shown: Shown,
) -> Result<Report, Error> {
    let projection = model.name;
    let state = if args.verify { State::Checking } else { State::Building };
    let mut rebuild = Rebuild::begin(log, &database, model, state).await?;
    if args.fresh {
        rebuild.afresh().await?;
    }
    let begun = Instant::now();
    let mut told = |position, head| shown.told(position, head);
    if !args.verify {
        let position = rebuild.serve(&mut told).await?;
        let seconds = begun.elapsed().as_secs_f64();
        return Ok(Report::Replaced { projection, version: model.version, position, seconds });
    }
    let comparison = rebuild.check(&mut told).await?;
    Ok(if comparison.differing == 0 {
        Report::Equal { projection, comparison }
    } else {
        Report::Different { projection, comparison }
    })
}

/// Shows how far a build is.
struct Shown {
    model: &'static Definition,
    /// Drawn on stderr, and only where that is a terminal.
    bar: ProgressBar,
    json: bool,
    begun: Option<(Instant, u64)>,
    said: Option<Instant>,
}

impl Shown {
    fn new(model: &'static Definition, json: bool, bars: &MultiProgress) -> Self {
        let bar = if json { ProgressBar::hidden() } else { bars.add(ProgressBar::new(0)) };
        let template = "{msg:16} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { model, bar: bar.with_message(model.name), json, begun: None, said: None }
    }

    fn told(&mut self, position: u64, head: u64) {
        self.bar.set_length(head);
        self.bar.set_position(position);
        let (begun, first) = *self.begun.get_or_insert((Instant::now(), position));
        if !self.json || self.said.is_some_and(|said| said.elapsed() < JSON_INTERVAL) {
            return;
        }
        self.said = Some(Instant::now());
        let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let positions_per_second = (position - first).saturating_mul(1000) / elapsed_ms;
        print_json(&Report::Building {
            projection: self.model.name,
            version: self.model.version,
            position,
            head,
            positions_per_second,
            seconds_left: head.saturating_sub(position).checked_div(positions_per_second),
        });
    }
}

fn print_json(report: &Report) {
    println!("{}", serde_json::to_string(report).expect("a report has string keys"));
}

fn show(report: &Report) {
    match report {
        Report::Building { .. } => {}
        Report::Equal { projection, comparison: Comparison { rows, position, .. } } => {
            println!("{projection}: {rows} rows equal at position {position}");
        }
        Report::Different { projection, comparison } => {
            let Comparison { rows, differing, position, differences } = comparison;
            println!("{projection}: {differing} of {rows} rows differ at position {position}");
            for difference in differences {
                println!("  {} {}", difference.table, difference.key);
                for (side, row) in [("live   ", &difference.live), ("rebuilt", &difference.rebuilt)] {
                    println!("    {side} {}", row.as_ref().map_or("(no row)", |row| row.get()));
                }
            }
        }
        Report::Replaced { projection, version, position, seconds } => {
            println!(
                "{projection}: version {version} rebuilt to position {position} in {seconds:.1} s and put in place"
            );
        }
    }
}
