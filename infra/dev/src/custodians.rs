//! The custodians of a local site that seals by a quorum: three key files, of which any two bring the sealing key back.
//! Here one process holds all of them; elsewhere each is a person's.

use std::time::{Duration, Instant};

use nsl_client::{Client, ConnectError, Options, SendError, custodian, operators, prepared};
use nsl_local_services::{NatsEndpoint, SiteDirectory};
use nsl_schemas::authority::{GenesisManifest, SealingProvider};
use nsl_schemas::bytes::HpkeKey;
use nsl_schemas::command::sealing::RecordKey;
use nsl_schemas::sealing::{Custodian, SealingOrder, SealingRecord};
use nsl_schemas::subject::{self, CommandSubject};
use nsl_schemas::token::Tenant;

use crate::ceremony;
use crate::keys;

/// The custodians; the file of each is `keys/NAME.key`.
const NAMES: [&str; 3] = ["custodian-1", "custodian-2", "custodian-3"];
/// How many of them bring the key back.
const THRESHOLD: u8 = 2;
/// Where the log's sealing keys are recorded.
const RECORD_SUBJECT: &str = "nsl.v1.cmd.system.sealing.root.record-key";
/// For the host and a worker to answer after their start.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two questions whether they do.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Keys(#[from] keys::Error),
    #[error(transparent)]
    Ceremony(#[from] Box<ceremony::Error>),
    #[error("cannot connect to the bus")]
    Connect(#[from] ConnectError),
    #[error("sealing key")]
    Custodian(#[from] custodian::Error),
    #[error("operators")]
    Operators(#[from] operators::Error),
    #[error("subject of the record")]
    Subject(#[from] subject::Error),
    #[error("record of the sealing key cannot be made")]
    Prepare(#[from] prepared::Error),
    #[error("sealing key cannot be recorded")]
    Send(#[from] SendError),
    #[error("no worker came up to be given its sealing key")]
    NoWorker,
}

/// Gives the site's first worker its sealing key, founded at the first start, as soon as the host can reach it. A site
/// with another provider needs nothing.
pub(crate) async fn provision(directory: SiteDirectory, nats: NatsEndpoint) -> Result<(), Error> {
    let manifest = ceremony::manifest(&directory).map_err(Box::new)?;
    if manifest.sealing_provider != SealingProvider::CustodianQuorum {
        return Ok(());
    }
    let options = Options::new(nats.server(), Tenant::system())
        .issued_by(keys::obtain(&directory, ceremony::OPERATOR)?)
        .authenticated_as(ceremony::credentials(&nats, ceremony::OPERATOR));
    let client = Client::connect(options).await?;
    let worker = first_worker(&client).await?;
    let record = match records(&client).await?.pop() {
        Some(record) => record,
        None => found(&client, &directory, &manifest).await?,
    };
    for name in NAMES.into_iter().take(usize::from(THRESHOLD)) {
        let key = keys::obtain_custodian(&directory, name)?;
        client.provision(&manifest, Some(worker.clone()), &record, &key).await?;
    }
    Ok(())
}

async fn first_worker(client: &Client) -> Result<String, Error> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let workers = client.sealing_workers().await.unwrap_or_default();
        if let Some(first) = workers.into_iter().next() {
            return Ok(first.worker);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Error::NoWorker)
}

/// The log's sealing keys, as soon as the read side tells them.
async fn records(client: &Client) -> Result<Vec<SealingRecord>, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match client.sealing_records().await {
            Ok(records) => return Ok(records),
            Err(error) if Instant::now() >= deadline => return Err(error.into()),
            Err(_not_yet) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn found(
    client: &Client,
    directory: &SiteDirectory,
    manifest: &GenesisManifest,
) -> Result<SealingRecord, Error> {
    let mut custodians = Vec::new();
    for name in NAMES {
        let key = HpkeKey(keys::obtain_custodian(directory, name)?.public());
        custodians.push(Custodian { key, name: name.to_owned() });
    }
    let operators = client.operators(manifest).await?;
    let order = SealingOrder {
        custodians,
        epoch: 1,
        genesis_sha256: manifest.sha256(),
        issued_at_ms: prepared::unix_now_ms(),
        quorum_epoch: operators.epoch(),
        threshold: THRESHOLD,
    };
    let order = custodian::order(&operators, order, &[&keys::obtain(directory, keys::QUORUM)?])?;
    let record = client.found_sealing_key(manifest, None, order).await?;
    let subject = CommandSubject::parse(RECORD_SUBJECT)?;
    let command = client.prepare(&subject, &RecordKey { record: record.clone() })?;
    client.send(&command).await?;
    Ok(record)
}
