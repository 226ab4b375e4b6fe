//! `nsl context add`

use std::path::{Path, PathBuf};

use clap::Args;
use nsl_schemas::token::{AggregateId, Tenant};

use crate::contexts::{Context, Contexts, PREVIOUS};
use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::session::{self, Invocation};

/// Add a context.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Its name.
    #[arg(value_parser = parse_name)]
    name: String,
    /// The NATS server, as nats://127.0.0.1:4222.
    #[arg(long)]
    url: String,
    /// Whose wallets.
    #[arg(long)]
    tenant: Tenant,
    /// The user of the connection.
    #[arg(long, requires = "password_file")]
    user: Option<String>,
    /// The file with that user's password.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// The file with the seed of the key that signs commands.
    #[arg(long, value_name = "FILE")]
    issuer: Option<PathBuf>,
    /// The file with the genesis manifest that you trust.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
}

impl Add {
    pub(crate) fn run(self) -> Result<Outcome, Error> {
        let Self { name, url, tenant, user, password_file, issuer, genesis } = self;
        let absolute = |path: Option<PathBuf>| path.as_deref().map(absolute).transpose();
        let context = Context {
            url,
            tenant,
            user,
            password_file: absolute(password_file)?,
            issuer_file: absolute(issuer)?,
            genesis_file: absolute(genesis)?,
        };
        check(&context)?;
        let path = Invocation::contexts_path()?;
        let mut contexts = Contexts::load(&path)?;
        contexts.add(&name, context)?;
        contexts.save(&path)?;
        let is_selected = contexts.current.as_ref() == Some(&name);
        Ok(Outcome::ContextAdded { name, is_selected })
    }
}

/// Reads every file that the context names, so that a mistyped path is found now.
fn check(context: &Context) -> Result<(), Error> {
    if let Some(path) = &context.password_file {
        files::read_secret(path)?;
    }
    if let Some(path) = &context.issuer_file {
        files::read_seed(path)?;
    }
    if context.genesis_file.is_some() {
        session::genesis_of(context)?;
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| files::file_error(path, source))
}

/// A context's name is a token, so that it needs no quoting anywhere; `-` alone stands for the previous context.
fn parse_name(text: &str) -> Result<String, String> {
    match AggregateId::parse(text) {
        Ok(_) if text != PREVIOUS => Ok(text.to_owned()),
        _ => Err("expected 1 to 64 characters of A-Z a-z 0-9 _ -".to_owned()),
    }
}
