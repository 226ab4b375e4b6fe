//! Where things are: the workspace, and everything private below its `.nsl/`.

use std::path::{Path, PathBuf};

use nsl_local_services::{SiteDirectory, workspace_root};

use crate::binaries;

/// Names the folder of the site when it is not `.nsl/site` of the workspace: system tests run sites of their own next to
/// the developer's.
const SITE_VARIABLE: &str = "NSL_SITE_DIR";

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
    site: PathBuf,
    /// The folder of built programs: where `NSL_BINARIES_DIR` says, else where this one is.
    programs: Option<PathBuf>,
}

impl Layout {
    /// The workspace around the current folder, and its site or the one that `NSL_SITE_DIR` names.
    pub(crate) fn locate() -> Result<Self, Error> {
        let current = std::env::current_dir().map_err(Error::CurrentFolder)?;
        let root = workspace_root(&current).ok_or(Error::NoWorkspace)?;
        let site = std::env::var_os(SITE_VARIABLE).map(|site| current.join(site));
        let site = site.unwrap_or_else(|| root.join(".nsl/site"));
        let beside = || Some(std::env::current_exe().ok()?.parent()?.to_owned());
        let programs = binaries::prebuilt_directory().or_else(beside);
        Ok(Self { root, site, programs })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The same workspace with another site.
    pub(crate) fn with_site(&self, site: PathBuf) -> Self {
        Self { root: self.root.clone(), site, programs: self.programs.clone() }
    }

    /// The site that `up` keeps running.
    pub(crate) fn site(&self) -> SiteDirectory {
        SiteDirectory::at(&self.site)
    }

    /// A built program, as the newest build of a local site left it.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        self.programs.as_ref().map_or_else(|| name.into(), |folder| folder.join(name))
    }

    /// What the process that owns the site tells about itself.
    pub(crate) fn runner_record(&self) -> PathBuf {
        self.site().run().join("runner.json")
    }
}
