//! Network fees: what a transaction pays for its size and for checking its witnesses.
//!
//! Equal to what a node's `calculatenetworkfee` answers, from the two numbers of the Policy contract.

use crate::account::{Account, Multisig};
use crate::binary::write_length;
use crate::transaction::UnsignedTransaction;

/// Parts of a datoshi in which the execution fee factor is given.
pub const PICO_PER_DATOSHI: i64 = 10_000;

/// Price of PUSHDATA1, in units of the execution fee factor.
const PUSH_DATA_UNITS: i64 = 1 << 3;

/// Price of pushing a number.
const PUSH_INTEGER_UNITS: i64 = 1;

/// Price of checking one signature; a multi-signature check pays it for each key.
const CHECK_SIGNATURE_UNITS: i64 = 1 << 15;

/// Why a fee cannot be calculated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The accounts are not the transaction's signers in order.
    #[error("the accounts are not the transaction's signers in order")]
    AccountsMismatch,
    /// Attributes have fees of their own in the Policy contract, which are not known here.
    #[error("the fee of a transaction with attributes is not known locally: ask a node")]
    AttributeFee,
    /// The fee is over what a transaction can hold.
    #[error("the fee overflows")]
    Overflow,
}

/// The network's prices, read from the Policy contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeePolicy {
    /// Price of one byte of a transaction.
    pub fee_per_byte_datoshi: u32,
    /// Price of one unit of execution, in ten-thousandths of a datoshi.
    pub exec_fee_factor_pico: u32,
}

impl FeePolicy {
    /// The network fee of a transaction whose signers are `accounts`, signed completely.
    pub fn network_fee_datoshi(
        self,
        transaction: &UnsignedTransaction,
        accounts: &[Account],
    ) -> Result<i64, Error> {
        let fields = transaction.fields();
        if !fields.signers.iter().map(|signer| signer.account).eq(accounts.iter().map(Account::script_hash)) {
            return Err(Error::AccountsMismatch);
        }
        if !fields.attributes.is_empty() {
            return Err(Error::AttributeFee);
        }
        let size = i64::try_from(signed_bytes(transaction, accounts)).map_err(|_| Error::Overflow)?;
        let size_fee = size.checked_mul(i64::from(self.fee_per_byte_datoshi)).ok_or(Error::Overflow)?;
        accounts.iter().try_fold(size_fee, |sum, account| {
            sum.checked_add(self.verification_fee_datoshi(account)?).ok_or(Error::Overflow)
        })
    }

    /// The price of checking one witness, rounded up to a whole datoshi as nodes do.
    fn verification_fee_datoshi(self, account: &Account) -> Result<i64, Error> {
        let pico = verification_units(account)?
            .checked_mul(i64::from(self.exec_fee_factor_pico))
            .and_then(|pico| pico.checked_add(PICO_PER_DATOSHI - 1))
            .ok_or(Error::Overflow)?;
        Ok(pico / PICO_PER_DATOSHI)
    }
}

/// The transaction's size when every account has signed.
fn signed_bytes(transaction: &UnsignedTransaction, accounts: &[Account]) -> usize {
    let mut lengths = Vec::new();
    write_length(&mut lengths, accounts.len());
    let mut scripts = 0;
    for account in accounts {
        let (invocation, verification) = (account.invocation_bytes(), account.verification_script().len());
        write_length(&mut lengths, invocation);
        write_length(&mut lengths, verification);
        scripts += invocation + verification;
    }
    transaction.to_bytes().len() + lengths.len() + scripts
}

fn verification_units(account: &Account) -> Result<i64, Error> {
    match account {
        Account::SingleSignature(_) => Ok(2 * PUSH_DATA_UNITS + CHECK_SIGNATURE_UNITS),
        Account::Multisig(account) => multisig_units(account),
    }
}

