//! `nsl wallet create`

use std::path::PathBuf;

use clap::Args;
use nsl_client::{Prepared, wallet};
use nsl_schemas::authority::Quorum;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::number::Datoshi;
use nsl_schemas::policy::{AssetRule, Policy, Rules};
use nsl_schemas::token::AggregateId;
use uuid::Uuid;

use super::with_address;
use crate::assets::{Asset, parse_bound, parse_gas};
use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::session::{Invocation, Session};

/// Create a wallet.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its id.
    wallet: AggregateId,
    /// The first policy as JSON; or say it with the options below.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["network_magic", "allow", "fee_max", "owner", "recipient"])]
    policy: Option<PathBuf>,
    #[command(flatten)]
    terms: Terms,
    /// The id of a command that was sent before, to send it again.
    #[arg(long)]
    id: Option<Uuid>,
}

/// A simple policy.
#[derive(Debug, Args)]
struct Terms {
    /// The Neo network, by its magic number.
    #[arg(long, value_name = "MAGIC", required_unless_present = "policy")]
    network_magic: Option<u32>,
    /// An asset that may move and the most of it in one transaction, as GAS=10; repeat it for more.
    #[arg(long, value_name = "ASSET=AMOUNT", required_unless_present = "policy", value_parser = parse_bound)]
    allow: Vec<(Asset, String)>,
    /// Most GAS for the fees of one transaction.
    #[arg(long, value_name = "GAS", default_value = "1", value_parser = parse_gas)]
    fee_max: Datoshi,
    /// Who may change the policy, each alone (U…); by default the context's issuer.
    #[arg(long, value_name = "KEY", value_parser = PublicKey::parse)]
    owner: Vec<PublicKey>,
    /// The only addresses that may receive; by default any.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    recipient: Vec<String>,
}

impl Create {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let genesis = session.genesis()?.statement;
        let subject = session.client.subject("wallet", &self.wallet, "create")?;
        let prepared = match session.kept(self.id, &subject)? {
            Some(prepared) => prepared,
            None => self.prepare(&session)?,
        };
        session.keep(&prepared)?;
        let born = session.client.create_wallet(&prepared, &genesis, invocation.timeout()).await;
        match &born {
            Err(wallet::Error::Send(error)) => session.pending.settle(&prepared, Some(error))?,
            // The result is known; what follows is in the log.
            _ => session.pending.settle(&prepared, None)?,
        }
        Ok(Outcome::WalletCreated(with_address(born?)?))
    }

    fn prepare(self, session: &Session<'_>) -> Result<Prepared, Error> {
        let Self { wallet, policy, terms, id } = self;
        let policy = match policy {
            Some(path) => files::read_policy(&path)?,
            None => terms.policy(session)?,
        };
        let command_id = id.unwrap_or_else(Uuid::now_v7);
        Ok(session.client.prepare_create_wallet(command_id, &wallet, &policy)?)
    }
}

impl Terms {
    fn policy(self, session: &Session<'_>) -> Result<Policy, Error> {
        let Self { network_magic, allow, fee_max, owner, recipient } = self;
        let network_magic =
            network_magic.ok_or_else(|| Error::Input("--network-magic is missing".to_owned()))?;
        let keys = if owner.is_empty() { vec![session.issuer()?.public()] } else { owner };
        let rule = |(asset, amount): (Asset, String)| {
            Ok(AssetRule { asset: asset.hash(), amount_max: asset.parse_amount(&amount)? })
        };
        Ok(Policy {
            owners: Quorum { threshold: 1, keys },
            network_magic,
            assets: allow.into_iter().map(rule).collect::<Result<_, Error>>()?,
            recipients: (!recipient.is_empty()).then_some(recipient),
            fee_max_datoshi: fee_max,
            rules: Rules::default(),
        })
    }
}

pub(super) fn parse_address(text: &str) -> Result<String, nsl_neo::address::Error> {
    text.parse::<nsl_neo::Address>().map(|address| address.to_string())
}
