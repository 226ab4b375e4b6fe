//! `nsl custodian found`

use std::path::PathBuf;

use clap::Args;
use nsl_client::custodian;
use nsl_client::prepared::unix_now_ms;
use nsl_schemas::bytes::HpkeKey;
use nsl_schemas::command::sealing::{RecordKey, SEALING_ID};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::sealing::{Custodian, SealingOrder};
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::{AggregateId, AggregateType, Tenant, Verb};

use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;
use crate::session::{Invocation, Session};

/// Have a worker found a sealing key.
#[derive(Debug, Args)]
pub(crate) struct Found {
    /// A custodian, as NAME=KEY with the public key that `keygen` printed; repeat it for each. None where the manifest seals
    /// by AWS KMS.
    #[arg(long, value_name = "NAME=KEY", requires = "threshold", value_parser = parse_custodian)]
    custodian: Vec<Custodian>,
    /// How many of the custodians bring the key back.
    #[arg(long, value_name = "COUNT", requires = "custodian")]
    threshold: Option<u8>,
    /// The seed file of an operator's key; repeat it until the quorum is met.
    #[arg(long, value_name = "FILE", required = true)]
    seed: Vec<PathBuf>,
    /// Which worker, as `status` shows it; by default any.
    #[arg(long, value_name = "MODULE")]
    worker: Option<String>,
}

fn parse_custodian(text: &str) -> Result<Custodian, String> {
    let (name, key) = text.split_once('=').ok_or("expected NAME=KEY")?;
    let key: HpkeKey = key.parse().map_err(|_| "expected 64 hex digits after NAME=")?;
    Ok(Custodian { key, name: name.to_owned() })
}

impl Found {
    pub(crate) async fn run(self, invocation: &Invocation) -> Result<Outcome, Error> {
        let session = invocation.connect().await?;
        let genesis = session.genesis()?.statement;
        let keys: Vec<SigningKey> =
            self.seed.iter().map(|path| files::read_seed(path)).collect::<Result<_, _>>()?;
        let keys: Vec<&SigningKey> = keys.iter().collect();
        let operators = session.client.operators(&genesis).await?;
        let order = SealingOrder {
            custodians: self.custodian,
            epoch: next_epoch(&session).await?,
            genesis_sha256: genesis.sha256(),
            issued_at_ms: unix_now_ms(),
            quorum_epoch: operators.epoch(),
            threshold: self.threshold.unwrap_or_default(),
        };
        let order = custodian::order(&operators, order, &keys)?;
        let record = session.client.found_sealing_key(&genesis, self.worker, order).await?;
        let (epoch, key_id) = (record.statement.order.statement.epoch, record.statement.key_id.clone());
        let command = session.client.prepare(&subject(), &RecordKey { record })?;
        let result = session.deliver(&command).await?;
        Ok(Outcome::SealingKeyFounded { epoch, key_id, command: result.into() })
    }
}

async fn next_epoch(session: &Session<'_>) -> Result<u32, Error> {
    let records = session.client.sealing_records().await?;
    let last = records.last().map_or(0, |record| record.statement.order.statement.epoch);
    last.checked_add(1).ok_or_else(|| Error::Input("epochs are used up".to_owned()))
}

fn subject() -> CommandSubject {
    let literal = "a literal of permitted characters";
    CommandSubject {
        tenant: Tenant::system(),
        aggregate: AggregateType::parse("sealing").expect(literal),
        id: AggregateId::parse(SEALING_ID).expect(literal),
        verb: Verb::parse("record-key").expect(literal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custodian_is_a_name_and_a_key() {
        let key = "ab".repeat(32);
        let custodian = parse_custodian(&format!("ada={key}")).unwrap();
        assert_eq!((custodian.name.as_str(), custodian.key), ("ada", HpkeKey([0xab; 32])));
        for wrong in ["ada", "ada=", "ada=ab", &format!("{key}=ada")] {
            assert!(parse_custodian(wrong).is_err(), "{wrong}");
        }
    }
}
