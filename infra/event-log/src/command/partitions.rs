//! `nsl-event-log partitions`.

use std::process::ExitCode;

use super::{Database, Error, report};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    database: Database,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let mut partitions = arguments.database.partitions().await?;
    for partition in partitions.list().await? {
        report(arguments.json, &partition, || {
            let last = partition.end_position - 1;
            let state = format!("{:?}", partition.state).to_lowercase();
            let file = partition.archive_file.as_deref().unwrap_or_default();
            format!("{:>12} {last:>12}  {state:<9} {file}", partition.first_position)
        })?;
    }
    partitions.close().await;
    Ok(ExitCode::SUCCESS)
}
