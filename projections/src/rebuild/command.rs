//! `nsl-projections rebuild`: the rebuild as an operator sees it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks on stdout and stderr")]

use std::process::ExitCode;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use nsl_config::ConfigArgs;
use nsl_telemetry::service::{EXIT_FAILED, EXIT_USAGE};
use serde::Serialize;

use super::{Comparison, Error, Rebuild};
use crate::config::{Config, DEFAULTS};
use crate::database::Database;
use crate::progress::described;
use crate::read_model::ReadModel;

/// Exit code of a comparison that found differences.
pub const EXIT_DIFFERENT: u8 = 3;

/// Build read models anew from the whole log
#[derive(Debug, Clone, clap::Args)]
pub struct RebuildArgs {
    /// Which read model
    #[arg(value_enum, default_value_t = Selection::All)]
    pub name: Selection,
    /// Compare with the live rows instead of replacing them; exits with 3 if they differ
    #[arg(long)]
    pub verify: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// As for the service
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Which read models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Every one.
    All,
    /// One.
    One(ReadModel),
}

impl ValueEnum for Selection {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::All,
            Self::One(ReadModel::Wallets),
            Self::One(ReadModel::SigningRequests),
            Self::One(ReadModel::Transactions),
            Self::One(ReadModel::Prices),
        ]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        match self {
            Self::All => Some(clap::builder::PossibleValue::new("all").help("Every read model")),
            Self::One(model) => model.to_possible_value(),
        }
    }
}

/// What became of one read model.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
enum Report {
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
        position: u64,
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

/// Rebuilds what was selected; false if a comparison found a difference.
async fn rebuild(args: &RebuildArgs, config: &Config) -> Result<bool, Error> {
    let models = match args.name {
        Selection::All => ReadModel::ALL.to_vec(),
        Selection::One(model) => vec![model],
    };
    let rebuild = Rebuild::begin(config.log.url.expose(), Database::new(&config.read.url)?).await?;
    let compared = each(&rebuild, &models, args).await;
    // Also after a failure: nothing of a rebuild stays behind.
    rebuild.end().await?;
    compared
}

async fn each(rebuild: &Rebuild, models: &[ReadModel], args: &RebuildArgs) -> Result<bool, Error> {
    let mut equal = true;
    for model in models {
        let report = one(rebuild, *model, args.verify).await?;
        equal &= !matches!(report, Report::Different { .. });
        if args.json {
            println!("{}", serde_json::to_string(&report).expect("a report has string keys"));
        } else {
            show(&report);
        }
    }
    Ok(equal)
}

async fn one(rebuild: &Rebuild, model: ReadModel, verify: bool) -> Result<Report, Error> {
    let projection = model.name();
    // Drawn on stderr, and only where that is a terminal.
    let bar = ProgressBar::new(0).with_message(projection);
    if let Ok(style) = ProgressStyle::with_template("{msg:16} {wide_bar} {human_pos}/{human_len} {eta}") {
        bar.set_style(style);
    }
    let mut told = |position, head| {
        bar.set_length(head);
        bar.set_position(position);
    };
    rebuild.build(model, &mut told).await?;
    bar.finish_and_clear();
    if !verify {
        return Ok(Report::Replaced { projection, position: rebuild.replace(model).await? });
    }
    let comparison = rebuild.compare(model).await?;
    Ok(if comparison.differing == 0 {
        Report::Equal { projection, comparison }
    } else {
        Report::Different { projection, comparison }
    })
}

fn show(report: &Report) {
    match report {
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
        Report::Replaced { projection, position } => {
            println!("{projection}: rebuilt to position {position} and put in place");
        }
    }
}
