//! `cargo dev demo`: one story on real parts, each step with its real outcome; the first that fails ends it.

pub(crate) mod fund;
mod funding;
mod story;

use std::path::PathBuf;

use nsl_client::{Client, Credentials, Options};
use nsl_neo_rpc::Client as Node;
use nsl_schemas::authority::GenesisManifest;
use nsl_schemas::token::Tenant;

use crate::ceremony::{self, DEMO_TENANT};
use crate::keys;
use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::report::Report;
use crate::runner_record::{Line, RunnerRecord, State};
use crate::{supervisor, up};

/// How long the node may take to answer.
const NODE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// What the story plays on.
pub(crate) struct Stage {
    /// The developer's connection.
    pub(crate) client: Client,
    /// The chain, asked directly: what it says is the proof.
    pub(crate) node: Node,
    /// What the client trusts.
    pub(crate) genesis: GenesisManifest,
    /// Who owns the wallet.
    pub(crate) developer: nsl_schemas::nkey::SigningKey,
    /// `nsl-projections` and its configuration, for the rebuild.
    pub(crate) projections: (PathBuf, PathBuf),
}

/// Plays on the running site, or on one that is started for it and stopped after it.
pub(crate) fn run(layout: &Layout) -> anyhow::Result<Outcome> {
    let running = RunnerRecord::read_alive(&layout.runner_record())?;
    if let Some(RunnerRecord { state: State::Ready { lines }, .. }) = running {
        return play(layout, &lines);
    }
    let scope = up::Scope { parts_only: false, custodians: false };
    supervisor::run_for(layout, &scope, |lines| play(layout, lines))
}

fn play(layout: &Layout, lines: &[Line]) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async { story::tell(&stage(layout, lines).await?).await })
}

/// The part of the story in which a worker makes a key and signs, on the site of `layout`.
pub(crate) fn sign_in(layout: &Layout, lines: &[Line], report: &mut Report) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async { story::sign(&stage(layout, lines).await?, report).await.map(drop) })
}

async fn stage(layout: &Layout, lines: &[Line]) -> anyhow::Result<Stage> {
    let find = |label: &str| {
        let line = lines.iter().find(|line| line.label == label);
        line.map(|line| line.value.clone())
            .ok_or_else(|| anyhow::anyhow!("the site does not say where {label} is"))
    };
    let site = layout.site();
    let developer = || keys::obtain(&site, keys::DEVELOPER);
    let nats = find("nats")?;
    let (credentials, server) =
        split_url(&nats).ok_or_else(|| anyhow::anyhow!("the bus has no client user"))?;
    let options = Options::new(server, Tenant::parse(DEMO_TENANT)?)
        .issued_by(developer()?)
        .authenticated_as(credentials);
    let projections = layout.binary("nsl-projections");
    Ok(Stage {
        client: Client::connect(options).await?,
        node: Node::new(&find("neo rpc")?, NODE_TIMEOUT)?,
        genesis: ceremony::manifest(&site)?,
        developer: developer()?,
        projections: (projections, site.configuration("projections.toml")),
    })
}

/// `nats://user:password@host:port` in its parts: the client takes no credentials in a URL.
fn split_url(url: &str) -> Option<(Credentials, String)> {
    let (user_info, server) = url.strip_prefix("nats://")?.split_once('@')?;
    let (user, password) = user_info.split_once(':')?;
    Some((Credentials { user: user.to_owned(), password: password.to_owned() }, format!("nats://{server}")))
}
