//! Options of every list.

use clap::Args;
use nsl_schemas::query::{PageRequest, ROWS_MAX};

/// Which rows.
#[derive(Debug, Args)]
pub(crate) struct PageOptions {
    /// How many rows, at most 100.
    #[arg(long, value_name = "ROWS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(ROWS_MAX)))]
    limit: u32,
    /// Where to go on, as the page before said.
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
}

impl From<PageOptions> for PageRequest {
    fn from(options: PageOptions) -> Self {
        let PageOptions { limit, after } = options;
        Self { limit, after }
    }
}
