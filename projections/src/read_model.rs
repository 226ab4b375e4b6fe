//! The list of the read models: what each reads, where it keeps its rows, how it applies events.

use futures::future::{BoxFuture, FutureExt};
use nsl_event_store::{Filter, RecordedEvent};
use nsl_schemas::event::price_feed::PriceFeedEvent;
use nsl_schemas::event::secret::SecretEvent;
use nsl_schemas::event::wallet::WalletEvent;
use sqlx::postgres::PgConnection;

use crate::prices::{FeedRow, RoundRow};
use crate::row::{self, Error, Existing, Row, Table};
use crate::secrets::SecretRow;
use crate::signing_requests::SigningRequestRow;
use crate::transactions::TransactionRow;
use crate::wallets::WalletRow;

/// Applies events, in position order, within a transaction that the caller commits with the build's checkpoint.
pub type Apply =
    for<'a> fn(&'a mut PgConnection, &'a [RecordedEvent], Existing) -> BoxFuture<'a, Result<(), Error>>;

/// What a read model is. Its rows follow from the events' positions and payloads alone.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// Its name: of its builds, in metrics, readiness and answers, and on the command line.
    pub name: &'static str,
    /// Grows with every change of its tables or of what its rows say: each version is built anew from the log, beside
    /// the one that is live.
    pub version: u32,
    /// The aggregate whose events it reads.
    pub aggregate_type: &'static str,
    /// Where it keeps its rows.
    pub tables: &'static [Table],
    /// Makes its tables, in the schema that the session is on.
    pub schema: &'static str,
    /// Makes the indexes that only questions need, once there are rows.
    pub indexes: &'static str,
    /// How events become rows.
    pub apply: Apply,
}

/// What each wallet is now.
pub const WALLETS: Definition = Definition {
    name: "wallets",
    version: 1,
    aggregate_type: "wallet",
    tables: &[WalletRow::TABLE],
    schema: include_str!("../read_models/wallets.sql"),
    indexes: "",
    apply: wallet_rows::<WalletRow>,
};

/// What became of each request for a signature.
pub const SIGNING_REQUESTS: Definition = Definition {
    name: "signing-requests",
    version: 4,
    aggregate_type: "wallet",
    tables: &[SigningRequestRow::TABLE],
    schema: include_str!("../read_models/signing_requests.sql"),
    indexes: "CREATE UNIQUE INDEX IF NOT EXISTS signing_requests_newest ON signing_requests
              (tenant, first_position DESC)",
    apply: wallet_rows::<SigningRequestRow>,
};

/// Every signed transaction and whether the chain has it.
pub const TRANSACTIONS: Definition = Definition {
    name: "transactions",
    version: 1,
    aggregate_type: "wallet",
    tables: &[TransactionRow::TABLE],
    schema: include_str!("../read_models/transactions.sql"),
    indexes: "CREATE UNIQUE INDEX IF NOT EXISTS transactions_newest ON transactions (tenant, first_position DESC)",
    apply: wallet_rows::<TransactionRow>,
};

/// Who may read each secret.
pub const SECRETS: Definition = Definition {
    name: "secrets",
    version: 1,
    aggregate_type: "secret",
    tables: &[SecretRow::TABLE],
    schema: include_str!("../read_models/secrets.sql"),
    indexes: "",
    apply: secret_rows,
};

/// Every feed and every accepted round.
pub const PRICES: Definition = Definition {
    name: "prices",
    version: 1,
    aggregate_type: "price-feed",
    tables: &[FeedRow::TABLE, RoundRow::TABLE],
    schema: include_str!("../read_models/prices.sql"),
    indexes: "CREATE UNIQUE INDEX IF NOT EXISTS price_rounds_round ON price_rounds (tenant, pair, round);
              CREATE UNIQUE INDEX IF NOT EXISTS price_rounds_position ON price_rounds (tenant, position)",
    apply: price_rows,
};

/// Every read model.
pub const ALL: [&Definition; 5] = [&WALLETS, &SIGNING_REQUESTS, &TRANSACTIONS, &PRICES, &SECRETS];

impl Definition {
    /// The events it reads.
    pub fn filter(&self) -> Filter {
        Filter { aggregate_types: vec![self.aggregate_type.to_owned()], ..Filter::default() }
    }
}

fn wallet_rows<'a, R: Row<Event = WalletEvent>>(
    transaction: &'a mut PgConnection,
    events: &'a [RecordedEvent],
    existing: Existing,
) -> BoxFuture<'a, Result<(), Error>> {
    async move { row::apply::<R>(transaction, &row::read(events)?, existing).await }.boxed()
}

fn secret_rows<'a>(
    transaction: &'a mut PgConnection,
    events: &'a [RecordedEvent],
    existing: Existing,
) -> BoxFuture<'a, Result<(), Error>> {
    async move { row::apply::<SecretRow>(transaction, &row::read::<SecretEvent>(events)?, existing).await }
        .boxed()
}

fn price_rows<'a>(
    transaction: &'a mut PgConnection,
    events: &'a [RecordedEvent],
    existing: Existing,
) -> BoxFuture<'a, Result<(), Error>> {
    async move {
        let events = row::read::<PriceFeedEvent>(events)?;
        row::apply::<FeedRow>(transaction, &events, existing).await?;
        row::apply::<RoundRow>(transaction, &events, existing).await
    }
    .boxed()
}
