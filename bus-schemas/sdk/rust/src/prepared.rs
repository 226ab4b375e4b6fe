//! A signed command that is ready to be sent, and sent again: a client keeps it until the result arrived (D1).

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nsl_schemas::canonical;
use nsl_schemas::envelope::{self, LIFETIME_MS_MAX, PAYLOAD_BYTES_MAX, SignedCommand};
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token;
use serde::Serialize;
use uuid::Uuid;

use crate::Client;

/// Largest file with a prepared command: JSON writes a payload byte as six characters at worst, and 4 KiB hold the
/// envelope.
pub const FILE_BYTES_MAX: u64 = 6 * PAYLOAD_BYTES_MAX as u64 + 4096;

/// Why a command could not be prepared, kept or read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client was made without an issuer key.
    #[error("this client has no issuer key and cannot sign commands")]
    NoIssuer,
    /// A part of the subject is not a token.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// The payload cannot be written as JSON.
    #[error("payload cannot be written as json")]
    Payload(#[source] serde_json::Error),
    /// The payload is longer than the service takes.
    #[error("payload has {bytes} bytes, more than {PAYLOAD_BYTES_MAX}")]
    PayloadTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The command would live longer than the service takes.
    #[error("command lifetime of {lifetime_ms} ms is more than {LIFETIME_MS_MAX} ms")]
    LifetimeTooLong {
        /// What was asked for.
        lifetime_ms: u128,
    },
    /// The file cannot be read or written.
    #[error("command file {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than any command.
    #[error("command file {path} is larger than {FILE_BYTES_MAX} bytes")]
    FileTooLarge {
        /// Which.
        path: PathBuf,
    },
    /// The file holds no command.
    #[error("command file {path} holds no signed command")]
    FileContent {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: canonical::Error,
    },
    /// The command's hash, signature or subject does not hold.
    #[error("command {command_id} does not hold")]
    Broken {
        /// Which.
        command_id: Uuid,
        /// What does not hold.
        #[source]
        source: envelope::Error,
    },
}

/// A signed command whose signature holds; every sending of it has the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    command: SignedCommand,
    subject: CommandSubject,
}

impl Prepared {
    /// Takes a command that was signed elsewhere, if it holds.
    pub fn from_signed(command: SignedCommand) -> Result<Self, Error> {
        let command_id = command.envelope.command_id;
        let subject = command.verify().map_err(|source| Error::Broken { command_id, source })?;
        if command.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Error::PayloadTooLarge { bytes: command.payload.len() });
        }
        Ok(Self { command, subject })
    }

    /// Its id.
    pub fn command_id(&self) -> Uuid {
        self.command.envelope.command_id
    }

    /// What it asks and of whom.
    pub fn subject(&self) -> &CommandSubject {
        &self.subject
    }

    /// The signed envelope and payload.
    pub fn command(&self) -> &SignedCommand {
        &self.command
    }

    /// Writes it to `path`, readable by its owner only, and returns when it is on disk: done before sending, a crash
    /// forgets no command.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let file_error = |source| Error::File { path: path.to_owned(), source };
        let unfinished = path.with_extension("unfinished");
        let text = canonical::to_string(&self.command);
        write_private(&unfinished, text.as_bytes()).map_err(file_error)?;
        fs::rename(&unfinished, path).map_err(file_error)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // Only a synced folder makes the file's name durable.
        File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()).map_err(file_error)
    }

    /// Reads a command that [`Prepared::save`] wrote, and checks it again.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let file_error = |source| Error::File { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(file_error)?;
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(file_error)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(Error::FileTooLarge { path: path.to_owned() });
        }
        let command = canonical::from_slice(&bytes)
            .map_err(|source| Error::FileContent { path: path.to_owned(), source })?;
        Self::from_signed(command)
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

