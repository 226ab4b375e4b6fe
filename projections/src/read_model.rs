//! The list of the read models: what each reads, where it keeps its rows, how it applies events.

use nsl_event_store::{Filter, RecordedEvent};
use nsl_schemas::event::price_feed::PriceFeedEvent;
use nsl_schemas::event::wallet::WalletEvent;
use sqlx::postgres::PgConnection;

use crate::prices::{FeedRow, RoundRow};
use crate::row::{self, Error, Row, Table};
use crate::signing_requests::SigningRequestRow;
use crate::transactions::TransactionRow;
use crate::wallets::WalletRow;

/// A read model. Its rows follow from the events' positions and payloads alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum ReadModel {
    /// What each wallet is now.
    Wallets,
    /// What became of each request for a signature.
    SigningRequests,
    /// Every signed transaction and whether the chain has it.
    Transactions,
    /// Every feed and every accepted round.
    Prices,
}

impl ReadModel {
    /// Every read model.
    pub const ALL: [Self; 4] = [Self::Wallets, Self::SigningRequests, Self::Transactions, Self::Prices];

    /// Its name: of its checkpoint, in metrics, readiness and answers, and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wallets => "wallets",
            Self::SigningRequests => "signing-requests",
            Self::Transactions => "transactions",
            Self::Prices => "prices",
        }
    }

    /// The events it reads.
    pub fn filter(self) -> Filter {
        let aggregate_type = match self {
            Self::Wallets | Self::SigningRequests | Self::Transactions => "wallet",
            Self::Prices => "price-feed",
        };
        Filter { aggregate_type: Some(aggregate_type.to_owned()), ..Filter::default() }
    }

    /// Where it keeps its rows.
    pub fn tables(self) -> &'static [Table] {
        match self {
            Self::Wallets => &[WalletRow::TABLE],
            Self::SigningRequests => &[SigningRequestRow::TABLE],
            Self::Transactions => &[TransactionRow::TABLE],
            Self::Prices => &[FeedRow::TABLE, RoundRow::TABLE],
        }
    }

    /// Applies events, in position order, within a transaction that the caller commits with the checkpoint.
    pub async fn apply(self, transaction: &mut PgConnection, events: &[RecordedEvent]) -> Result<(), Error> {
        match self {
            Self::Wallets => row::apply::<WalletRow>(transaction, &row::read::<WalletEvent>(events)?).await,
            Self::SigningRequests => {
                row::apply::<SigningRequestRow>(transaction, &row::read::<WalletEvent>(events)?).await
            }
            Self::Transactions => {
                row::apply::<TransactionRow>(transaction, &row::read::<WalletEvent>(events)?).await
            }
            Self::Prices => {
                let events = row::read::<PriceFeedEvent>(events)?;
                row::apply::<FeedRow>(transaction, &events).await?;
                row::apply::<RoundRow>(transaction, &events).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn the_command_line_knows_every_read_model_by_its_name() {
        for model in ReadModel::ALL {
            assert_eq!(ReadModel::from_str(model.name(), false), Ok(model));
        }
        assert_eq!(ReadModel::value_variants().len(), ReadModel::ALL.len());
    }
}
