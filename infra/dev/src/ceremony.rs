//! The genesis of a local site: keys, a development root of attestation, the manifest with the one build that may hold
//! keys; then, once commands are taken, the roots and grants. All of it happens once; a later start finds it done.

use std::path::{Path, PathBuf};
use std::process::Command;

use nsl_client::authority::{self, GrantTerms};
use nsl_client::{Client, ConnectError, Credentials, Options, SendError};
use nsl_local_services::{
    NatsEndpoint, PrivateFileError, Site, SiteDirectory, make_directory, read_bounded, write_private,
};
use nsl_schemas::authority::{Build, GenesisManifest, Operators, Quorum, SealingProvider, Signed};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::canonical;
use nsl_schemas::command::authority::AUTHORITY_ID;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{self, Tenant};
use serde::Serialize;
use uuid::Uuid;

use crate::keys;

/// The tenant of the first commands.
pub(crate) const DEMO_TENANT: &str = "demo";
/// Grants of a local site outlive any use of it: 2100-01-01.
const GRANTS_EXPIRE_AT_MS: u64 = 4_102_444_800_000;

/// The services and operators that issue commands, with what the system tenant lets them.
pub(crate) const SERVICE_GRANTS: [(&str, &[&str]); 5] = [
    ("enclave-host", &["worker/*/register", "wallet/*/record-outcome", "secret/*/record-outcome"]),
    ("chain-relay", &["wallet/*/record-confirmation", "wallet/*/record-expiry"]),
    ("reactor", &["wallet/*/expire-request", "secret/*/expire-request"]),
    (OPERATOR, &["wallet/*/reseal-key"]),
    ("price-sources", &["price-feed/*/register", "price-feed/*/record-round"]),
];

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Keys(#[from] keys::Error),
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error("cannot keep a copy of the worker")]
    Copy(#[source] std::io::Error),
    #[error("cannot ask the worker: {0}")]
    Worker(String),
    #[error("genesis manifest {} cannot be read; `cargo dev reset` begins anew", path.display())]
    Genesis {
        path: PathBuf,
        #[source]
        source: authority::Error,
    },
    #[error("statement of authority cannot be made")]
    Statement(#[from] authority::Error),
    #[error("token of authority")]
    Token(#[from] token::Error),
    #[error("cannot connect to the bus")]
    Connect(#[from] ConnectError),
    #[error("command cannot be made")]
    Prepare(#[from] nsl_client::prepared::Error),
    #[error("authority cannot be recorded")]
    Send(#[from] SendError),
    #[error("NATS is not running")]
    NoBus,
}

/// Files of a site's genesis.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    /// The worker as it was measured: the manifest allows this build and no later one.
    pub(crate) worker: PathBuf,
    /// The signed manifest.
    pub(crate) genesis: PathBuf,
    /// Key and certificate of the development root.
    pub(crate) nsm_root: PathBuf,
    /// What the workers' sealing key is derived from.
    pub(crate) sealing_key: PathBuf,
}

impl Files {
    /// Where they are.
    pub(crate) fn of(site: &SiteDirectory) -> Self {
        let keys = keys::folder(site);
        Self {
            worker: site.path().join("bin/nsl-enclave-worker"),
            genesis: site.path().join("genesis.json"),
            nsm_root: keys.join("development-nsm-root.pem"),
            sealing_key: keys.join("development-sealing.key"),
        }
    }
}

/// The one build that a site's manifest allows.
pub(crate) enum Measured {
    /// The worker, as it measures itself.
    Worker,
    /// An image with a worker in it.
    Image(Build),
}

/// Makes the genesis, or finds it. `worker` is the built worker; a local site keeps the one it began with.
pub(crate) fn prepare(
    site: &Site,
    worker: &Path,
    measured: Measured,
    sealing_provider: SealingProvider,
    now_ms: u64,
) -> Result<Files, Error> {
    let directory = site.directory();
    let files = Files::of(directory);
    for name in SERVICE_GRANTS.map(|(name, _)| name) {
        keys::obtain(directory, name)?;
    }
    keys::obtain(directory, keys::DEVELOPER)?;
    if files.genesis.exists() {
        return Ok(files);
    }
    keys::obtain_bytes(&files.sealing_key)?;
    make_directory(&site.directory().path().join("bin"), 0o700)?;
    std::fs::copy(worker, &files.worker).map_err(Error::Copy)?;
    let root_sha256 =
        ask(&files.worker, &["development-root", "--out", &files.nsm_root.display().to_string()])?;
    let root_sha256 =
        root_sha256.trim().parse::<Sha256>().map_err(|error| Error::Worker(error.to_string()))?;
    let build = match measured {
        Measured::Image(build) => build,
        Measured::Worker => {
            let build = ask(&files.worker, &["measure"])?;
            serde_json::from_str(&build).map_err(|error| Error::Worker(error.to_string()))?
        }
    };
    let quorum = keys::obtain(directory, keys::QUORUM)?;
    let manifest = GenesisManifest {
        log_origin: format!("local.nsl.invalid/{}", Uuid::now_v7()),
        quorum: Quorum { threshold: 1, keys: vec![quorum.public()] },
        attestation_root_sha256: root_sha256,
        builds: vec![build],
        sealing_provider,
        created_at_ms: now_ms,
    };
    let signed = Signed::sign(manifest, &[&quorum]);
    write_private(&files.genesis, canonical::to_string(&signed).as_bytes())?;
    Ok(files)
}

/// Whether the built worker is another one than the site began with.
pub(crate) fn is_worker_outdated(files: &Files, worker: &Path) -> bool {
    match (std::fs::read(&files.worker), std::fs::read(worker)) {
        (Ok(kept), Ok(built)) => Sha256::of(&kept) != Sha256::of(&built),
        _ => false,
    }
}

fn ask(worker: &Path, arguments: &[&str]) -> Result<String, Error> {
    let output =
        Command::new(worker).args(arguments).output().map_err(|error| Error::Worker(error.to_string()))?;
    if !output.status.success() {
        return Err(Error::Worker(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The manifest that the site's services obey.
pub(crate) fn manifest(site: &SiteDirectory) -> Result<GenesisManifest, Error> {
    let path = Files::of(site).genesis;
    let text = read_bounded(&path)?.unwrap_or_default();
    match authority::read_genesis(text.as_bytes()) {
        Ok(signed) => Ok(signed.statement),
        Err(source) => Err(Error::Genesis { path, source }),
    }
}

/// Records roots and grants. Their command ids follow from what they say, so a later start hears the first answers.
pub(crate) async fn register(site: &Site) -> Result<(), Error> {
    let directory = site.directory();
    let registrar =
        Registrar::connect(directory, site.endpoints().nats.as_ref().ok_or(Error::NoBus)?).await?;
    let system = Tenant::system();
    registrar.root(&system, keys::SYSTEM_ROOT).await?;
    for (name, scopes) in SERVICE_GRANTS {
        let key = keys::obtain(directory, name)?;
        registrar.grant(&system, keys::SYSTEM_ROOT, &key, name, scopes).await?;
    }
    registrar.tenant(&Tenant::parse(DEMO_TENANT)?).await
}

/// Records the root of a further tenant and the grant of its developer.
pub(crate) async fn register_tenant(
    directory: &SiteDirectory,
    nats: &NatsEndpoint,
    tenant: &Tenant,
) -> Result<(), Error> {
    Registrar::connect(directory, nats).await?.tenant(tenant).await
}

/// The credentials of a user of the bus.
pub(crate) fn credentials(nats: &NatsEndpoint, user: &str) -> Credentials {
    Credentials { user: user.to_owned(), password: nats.passwords.get(user).cloned().unwrap_or_default() }
}

/// The user that delivers statements of authority and reads the whole log.
pub(crate) const OPERATOR: &str = "operator";

struct Registrar {
    client: Client,
    manifest: GenesisManifest,
    directory: SiteDirectory,
}

impl Registrar {
    async fn connect(directory: &SiteDirectory, nats: &NatsEndpoint) -> Result<Self, Error> {
        // Statements of authority prove themselves; any key may deliver them.
        let issuer = keys::obtain(directory, keys::DEVELOPER)?;
        let options = Options::new(nats.server(), Tenant::system())
            .issued_by(issuer)
            .authenticated_as(credentials(nats, OPERATOR));
        let client = Client::connect(options).await?;
        Ok(Self { client, manifest: manifest(directory)?, directory: directory.clone() })
    }

    async fn tenant(&self, tenant: &Tenant) -> Result<(), Error> {
        let (root, developer) = (keys::root_of(tenant), keys::developer_of(tenant));
        self.root(tenant, &root).await?;
        let key = keys::obtain(&self.directory, &developer)?;
        self.grant(tenant, &root, &key, &developer, &["wallet/*/*", "secret/*/*"]).await
    }

    async fn root(&self, tenant: &Tenant, name: &str) -> Result<(), Error> {
        let quorum = keys::obtain(&self.directory, keys::QUORUM)?;
        let root = keys::obtain(&self.directory, name)?;
        let issued_at_ms = self.manifest.created_at_ms;
        // A local site's operators never change, and what is said must be the same at every start.
        let operators = Operators::of_genesis(&self.manifest);
        let payload = authority::register_root(&operators, tenant, root.public(), issued_at_ms, &[&quorum])?;
        self.send(tenant, "register-root", &payload).await
    }

    async fn grant(
        &self,
        tenant: &Tenant,
        root: &str,
        key: &SigningKey,
        label: &str,
        scopes: &[&str],
    ) -> Result<(), Error> {
        let root = keys::obtain(&self.directory, root)?;
        let scopes = scopes.iter().map(|scope| authority::parse_scope(scope)).collect::<Result<_, _>>()?;
        let terms = GrantTerms {
            key: key.public(),
            label: label.to_owned(),
            scopes,
            not_before_ms: self.manifest.created_at_ms,
            expires_at_ms: GRANTS_EXPIRE_AT_MS,
        };
        let payload = authority::grant(&self.manifest, tenant, terms, &root)?;
        self.send(tenant, "grant", &payload).await
    }

    async fn send<P: Serialize>(&self, tenant: &Tenant, verb: &str, payload: &P) -> Result<(), Error> {
        let subject = CommandSubject {
            tenant: tenant.clone(),
            aggregate: token::AggregateType::parse("authority")?,
            id: token::AggregateId::parse(AUTHORITY_ID)?,
            verb: token::Verb::parse(verb)?,
        };
        let command_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, canonical::to_string(payload).as_bytes());
        // Done at an earlier start: a second signing would be another request under the same id.
        if self.client.recorded_result(tenant, command_id).await.is_ok_and(|result| result.is_some()) {
            return Ok(());
        }
        let prepared = self.client.prepare_with_id(command_id, &subject, payload)?;
        match self.client.send(&prepared).await {
            Ok(_) => Ok(()),
            // The result stream forgets after an hour; the receipt does not.
            Err(SendError::Refused { code, .. }) if code == "id_reused" => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
