//! The data folder of the cluster: where it can be, and its first initialisation.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{DATABASE, PostgresEndpoint, USER};
use crate::cancellation::Hooks;
use crate::command;
use crate::private_file::{self, make_directory, random_hex, read_bounded, remove, write_private};
use crate::site::SiteDirectory;
use crate::user::{self, User};

/// Postgres does not run as root, and the account it runs as cannot enter root's home, where a clone may well
/// be. Its data then stands in a private folder below this one, and a pointer in the site names it.
/// (`/var/tmp` would do too, but systems clean that of old files.)
const ELSEWHERE: &str = "/var/lib/nsl-local-services";

/// The cluster could not be created or found again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pointer names a folder that is gone or not ours.
    #[error("the Postgres data of this site was in {}, which is gone or has another owner", path.display())]
    DataMissing {
        /// The named folder.
        path: PathBuf,
    },
    /// initdb or the creation of the database failed.
    #[error("cannot create the Postgres cluster")]
    Initialise(#[from] command::Error),
    /// The primary could not be copied.
    #[error("cannot copy the Postgres primary on port {port}")]
    Copy {
        /// Where it listens.
        port: u16,
        /// Why.
        #[source]
        source: command::Error,
    },
    /// The standby did not become a primary.
    #[error("cannot promote the Postgres standby")]
    Promote(#[source] command::Error),
    /// The account to run it as is missing.
    #[error(transparent)]
    User(#[from] user::Error),
    /// A folder or file could not be used.
    #[error(transparent)]
    File(#[from] private_file::Error),
}

/// A cluster's folder and the account that owns it.
#[derive(Debug)]
pub(crate) struct Cluster {
    folder: PathBuf,
    user: Option<User>,
}

impl Cluster {
    /// The folder of the site's cluster, created when it is missing.
    pub(crate) fn locate(directory: &SiteDirectory) -> Result<Self, Error> {
        let user = User::unprivileged()?;
        let inside = directory.postgres();
        let folder = match (&user, read_bounded(&directory.postgres_pointer())?) {
            (Some(user), Some(pointer)) => existing_elsewhere(Path::new(pointer.trim()), user)?,
            (Some(user), None) if !user.can_traverse(directory.path()) => create_elsewhere(directory, user)?,
            _ => inside,
        };
        make_directory(&folder, 0o700)?;
        if let Some(user) = &user {
            user.own(&folder)?;
        }
        Ok(Self { folder, user })
    }

    pub(crate) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(crate) fn sockets(&self) -> PathBuf {
        self.folder.join("sockets")
    }

    /// The major version that wrote the data; `None` before the first initialisation.
    pub(crate) fn major(&self) -> Result<Option<u32>, Error> {
        let version = read_bounded(&self.data().join("PG_VERSION"))?;
        Ok(version.and_then(|text| text.trim().parse().ok()))
    }

    /// Creates the data, unless it is there. The last step is a rename, so a crash leaves nothing half done.
    pub(crate) fn initialise(&self, binaries: &Path, password: &str, hooks: &Hooks) -> Result<(), Error> {
        if self.major()?.is_some() {
            return Ok(());
        }
        hooks.report("creating the Postgres cluster");
        let staged = self.folder.join("data.new");
        remove(&staged)?;
        let password_file = self.folder.join("password");
        write_private(&password_file, password.as_bytes())?;
        self.make_sockets()?;
        if let Some(user) = &self.user {
            user.own(&password_file)?;
        }
        let created = self.create_in(&staged, binaries, &password_file);
        remove(&password_file)?;
        created?;
        let data = self.data();
        std::fs::rename(&staged, &data).map_err(private_file::io_error("move into place", &data))?;
        Ok(())
    }

    /// Copies a running primary and makes the copy its standby, unless there is data already.
    pub(crate) fn copy(
        &self,
        binaries: &Path,
        primary: &PostgresEndpoint,
        hooks: &Hooks,
    ) -> Result<(), Error> {
        if self.major()?.is_some() {
            return Ok(());
        }
        hooks.report("copying the Postgres primary");
        let staged = self.folder.join("data.new");
        remove(&staged)?;
        self.make_sockets()?;
        let mut copy = self.client("pg_basebackup", binaries, primary);
        // The recovery configuration names the primary, so that the copy follows it from its first start on.
        copy.args(["--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf", "--pgdata"])
            .arg(&staged);
        let failed = |source| Error::Copy { port: primary.port, source };
        command::run(copy, "").map_err(failed)?;
        let data = self.data();
        std::fs::rename(&staged, &data).map_err(private_file::io_error("move into place", &data))?;
        Ok(())
    }

    /// Makes a running standby a primary; it is one when this returns.
    pub(crate) fn promote(&self, binaries: &Path, endpoint: &PostgresEndpoint) -> Result<(), Error> {
        // A standby that is none in time is a false, which cannot be divided by.
        const PROMOTE: &str = "SELECT 1 / pg_promote()::integer;";
        command::run(self.psql(binaries, endpoint), PROMOTE).map_err(Error::Promote)?;
        Ok(())
    }

    fn make_sockets(&self) -> Result<(), Error> {
        make_directory(&self.sockets(), 0o700)?;
        if let Some(user) = &self.user {
            user.own(&self.sockets())?;
        }
        Ok(())
    }

    /// A program that connects as the owner of the database.
    fn client(&self, program: &str, binaries: &Path, endpoint: &PostgresEndpoint) -> Command {
        let mut client = command::prepare(&binaries.join(program), self.user(), &self.folder);
        client
            .args(["--host=127.0.0.1", "--username", USER, "--no-password"])
            .arg(format!("--port={}", endpoint.port))
            // Not in an argument, which every process of the machine can read.
            .env("PGPASSWORD", &endpoint.password);
        client
    }

    fn psql(&self, binaries: &Path, endpoint: &PostgresEndpoint) -> Command {
        let mut psql = self.client("psql", binaries, endpoint);
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-", "--dbname", DATABASE]);
        psql
    }

    /// Lets the services' roles log in with their passwords, making those that are missing. At every start: the cluster
    /// may be older than a role.
    pub(crate) fn give_roles(&self, binaries: &Path, endpoint: &PostgresEndpoint) -> Result<(), Error> {
        let mut psql = self.psql(binaries, endpoint);
        psql.arg("--single-transaction");
        command::run(psql, &role_statements(endpoint))?;
        Ok(())
    }

    fn create_in(&self, data: &Path, binaries: &Path, password_file: &Path) -> Result<(), command::Error> {
        let mut initdb = command::prepare(&binaries.join("initdb"), self.user(), &self.folder);
        let mut password_argument = OsString::from("--pwfile=");
        password_argument.push(password_file);
        initdb
            .args(["--username", USER, "--auth=scram-sha-256", "--data-checksums"])
            .args(["--encoding=UTF8", "--locale=C", "--no-instructions", "--pgdata"])
            .args([data.as_os_str(), &password_argument]);
        command::run(initdb, "")?;
        let mut single = command::prepare(&binaries.join("postgres"), self.user(), &self.folder);
        single.args(["--single", "-D"]).arg(data).arg("template1");
        command::run(single, &format!("CREATE DATABASE {DATABASE} OWNER {USER};\n"))?;
        Ok(())
    }
}

/// Role names are ours and passwords are hex, so neither needs quoting beyond this.
fn role_statements(endpoint: &PostgresEndpoint) -> String {
    let statement = |(role, password): (&&str, &String)| {
        format!(
            "SELECT 'CREATE ROLE {role}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') \\gexec\n\
             ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD '{password}';\n"
        )
    };
    endpoint.roles.iter().map(statement).collect()
}

/// Removes the data that a site keeps elsewhere, if it does.
pub(crate) fn remove_elsewhere(directory: &SiteDirectory) -> Result<(), Error> {
    if let (Some(user), Some(pointer)) = (User::unprivileged()?, read_bounded(&directory.postgres_pointer())?)
    {
        match existing_elsewhere(Path::new(pointer.trim()), &user) {
            Ok(folder) => remove(&folder)?,
            Err(Error::DataMissing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Checks what a pointer says before root touches it: one name directly in our folder, owned by the account.
fn existing_elsewhere(path: &Path, user: &User) -> Result<PathBuf, Error> {
    let is_ours = path.parent() == Some(Path::new(ELSEWHERE))
        && path.file_name().is_some()
        && path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == user.uid);
    if is_ours { Ok(path.to_owned()) } else { Err(Error::DataMissing { path: path.to_owned() }) }
}

fn create_elsewhere(directory: &SiteDirectory, user: &User) -> Result<PathBuf, Error> {
    let path = Path::new(ELSEWHERE).join(random_hex(16)?);
    make_directory(Path::new(ELSEWHERE), 0o711)?;
    make_directory(&path, 0o700)?;
    user.own(&path)?;
    // Last, so that a pointer never names a folder that is not there yet.
    write_private(&directory.postgres_pointer(), path.display().to_string().as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointer_outside_our_folder_is_refused() {
        let root = User { uid: 0, gid: 0 };
        for path in
            ["/", "/etc", "/var/lib/nsl-local-services", "/var/lib/nsl-local-services/..", "", "relative"]
        {
            let result = existing_elsewhere(Path::new(path), &root);
            assert!(matches!(result, Err(Error::DataMissing { .. })), "{path}");
        }
    }
}
