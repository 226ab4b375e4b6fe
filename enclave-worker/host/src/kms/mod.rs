//! What a host does for workers whose sealing keys AWS KMS keeps: it relays their connections, and says who asks. What they
//! say to KMS is between the two, and credentials alone get nobody a key: the key's policy wants a worker's attestation.

mod config;
mod credentials;
mod metadata;
pub mod relay;

pub use config::{CredentialsSource, Error as ConfigError, KmsConfig};
pub(crate) use credentials::{Error as CredentialsError, read as read_credentials};
