//! Event 1: the genesis manifest. An empty log begins with the configured one; any other log must have begun with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nsl_domain::decision::Genesis;
use nsl_event_store::{AppendError, CommandAppend, EventStore, Fence, NewEvent, ReadError};
use nsl_schemas::authority::{GenesisManifest, Signed};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::command::authority::AUTHORITY_ID;
use nsl_schemas::event::authority::{AuthorityEvent, GenesisRecorded};
use nsl_schemas::event::{DecodeError, Metadata, WireEvent as _};
use nsl_schemas::number::UnixMs;
use nsl_schemas::result::Answer;
use nsl_schemas::subject::stream_id;
use nsl_schemas::token::Tenant;
use nsl_schemas::{canonical, ids};
use nsl_verify::attestation::TrustRoot;
use uuid::Uuid;

/// A manifest is a few kilobytes; more is a mistaken path.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Why the log has no usable beginning.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file.
    #[error("cannot read genesis manifest {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file's size.
    #[error("genesis manifest {} is larger than {FILE_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// The file's content.
    #[error("genesis manifest {} is not a signed manifest", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: canonical::Error,
    },
    /// Its signatures.
    #[error("genesis manifest {} is not signed by its own quorum", path.display())]
    Unsigned {
        /// Which.
        path: PathBuf,
    },
    /// Its attestation root.
    #[error("this build does not trust the manifest's attestation root")]
    TrustRoot(#[source] nsl_verify::attestation::Error),
    /// Event 1 is another manifest's.
    #[error("the log began with genesis {log}, configured is {configured}")]
    OtherLog {
        /// In the log.
        log: Sha256,
        /// In the file.
        configured: Sha256,
    },
    /// Event 1 is damaged, or newer than this build.
    #[error("the log's first event cannot be read")]
    Unreadable(#[source] DecodeError),
    /// Event 1 is no manifest.
    #[error("the log's first event is not a genesis manifest")]
    NoGenesis,
    /// The log cannot be read.
    #[error("cannot read the log")]
    Read(#[from] ReadError),
    /// The log cannot be begun.
    #[error("cannot begin the log")]
    Append(#[from] AppendError),
}

/// Reads and checks the manifest file.
pub(crate) async fn load(path: &Path) -> Result<(Signed<GenesisManifest>, Arc<Genesis>), Error> {
    let file = |source| Error::File { path: path.to_owned(), source };
    if tokio::fs::metadata(path).await.map_err(file)?.len() > FILE_BYTES_MAX {
        return Err(Error::TooLarge { path: path.to_owned() });
    }
    let bytes = tokio::fs::read(path).await.map_err(file)?;
    let signed: Signed<GenesisManifest> =
        canonical::from_slice(&bytes).map_err(|source| Error::Content { path: path.to_owned(), source })?;
    let manifest = signed.statement.clone();
    if !signed.is_signed_by(&manifest.quorum) {
        return Err(Error::Unsigned { path: path.to_owned() });
    }
    let trust_root = TrustRoot::from_sha256(manifest.attestation_root_sha256.0).map_err(Error::TrustRoot)?;
    let genesis = Genesis { sha256: manifest.sha256(), manifest, trust_root };
    Ok((signed, Arc::new(genesis)))
}

/// Makes the manifest event 1, or sees that it is.
pub(crate) async fn ensure(
    store: &EventStore,
    fence: Fence,
    signed: &Signed<GenesisManifest>,
) -> Result<(), Error> {
    if store.head().await? == 0 {
        match store.append(&[first_command(fence, signed)]).await {
            Ok(_) => tracing::info!(genesis = %signed.statement.sha256(), "log begun"),
            // Another processor began it; what it began with is compared below.
            Err(AppendError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let stream = stream_id(&Tenant::system(), AUTHORITY_ID);
    let page = store.read(0, 1, &nsl_event_store::Filter::default()).await?;
    let first = page.events.first().filter(|event| event.aggregate_id == stream).ok_or(Error::NoGenesis)?;
    let AuthorityEvent::GenesisRecorded(event) = first.stored().decode().map_err(Error::Unreadable)? else {
        return Err(Error::NoGenesis);
    };
    let (log, configured) = (event.manifest.statement.sha256(), signed.statement.sha256());
    if log == configured { Ok(()) } else { Err(Error::OtherLog { log, configured }) }
}

/// The beginning is no client's command: its id follows from the manifest and its quorum's first key stands as issuer.
fn first_command(fence: Fence, signed: &Signed<GenesisManifest>) -> CommandAppend {
    let sha256 = signed.statement.sha256();
    let command_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, &sha256.0);
    let issuer = signed.signatures.first().expect("a signed manifest has a signature").key;
    let event = AuthorityEvent::from(GenesisRecorded { manifest: signed.clone() });
    let metadata = Metadata {
        event_id: ids::event_id(command_id, 0),
        command_id,
        issuer,
        decided_at_ms: UnixMs(signed.statement.created_at_ms),
        traceparent: None,
    };
    CommandAppend {
        command_id,
        issuer: issuer.to_string(),
        request_hash: sha256.0,
        subject: "nsl.v1.cmd.system.authority.root.genesis".to_owned(),
        envelope: canonical::to_string(&signed.signatures),
        payload: canonical::to_string(&signed.statement),
        answer: canonical::to_string(&Answer::Accepted { version: 1 }),
        aggregate_type: "authority".to_owned(),
        aggregate_id: stream_id(&Tenant::system(), AUTHORITY_ID),
        expected_version: 0,
        events: vec![NewEvent {
            event_id: metadata.event_id,
            event_type: event.event_name().to_owned(),
            event_version: event.event_version().to_owned(),
            payload: canonical::to_string(&event),
            metadata: canonical::to_string(&metadata),
        }],
        fence,
    }
}