impl Client {
    /// The subject `verb` of an aggregate of this client's tenant.
    pub fn subject(
        &self,
        aggregate: &str,
        id: &token::AggregateId,
        verb: &str,
    ) -> Result<CommandSubject, Error> {
        Ok(CommandSubject {
            tenant: self.tenant().clone(),
            aggregate: token::AggregateType::parse(aggregate)?,
            id: id.clone(),
            verb: token::Verb::parse(verb)?,
        })
    }

    /// Signs a command under a new id.
    pub fn prepare<P: Serialize>(&self, subject: &CommandSubject, payload: &P) -> Result<Prepared, Error> {
        self.prepare_with_id(Uuid::now_v7(), subject, payload)
    }

    /// Signs a command under an id that the caller keeps or derives.
    pub fn prepare_with_id<P: Serialize>(
        &self,
        command_id: Uuid,
        subject: &CommandSubject,
        payload: &P,
    ) -> Result<Prepared, Error> {
        let payload = serde_json::to_string(payload).map_err(Error::Payload)?;
        self.prepare_text(command_id, subject, payload)
    }

    /// Signs a command whose payload is already text; the service judges it.
    pub fn prepare_text(
        &self,
        command_id: Uuid,
        subject: &CommandSubject,
        payload: String,
    ) -> Result<Prepared, Error> {
        let issuer = self.issuer().ok_or(Error::NoIssuer)?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Error::PayloadTooLarge { bytes: payload.len() });
        }
        let lifetime_ms = self.command_lifetime().as_millis();
        let lifetime_ms = u64::try_from(lifetime_ms)
            .ok()
            .filter(|lifetime_ms| *lifetime_ms <= LIFETIME_MS_MAX)
            .ok_or(Error::LifetimeTooLong { lifetime_ms })?;
        let issued_at_ms = unix_now_ms();
        let expires_at_ms = issued_at_ms + lifetime_ms;
        let command = SignedCommand::sign(issuer, subject, command_id, issued_at_ms, expires_at_ms, payload);
        Ok(Prepared { command, subject: subject.clone() })
    }
}

/// The present in Unix ms. A clock before 1970 or after year 500 million reads as 1970, which the service answers with
/// `command_expired`.
pub fn unix_now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use nsl_schemas::nkey::SigningKey;

    use super::*;

    fn prepared(payload: &str) -> Prepared {
        let subject = CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.create").unwrap();
        let key = SigningKey::from_seed(&[1; 32]);
        let command = SignedCommand::sign(&key, &subject, Uuid::from_u128(7), 1000, 2000, payload.to_owned());
        Prepared::from_signed(command).unwrap()
    }

    #[test]
    fn a_saved_command_comes_back_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("command.json");
        let worst = "\u{1}".repeat(PAYLOAD_BYTES_MAX);
        for payload in ["{}", "{\"note\":\"é \\\" \\n\"}", worst.as_str()] {
            let command = prepared(payload);
            command.save(&path).unwrap();
            assert_eq!(Prepared::load(&path).unwrap(), command);
        }
    }

    #[test]
    fn only_the_owner_can_read_a_saved_command() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("command.json");
        prepared("{}").save(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no unfinished file stays");
    }

    #[test]
    fn refuses_files_that_hold_no_intact_command() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("command.json");
        assert!(matches!(Prepared::load(&path), Err(Error::File { .. })));
        fs::write(&path, "{\"envelope\":").unwrap();
        assert!(matches!(Prepared::load(&path), Err(Error::FileContent { .. })));
        prepared("{\"amount\":\"1\"}").save(&path).unwrap();
        let altered = fs::read_to_string(&path).unwrap().replace("\\\"1\\\"", "\\\"9\\\"");
        fs::write(&path, altered).unwrap();
        assert!(matches!(
            Prepared::load(&path),
            Err(Error::Broken { source: envelope::Error::PayloadHash, .. })
        ));
        let too_large = vec![b' '; usize::try_from(FILE_BYTES_MAX).unwrap() + 1];
        fs::write(&path, too_large).unwrap();
        assert!(matches!(Prepared::load(&path), Err(Error::FileTooLarge { .. })));
    }
}
