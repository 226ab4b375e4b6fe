//! Where things are: the workspace, and everything private below its `.nsl/`.

use std::path::{Path, PathBuf};

use nsl_local_services::{SiteDirectory, workspace_root};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("not inside the workspace: no manifest with [workspace] here or above")]
    NoWorkspace,
    #[error("cannot read the current folder")]
    CurrentFolder(#[source] std::io::Error),
}

/// The folders of a checked-out workspace.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The workspace around the current folder.
    pub(crate) fn locate() -> Result<Self, Error> {
        let current = std::env::current_dir().map_err(Error::CurrentFolder)?;
        Ok(Self { root: workspace_root(&current).ok_or(Error::NoWorkspace)? })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The site that `up` keeps running.
    pub(crate) fn site(&self) -> SiteDirectory {
        SiteDirectory::at(&self.root.join(".nsl/site"))
    }

    /// A built program, as the newest build of a local site left it.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(name)));
        beside.unwrap_or_else(|| name.into())
    }

    /// What the process that owns the site tells about itself.
    pub(crate) fn runner_record(&self) -> PathBuf {
        self.site().run().join("runner.json")
    }
}
