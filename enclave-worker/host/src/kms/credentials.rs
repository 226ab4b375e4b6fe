//! Who asks KMS: read anew for each request, so that rotated and temporary credentials are never stale.

use std::path::{Path, PathBuf};

use nsl_enclave_protocol::AwsCredentials;
use nsl_schemas::canonical;
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::config::{CredentialsSource, KmsConfig};
use super::metadata;

/// Largest file: three members of at most 8 KiB.
const FILE_BYTES_MAX: u64 = 32 * 1024;

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read kms.credentials_file {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("kms.credentials_file {} holds no credentials", path.display())]
    Content {
        path: PathBuf,
        #[source]
        source: canonical::Error,
    },
    #[error("the environment has no {name}")]
    Environment { name: &'static str },
    #[error("the instance's metadata service gives no credentials")]
    Metadata(#[from] metadata::Error),
    #[error("the credentials are malformed")]
    Unsound,
}

/// As `credential_process` and, with other names for two members, the metadata service write them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Document {
    access_key_id: String,
    secret_access_key: String,
    #[serde(alias = "Token")]
    session_token: Option<String>,
}

impl From<Document> for AwsCredentials {
    fn from(document: Document) -> Self {
        let Document { access_key_id, secret_access_key, session_token } = document;
        Self { access_key_id, secret_access_key, session_token }
    }
}

/// The credentials of now.
pub(crate) async fn read(config: &KmsConfig) -> Result<AwsCredentials, Error> {
    let credentials = match config.credentials {
        CredentialsSource::File => from_file(&config.credentials_file).await?,
        CredentialsSource::Environment => from_environment()?,
        CredentialsSource::InstanceRole => metadata::credentials(&config.metadata_address).await?.into(),
    };
    if credentials.is_sound() { Ok(credentials) } else { Err(Error::Unsound) }
}

async fn from_file(path: &Path) -> Result<AwsCredentials, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).await.map_err(failed)?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).await.map_err(failed)?;
    let document: Document =
        canonical::from_slice(&bytes).map_err(|source| Error::Content { path: path.to_owned(), source })?;
    Ok(document.into())
}

fn from_environment() -> Result<AwsCredentials, Error> {
    let variable = |name| std::env::var(name).map_err(|_| Error::Environment { name });
    Ok(AwsCredentials {
        access_key_id: variable("AWS_ACCESS_KEY_ID")?,
        secret_access_key: variable("AWS_SECRET_ACCESS_KEY")?,
        session_token: std::env::var("AWS_SESSION_TOKEN").ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_as_awss_tools_write_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials.json");
        let text =
            r#"{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"s","SessionToken":"t","Expiration":"x"}"#;
        std::fs::write(&path, text).unwrap();
        let read = from_file(&path).await.unwrap();
        assert_eq!((read.access_key_id.as_str(), read.session_token.as_deref()), ("AKID", Some("t")));
        std::fs::write(&path, "{}").unwrap();
        assert!(matches!(from_file(&path).await, Err(Error::Content { .. })));
        let none = folder.path().join("none");
        assert!(matches!(from_file(&none).await, Err(Error::Read { .. })));
    }
}
