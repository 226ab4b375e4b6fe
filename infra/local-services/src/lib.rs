//! Real Postgres, nats-server and Neo node as private child processes of one *site*.
//!
//! A site is a folder that owns data, secrets, logs and ports; whoever opens it owns the processes. They
//! end with the opener, whichever way it ends, and find their data again when the site is opened next.

mod cancellation;
mod command;
mod installation;
mod nats;
mod neo;
mod port;
mod postgres;
mod private_file;
mod probe;
mod process;
mod site;
mod tools;
mod user;
mod version;
mod wheel;
mod workspace;

pub use cancellation::Hooks;
pub use installation::{Installation, Origin};
pub use nats::NatsEndpoint;
pub use neo::{NETWORK_MAGIC, NeoEndpoint};
pub use postgres::{PostgresEndpoint, ROLES as POSTGRES_ROLES};
pub use private_file::Error as PrivateFileError;
pub use private_file::{make_directory, read_bounded, write_private};
pub use probe::{Readiness, http_get_status};
pub use process::{Error as ProcessError, Identity, Process, Specification, StopSignal};
pub use site::{Endpoints, Error, Part, Site, SiteDirectory, add_tenant};
pub use tools::{Error as ToolsError, Tools};
pub use version::Version;
pub use workspace::workspace_root;
