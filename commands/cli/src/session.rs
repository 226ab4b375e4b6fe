//! What a command needs around it: the selected context, a connected client, the files and folders that go with it.

use std::path::PathBuf;
use std::time::Duration;

use nsl_client::{Client, Credentials, Options, Prepared, authority};
use nsl_schemas::authority::{GenesisManifest, Signed};
use nsl_schemas::canonical;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::query::{ById, Wallet, name};
use nsl_schemas::result::CommandResult;
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{AggregateId, Tenant};
use uuid::Uuid;

use crate::arguments::Globals;
use crate::contexts::{Context, Contexts};
use crate::error::Error;
use crate::files;
use crate::pending::Pending;
use crate::shell::Shell;

/// One run of `nsl`.
pub(crate) struct Invocation {
    globals: Globals,
    pub(crate) shell: Shell,
}

impl Invocation {
    pub(crate) fn new(globals: Globals, shell: Shell) -> Self {
        Self { globals, shell }
    }

    /// How long to wait for what follows an accepted command.
    pub(crate) fn timeout(&self) -> Duration {
        self.globals.timeout
    }

    /// The context that `--context` or NSL_CONTEXT names.
    pub(crate) fn context_name(&self) -> Option<&str> {
        self.globals.context.as_deref()
    }

    /// The folder of contexts and keys.
    pub(crate) fn config_folder() -> Result<PathBuf, Error> {
        files::folder("XDG_CONFIG_HOME", ".config")
    }

    /// The file with the contexts.
    pub(crate) fn contexts_path() -> Result<PathBuf, Error> {
        Ok(Self::config_folder()?.join("contexts.json"))
    }

    /// The context to use.
    pub(crate) fn context(&self) -> Result<Context, Error> {
        let contexts = Contexts::load(&Self::contexts_path()?)?;
        let (name, context) = contexts.resolve(self.context_name())?;
        self.shell.detail(&format!("context {name}: {} for {}", context.url, context.tenant));
        Ok(context.clone())
    }

    /// Connects as the context says.
    pub(crate) async fn connect(&self) -> Result<Session<'_>, Error> {
        let context = self.context()?;
        let mut options = Options::new(context.url.clone(), context.tenant.clone());
        if let Some(user) = context.user.clone() {
            let password = context.password_file.as_deref().map(files::read_secret).transpose()?;
            let password = password.map(|text| text.as_str().to_owned()).unwrap_or_default();
            options = options.authenticated_as(Credentials { user, password });
        }
        if let Some(path) = &context.issuer_file {
            options = options.issued_by(files::read_seed(path)?);
        }
        let client = Client::connect(options).await?;
        let pending = Pending::new(files::folder("XDG_STATE_HOME", ".local/state")?.join("commands"));
        Ok(Session { client, context, pending, invocation: self })
    }
}

/// A connected client with its context.
pub(crate) struct Session<'a> {
    pub(crate) client: Client,
    context: Context,
    pub(crate) pending: Pending,
    invocation: &'a Invocation,
}

impl Session<'_> {
    /// Whose aggregates.
    pub(crate) fn tenant(&self) -> &Tenant {
        self.client.tenant()
    }

    /// The key that signs commands.
    pub(crate) fn issuer(&self) -> Result<&SigningKey, Error> {
        self.client.issuer().ok_or(Error::IssuerMissing)
    }

    /// The manifest that the context trusts.
    pub(crate) fn genesis(&self) -> Result<Signed<GenesisManifest>, Error> {
        genesis_of(&self.context)
    }

    /// One wallet as the read model shows it.
    pub(crate) async fn wallet(&self, id: &AggregateId) -> Result<Wallet, Error> {
        let question = ById { id: id.to_string(), at_position: None };
        Ok(self.client.query(self.tenant(), name::WALLET, &question).await?)
    }

    /// The command kept under `command_id`, when it is for `subject`.
    pub(crate) fn kept(
        &self,
        command_id: Option<Uuid>,
        subject: &CommandSubject,
    ) -> Result<Option<Prepared>, Error> {
        let Some(command_id) = command_id else { return Ok(None) };
        let kept = self.pending.find(&subject.tenant, command_id)?;
        match kept {
            Some(command) if command.subject() != subject => Err(Error::Input(format!(
                "command {command_id} was signed for {}, not for {subject}",
                command.subject()
            ))),
            Some(command) => {
                self.invocation
                    .shell
                    .note(&format!("command {command_id} was signed before and is sent again"));
                Ok(Some(command))
            }
            None => Ok(None),
        }
    }

    /// Writes the command down before it is sent, and says its id, so that whatever happens it can be sent again.
    pub(crate) fn keep(&self, command: &Prepared) -> Result<(), Error> {
        self.pending.keep(command)?;
        self.invocation.shell.note(&format!("command {}", command.command_id()));
        Ok(())
    }

    /// Keeps, sends and settles a command.
    pub(crate) async fn deliver(&self, command: &Prepared) -> Result<CommandResult, Error> {
        self.keep(command)?;
        let result = self.client.send(command).await;
        self.pending.settle(command, result.as_ref().err())?;
        Ok(result?)
    }
}

/// Reads and checks the genesis file of a context.
pub(crate) fn genesis_of(context: &Context) -> Result<Signed<GenesisManifest>, Error> {
    let path = context.genesis_file.as_ref().ok_or(Error::GenesisMissing)?;
    let bytes = files::read(path, files::FILE_BYTES_MAX)?;
    Ok(authority::read_genesis(&bytes)?)
}

/// What a prepared command asks: a command that was kept may ask something else than today's arguments.
pub(crate) fn payload<T: serde::de::DeserializeOwned>(command: &Prepared) -> Result<T, Error> {
    canonical::from_slice(command.command().payload.as_bytes()).map_err(|error| {
        Error::Input(format!(
            "payload of command {} for {}: {error}",
            command.command_id(),
            command.subject()
        ))
    })
}
