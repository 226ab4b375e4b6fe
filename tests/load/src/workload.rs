//! What is sent: commands on the benchmark's wallets, signed beforehand.

use async_nats::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nsl_client::prepared::unix_now_ms;
use nsl_neo::{Address, Hash160, native};
use nsl_schemas::authority::Quorum;
use nsl_schemas::canonical;
use nsl_schemas::command::wallet::{Create, RequestTransfer};
use nsl_schemas::envelope::{
    Envelope, HEADER_COMMAND_ID, HEADER_EXPIRES_AT_MS, HEADER_ISSUED_AT_MS, HEADER_ISSUER, HEADER_SIGNATURE,
    SignedCommand,
};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::number::{Amount, Datoshi};
use nsl_schemas::policy::{AssetRule, Policy, Rules};
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{self, AggregateId, AggregateType, Tenant, Verb};
use uuid::Uuid;

/// How many aggregates take the load.
pub(crate) const WALLETS: usize = 1_000;
/// A command's life: longer than any run, so that none expires in it.
const LIFETIME_MS: u64 = 60 * 60 * 1000;
/// The network that the wallets sign for; no transaction is sent, so any number does.
const NETWORK_MAGIC: u32 = 5_195_086;
/// As a node quotes a GAS transfer.
const SYSTEM_FEE_DATOSHI: Datoshi = Datoshi(997_775);
/// As a node quotes a transfer with one signature.
const NETWORK_FEE_DATOSHI: Datoshi = Datoshi(1_228_520);

/// A signed command with the message that carries it.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    /// Where it goes.
    pub(crate) subject: CommandSubject,
    /// The signed command.
    pub(crate) command: SignedCommand,
    /// Its envelope as headers.
    pub(crate) headers: HeaderMap,
}

/// Makes commands.
pub(crate) struct Workload {
    tenant: Tenant,
    issuer: SigningKey,
    wallet: AggregateType,
    create: Verb,
    transfer: Verb,
}

impl Workload {
    /// Commands of `issuer` on wallets of `tenant`.
    pub(crate) fn new(tenant: Tenant, issuer: SigningKey) -> Result<Self, token::Error> {
        let wallet = AggregateType::parse("wallet")?;
        let (create, transfer) = (Verb::parse("create")?, Verb::parse("request-transfer")?);
        Ok(Self { tenant, issuer, wallet, create, transfer })
    }

    /// Asks for every wallet's key.
    pub(crate) fn creations(&self) -> Result<Vec<Ready>, token::Error> {
        let policy = Policy {
            owners: Quorum { threshold: 1, keys: vec![self.issuer.public()] },
            network_magic: NETWORK_MAGIC,
            assets: vec![AssetRule { asset: native::GAS.to_string(), amount_max: Amount(1) }],
            recipients: None,
            fee_max_datoshi: Datoshi(SYSTEM_FEE_DATOSHI.0 + NETWORK_FEE_DATOSHI.0),
            rules: Rules::default(),
        };
        let payload = canonical::to_string(&Create { policy });
        (0..WALLETS).map(|index| self.sign(index, &self.create, payload.clone())).collect()
    }

    /// `count` transfers that the wallets take in turn, beginning with wallet `first`.
    pub(crate) fn transfers(&self, first: usize, count: usize) -> Result<Vec<Ready>, token::Error> {
        let transfer = RequestTransfer {
            network_magic: NETWORK_MAGIC,
            asset: native::GAS.to_string(),
            to: Address::from(Hash160::of_script(&self.issuer.public().0)).to_string(),
            amount: Amount(1),
            system_fee_datoshi: SYSTEM_FEE_DATOSHI,
            network_fee_datoshi: NETWORK_FEE_DATOSHI,
            valid_until_block: 5_760,
        };
        let payload = canonical::to_string(&transfer);
        (first..first + count)
            .map(|index| self.sign(index % WALLETS, &self.transfer, payload.clone()))
            .collect()
    }

    fn sign(&self, wallet: usize, verb: &Verb, payload: String) -> Result<Ready, token::Error> {
        let subject = CommandSubject {
            tenant: self.tenant.clone(),
            aggregate: self.wallet.clone(),
            id: AggregateId::parse(&format!("load-{wallet}"))?,
            verb: verb.clone(),
        };
        let now_ms = unix_now_ms();
        let command = SignedCommand::sign(
            &self.issuer,
            &subject,
            Uuid::now_v7(),
            now_ms,
            now_ms + LIFETIME_MS,
            payload,
        );
        let headers = headers(&command.envelope);
        Ok(Ready { subject, command, headers })
    }
}

fn headers(envelope: &Envelope) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HEADER_COMMAND_ID, envelope.command_id.to_string());
    headers.insert(HEADER_ISSUER, envelope.issuer.to_string());
    headers.insert(HEADER_ISSUED_AT_MS, envelope.issued_at_ms.to_string());
    headers.insert(HEADER_EXPIRES_AT_MS, envelope.expires_at_ms.to_string());
    headers.insert(HEADER_SIGNATURE, STANDARD.encode(&envelope.signature.0));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_go_round_the_wallets_and_hold() {
        let workload =
            Workload::new(Tenant::parse("acme").unwrap(), SigningKey::from_seed(&[1; 32])).unwrap();
        let transfers = workload.transfers(WALLETS - 1, 3).unwrap();
        let wallets: Vec<_> = transfers.iter().map(|one| one.subject.id.to_string()).collect();
        assert_eq!(wallets, ["load-999", "load-0", "load-1"]);
        assert!(transfers.iter().all(|one| one.command.verify().is_ok()));
    }
}
