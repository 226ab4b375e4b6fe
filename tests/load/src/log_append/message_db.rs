//! message-db: its own SQL functions, read and write in two round trips a command. It keeps a global position by a
//! sequence, and no receipt or envelope.

use std::path::Path;
use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Row as _};
use uuid::Uuid;

use super::text;

/// Sessions of the peer, as many as of the other.
const CONNECTIONS: u32 = 16;
/// Its files in the order of its install.sh, by folder; the roles and privileges are not needed by the database's owner.
const FOLDERS: [&str; 6] = ["schema", "extensions", "tables", "types", "functions", "indexes"];
/// What `write_message` raises on a conflict: a plain RAISE EXCEPTION, told apart by its text alone.
const CONFLICT: &str = "Wrong expected version";

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("message-db's files cannot be read")]
    Files(#[from] std::io::Error),
    #[error("message-db's database")]
    Database(#[from] sqlx::Error),
}

/// Its functions in a database.
#[derive(Clone)]
pub(crate) struct MessageDb {
    pool: PgPool,
}

impl MessageDb {
    /// Installs it from the folder `database` of its package.
    pub(crate) async fn open(url: &str, package: &Path) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(url)?.options([("search_path", "message_store,public")]);
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
        for folder in FOLDERS {
            let mut files = std::fs::read_dir(package.join(folder))?
                .map(|entry| Ok(entry?.path()))
                .collect::<Result<Vec<_>, std::io::Error>>()?;
            files.sort();
            for file in files {
                sqlx::raw_sql(&std::fs::read_to_string(file)?).execute(&pool).await?;
            }
        }
        Ok(Self { pool })
    }

    /// Before each run: every stream is new.
    pub(crate) async fn empty(&self) -> Result<(), Error> {
        sqlx::query("TRUNCATE messages").execute(&self.pool).await?;
        Ok(())
    }

    /// What a client of the closed loop does.
    pub(crate) fn executor(&self) -> impl Fn(usize) -> Execution + Clone + Send + 'static {
        let peer = self.clone();
        move |aggregate| {
            let peer = peer.clone();
            Box::pin(async move { peer.execute(aggregate).await })
        }
    }

    /// Reads the stream, then writes at its version; a conflict is tried again.
    async fn execute(&self, aggregate: usize) -> Result<(), Error> {
        const READ: &str = "SELECT position, data FROM get_stream_messages($1, 0, 1000)";
        const WRITE: &str = "SELECT write_message($1, $2, 'deposited', $3::jsonb, $4::jsonb, $5)";
        let stream = format!("account-{aggregate}");
        let data = format!(r#"{{"amount":"5","text":"{}"}}"#, text());
        loop {
            let messages = sqlx::query(READ).bind(&stream).fetch_all(&self.pool).await?;
            let version: i64 = messages.last().map_or(Ok(-1), |message| message.try_get(0))?;
            let written = sqlx::query(WRITE)
                .bind(Uuid::now_v7().to_string())
                .bind(&stream)
                .bind(&data)
                .bind(r#"{"issuer":"benchmark"}"#)
                .bind(version)
                .execute(&self.pool)
                .await;
            match written {
                Err(sqlx::Error::Database(error)) if error.message().starts_with(CONFLICT) => {}
                written => return Ok(written.map(drop)?),
            }
        }
    }
}

type Execution = std::pin::Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;