fn multisig_units(account: &Multisig) -> Result<i64, Error> {
    let signatures = i64::try_from(account.threshold()).map_err(|_| Error::Overflow)?;
    let keys = i64::try_from(account.keys().len()).map_err(|_| Error::Overflow)?;
    let pushes = signatures
        .checked_add(keys)
        .and_then(|count| count.checked_mul(PUSH_DATA_UNITS))
        .and_then(|units| units.checked_add(2 * PUSH_INTEGER_UNITS));
    let checks = keys.checked_mul(CHECK_SIGNATURE_UNITS);
    pushes.zip(checks).and_then(|(pushes, checks)| pushes.checked_add(checks)).ok_or(Error::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::Attribute;
    use crate::signature::Signature;
    use crate::signer::Signer;
    use crate::test_keys;
    use crate::transaction::{Transaction, TransactionFields};
    use crate::witness::Witness;

    const POLICY: FeePolicy = FeePolicy { fee_per_byte_datoshi: 1000, exec_fee_factor_pico: 300_000 };

    fn transaction(accounts: &[Account], attributes: Vec<Attribute>) -> UnsignedTransaction {
        let signers = accounts.iter().map(|account| Signer::called_by_entry(account.script_hash())).collect();
        UnsignedTransaction::new(TransactionFields {
            nonce: 1,
            system_fee_datoshi: 0,
            network_fee_datoshi: 0,
            valid_until_block: 1,
            signers,
            attributes,
            script: vec![0x11],
        })
        .unwrap()
    }

    fn multisig(threshold: usize, keys: u8) -> Multisig {
        let keys = (1..=keys).map(|number| test_keys::key(number).public_key()).collect();
        Multisig::new(threshold, keys).unwrap()
    }

    #[test]
    fn a_single_signature_costs_the_documented_fee() {
        let accounts = [Account::SingleSignature(test_keys::consensus().public_key())];
        let unsigned = transaction(&accounts, vec![]);
        let size = i64::try_from(unsigned.to_bytes().len()).unwrap() + 1 + 1 + 66 + 1 + 40;
        assert_eq!(POLICY.network_fee_datoshi(&unsigned, &accounts), Ok(size * 1000 + 983_520));
    }

    #[test]
    fn the_size_counted_is_the_size_of_the_signed_transaction() {
        let one_byte = FeePolicy { fee_per_byte_datoshi: 1, exec_fee_factor_pico: 0 };
        let key = test_keys::consensus().public_key();
        let signature = Signature::from_bytes([7; 64]);
        for group in [multisig(1, 1), multisig(4, 7), multisig(15, 29)] {
            let accounts = [Account::SingleSignature(key), Account::Multisig(group.clone())];
            let unsigned = transaction(&accounts, vec![]);
            let signatures: Vec<_> =
                group.keys().iter().take(group.threshold()).map(|key| (*key, signature)).collect();
            let witnesses =
                vec![Witness::single_signature(&key, &signature), group.witness(&signatures).unwrap()];
            let signed = Transaction::new(unsigned.clone(), witnesses).unwrap();
            let size = i64::try_from(signed.to_bytes().len()).unwrap();
            assert_eq!(one_byte.network_fee_datoshi(&unsigned, &accounts), Ok(size));
        }
    }

    #[test]
    fn a_multi_signature_pays_for_every_key_and_rounds_up() {
        let accounts = [Account::Multisig(multisig(2, 3))];
        let unsigned = transaction(&accounts, vec![]);
        let units = 8 * 2 + 1 + 8 * 3 + 1 + 32_768 * 3;
        let policy = FeePolicy { fee_per_byte_datoshi: 0, exec_fee_factor_pico: 300_000 };
        assert_eq!(policy.network_fee_datoshi(&unsigned, &accounts), Ok(30 * units));
        let policy = FeePolicy { fee_per_byte_datoshi: 0, exec_fee_factor_pico: 1 };
        assert_eq!(policy.network_fee_datoshi(&unsigned, &accounts), Ok((units + 9_999) / 10_000));
    }

    #[test]
    fn what_is_not_known_locally_is_refused() {
        let accounts = [Account::SingleSignature(test_keys::consensus().public_key())];
        let with_attribute = transaction(&accounts, vec![Attribute::HighPriority]);
        assert_eq!(POLICY.network_fee_datoshi(&with_attribute, &accounts), Err(Error::AttributeFee));
        let unsigned = transaction(&accounts, vec![]);
        assert_eq!(POLICY.network_fee_datoshi(&unsigned, &[]), Err(Error::AccountsMismatch));
        let other = [Account::SingleSignature(test_keys::key(1).public_key())];
        assert_eq!(POLICY.network_fee_datoshi(&unsigned, &other), Err(Error::AccountsMismatch));
    }
}
