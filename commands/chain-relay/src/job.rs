//! A job as it was read: the transaction's bytes are the ones that its hash and last block speak of.

use nsl_neo::{Hash256, Transaction, hash, transaction};
use nsl_schemas::canonical;
use nsl_schemas::job::SubmitJob;

/// Why a message is no job that could ever be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("job cannot be read")]
    Shape(#[from] canonical::Error),
    #[error("job's transaction hash {text:?} is none")]
    Hash {
        text: String,
        #[source]
        source: hash::Error,
    },
    #[error("job's bytes are no transaction")]
    Transaction(#[from] transaction::Error),
    #[error("job is about {expected}, but its bytes are {found}")]
    OtherTransaction { expected: Hash256, found: Hash256 },
    #[error("job ends at block {expected}, but its transaction at {found}")]
    OtherLastBlock { expected: u32, found: u32 },
}

/// A job that makes sense.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) order: SubmitJob,
    pub(crate) transaction: Transaction,
    pub(crate) hash: Hash256,
}

impl Job {
    /// Reads a job; the bus bounds its size.
    pub(crate) fn read(payload: &[u8]) -> Result<Self, Error> {
        let order: SubmitJob = canonical::from_slice(payload)?;
        let expected: Hash256 = order
            .tx_hash
            .parse()
            .map_err(|source| Error::Hash { text: order.tx_hash.chars().take(80).collect(), source })?;
        let transaction = Transaction::from_bytes(&order.transaction.0)?;
        let hash = transaction.hash();
        if hash != expected {
            return Err(Error::OtherTransaction { expected, found: hash });
        }
        let last_block = transaction.unsigned().fields().valid_until_block;
        if last_block != order.valid_until_block {
            return Err(Error::OtherLastBlock { expected: order.valid_until_block, found: last_block });
        }
        Ok(Self { order, transaction, hash })
    }
}

#[cfg(test)]
mod tests {
    use nsl_neo::{Hash160, PublicKey, Signature, TransferRequest, Witness, build_transfer, native};
    use nsl_schemas::bytes::Base64;
    use nsl_schemas::token::{AggregateId, Tenant};
    use uuid::Uuid;

    use super::*;

    fn order() -> SubmitJob {
        // The generator of P-256, compressed.
        let key = hex::decode("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296").unwrap();
        let key = PublicKey::from_bytes(&key).unwrap();
        let unsigned = build_transfer(&TransferRequest {
            command_id: [7; 16],
            network_magic: 1,
            asset: native::GAS,
            from: key,
            to: Hash160::from_le_bytes([2; 20]),
            amount: 1,
            system_fee_datoshi: 1,
            network_fee_datoshi: 1,
            valid_until_block: 10,
        })
        .unwrap();
        let witness = Witness::single_signature(&key, &Signature::from_bytes([1; 64]));
        let transaction = Transaction::new(unsigned, vec![witness]).unwrap();
        SubmitJob {
            job_id: Uuid::from_u128(1),
            tenant: Tenant::parse("acme").unwrap(),
            wallet: AggregateId::parse("main").unwrap(),
            request_id: Uuid::from_u128(2),
            tx_hash: transaction.hash().to_string(),
            valid_until_block: 10,
            transaction: Base64(transaction.to_bytes()),
        }
    }

    fn read(order: &SubmitJob) -> Result<Job, Error> {
        Job::read(canonical::to_string(order).as_bytes())
    }

    #[test]
    fn a_job_is_taken_only_if_its_parts_speak_of_one_transaction() {
        assert_eq!(read(&order()).unwrap().hash.to_string(), order().tx_hash);
        let other_hash = Hash256::from_le_bytes([9; 32]).to_string();
        let cut = order().transaction.0[1..].to_vec();
        assert!(matches!(read(&SubmitJob { tx_hash: "0x".into(), ..order() }), Err(Error::Hash { .. })));
        assert!(matches!(
            read(&SubmitJob { tx_hash: other_hash, ..order() }),
            Err(Error::OtherTransaction { .. })
        ));
        assert!(matches!(
            read(&SubmitJob { valid_until_block: 11, ..order() }),
            Err(Error::OtherLastBlock { expected: 11, found: 10 })
        ));
        assert!(matches!(
            read(&SubmitJob { transaction: Base64(cut), ..order() }),
            Err(Error::Transaction(_))
        ));
        assert!(matches!(Job::read(b"{}"), Err(Error::Shape(_))));
    }
}
