//! `cargo dev tenant add`: a further tenant on the running site: its account on the bus, its root, its developer's grant,
//! its context. Every step finds what an interrupted run left.

use std::time::Duration;

use nsl_client::query::QueryError;
use nsl_client::{Client, ConnectError, Options};
use nsl_local_services::{NatsEndpoint, SiteDirectory, add_tenant};
use nsl_schemas::query::{Page, PageRequest, Wallet, name};
use nsl_schemas::token::{self, Tenant};

use crate::ceremony::{self, Files};
use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::runner_record::{RunnerRecord, State};
use crate::{contexts, keys};

/// The server connects a new account within milliseconds.
const ACCOUNT_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Add a tenant; one that is there already is only completed
    Add {
        /// 1 to 64 characters of A-Z a-z 0-9 _ -
        name: String,
    },
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Site(#[from] nsl_local_services::Error),
    #[error("cannot read whether the site runs")]
    Record(#[from] nsl_local_services::PrivateFileError),
    #[error(transparent)]
    Token(#[from] token::Error),
    #[error(transparent)]
    Ceremony(#[from] ceremony::Error),
    #[error(transparent)]
    Contexts(#[from] contexts::Error),
    #[error("cannot start the asynchronous runtime")]
    Runtime(#[source] std::io::Error),
    #[error("the bus does not let the new tenant in")]
    Account(#[from] ConnectError),
    #[error("nobody answers the new tenant's questions")]
    Unanswered(#[source] QueryError),
}

pub(crate) fn run(layout: &Layout, arguments: &Arguments) -> Result<Outcome, Error> {
    let Action::Add { name } = &arguments.action;
    let tenant = Tenant::parse(name)?;
    let running = RunnerRecord::read_alive(&layout.runner_record())?;
    let Some(RunnerRecord { state: State::Ready { .. }, .. }) = running else {
        eprintln!("error: nothing runs\nhint: cargo dev up");
        return Ok(Outcome::NotFound);
    };
    let site = layout.site();
    let Some(nats) = add_tenant(site.path(), tenant.as_str())? else {
        eprintln!("error: the site has no bus\nhint: cargo dev up");
        return Ok(Outcome::NotFound);
    };
    let runtime = tokio::runtime::Runtime::new().map_err(Error::Runtime)?;
    runtime.block_on(complete(&site, &nats, &tenant))?;
    let home = contexts::add(&site, &nats, &Files::of(&site), &tenant)?;
    let key = keys::seed_file(&site, &keys::developer_of(&tenant));
    println!("Tenant {tenant}: bus user {}, command key {}", NatsEndpoint::tenant_user(name), key.display());
    println!("Try:\n  XDG_CONFIG_HOME={} nsl --context {tenant} wallet list", home.display());
    Ok(Outcome::Done)
}

async fn complete(site: &SiteDirectory, nats: &NatsEndpoint, tenant: &Tenant) -> Result<(), Error> {
    await_account(nats, tenant).await?;
    Ok(ceremony::register_tenant(site, nats, tenant).await?)
}

/// Waits until the tenant is answered: the server connects its account to the service a little after it lets it in.
async fn await_account(nats: &NatsEndpoint, tenant: &Tenant) -> Result<(), Error> {
    let deadline = tokio::time::Instant::now() + ACCOUNT_TIMEOUT;
    let user = NatsEndpoint::tenant_user(tenant.as_str());
    let options = Options::new(nats.server(), tenant.clone());
    let client = Client::connect(options.authenticated_as(ceremony::credentials(nats, &user))).await?;
    loop {
        let question = PageRequest { limit: 1, after: None };
        match client.query::<_, Page<Wallet>>(tenant, name::WALLETS, &question).await {
            Err(QueryError::Unavailable { .. }) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            answer => return answer.map(drop).map_err(Error::Unanswered),
        }
    }
}
