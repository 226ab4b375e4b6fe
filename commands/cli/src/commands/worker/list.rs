//! `nsl worker list`

use clap::Args;
use nsl_schemas::query::{HostStatus, name};
use serde_json::json;

use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::Invocation;

/// List the workers of all hosts.
#[derive(Debug, Args)]
pub(crate) struct List {}

impl List {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let mut hosts: Vec<HostStatus> =
            session.client.query_all(session.tenant(), name::WORKERS, &json!({})).await?;
        hosts.sort_by(|one, other| one.host.cmp(&other.host));
        Ok(Outcome::WorkersListed { hosts })
    }
}
