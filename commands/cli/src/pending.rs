//! Commands that were signed and have no final answer yet, kept on disk so that the same bytes can be sent again.

use std::path::PathBuf;

use nsl_client::{Prepared, SendError, prepared};
use nsl_schemas::token::Tenant;
use uuid::Uuid;

use crate::error::Error;
use crate::files;

/// The folder of kept commands.
#[derive(Debug)]
pub(crate) struct Pending {
    folder: PathBuf,
}

impl Pending {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn path(&self, tenant: &Tenant, command_id: Uuid) -> PathBuf {
        self.folder.join(tenant.as_str()).join(format!("{command_id}.json"))
    }

    /// Writes the command down; returns when it is on disk.
    pub(crate) fn keep(&self, command: &Prepared) -> Result<(), Error> {
        let path = self.path(&command.subject().tenant, command.command_id());
        files::create_private_folder(&path)?;
        Ok(command.save(&path)?)
    }

    /// The command kept under this id, if there is one.
    pub(crate) fn find(&self, tenant: &Tenant, command_id: Uuid) -> Result<Option<Prepared>, Error> {
        match Prepared::load(&self.path(tenant, command_id)) {
            Ok(command) => Ok(Some(command)),
            Err(prepared::Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Forgets a command whose sending ended in `error`, or in a result, unless sending it again could change anything.
    pub(crate) fn settle(&self, command: &Prepared, error: Option<&SendError>) -> Result<(), Error> {
        let is_final = match error {
            None | Some(SendError::Rejected { .. } | SendError::Refused { retry_after: None, .. }) => true,
            Some(_) => false,
        };
        if !is_final {
            return Ok(());
        }
        let path = self.path(&command.subject().tenant, command.command_id());
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(files::file_error(&path, source))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use nsl_schemas::envelope::SignedCommand;
    use nsl_schemas::nkey::SigningKey;
    use nsl_schemas::subject::CommandSubject;

    use super::*;

    #[test]
    fn a_command_is_kept_until_its_answer_is_final() {
        let folder = tempfile::tempdir().unwrap();
        let pending = Pending::new(folder.path().to_owned());
        let subject = CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.create").unwrap();
        let command_id = Uuid::from_u128(7);
        let key = SigningKey::from_seed(&[1; 32]);
        let command = SignedCommand::sign(&key, &subject, command_id, 1, 2, "{}".to_owned());
        let command = Prepared::from_signed(command).unwrap();
        let (code, message) = ("c".to_owned(), "m".to_owned());
        let unknown = SendError::OutcomeUnknown { command_id, attempts: 3 };
        let later = SendError::Refused {
            command_id,
            code: code.clone(),
            message: message.clone(),
            retry_after: Some(std::time::Duration::from_secs(1)),
        };
        let rejected = SendError::Rejected { command_id, code, message, position: 1 };
        for (error, is_kept) in
            [(Some(&unknown), true), (Some(&later), true), (Some(&rejected), false), (None, false)]
        {
            pending.keep(&command).unwrap();
            pending.settle(&command, error).unwrap();
            let found = pending.find(&subject.tenant, command_id).unwrap();
            assert_eq!(found.is_some(), is_kept, "{error:?}");
        }
    }
}
