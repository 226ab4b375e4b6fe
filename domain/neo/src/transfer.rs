//! The transfer transaction of a command: a pure function of the request.
//!
//! Client, command side and enclave call the same function with the same request and get the same bytes. So
//! one command can never become two different transactions, and nothing but the described transfer is ever
//! signed.

use crate::hash::{Hash160, sha256};
use crate::nep17::{self, Nep17Transfer};
use crate::private_key::{self, PrivateKey};
use crate::public_key::PublicKey;
use crate::signer::Signer;
use crate::transaction::{self, Transaction, TransactionFields, UnsignedTransaction};
use crate::witness::Witness;

/// Bytes of a command id (a UUID).
pub const COMMAND_ID_BYTES: usize = 16;

/// Why a transfer is not built or not signed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The script cannot be built.
    #[error("transfer script")]
    Script(#[from] nep17::Error),
    /// A field is outside the protocol's limits.
    #[error("transfer transaction")]
    Transaction(#[from] transaction::Error),
    /// The key is not the one that pays.
    #[error("the transfer is from {from}, but the key is {key}")]
    ForeignKey {
        /// The key of the paying account.
        from: PublicKey,
        /// The key given.
        key: PublicKey,
    },
    /// Signing failed.
    #[error("signature of a transfer")]
    Sign(#[source] private_key::Error),
}

/// All that determines a transfer transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferRequest {
    /// The command that orders it.
    pub command_id: [u8; COMMAND_ID_BYTES],
    /// The network on which it is valid.
    pub network_magic: u32,
    /// The token's contract.
    pub asset: Hash160,
    /// The key whose account pays.
    pub from: PublicKey,
    /// The account that receives.
    pub to: Hash160,
    /// Smallest units of the token.
    pub amount: u128,
    /// Paid for execution.
    pub system_fee_datoshi: i64,
    /// Paid for size and verification.
    pub network_fee_datoshi: i64,
    /// The last height at which a block may hold it.
    pub valid_until_block: u32,
}

/// The nonce of a command's transaction: the first four bytes of the SHA-256 of its id, little endian.
pub fn nonce_from_command_id(command_id: &[u8; COMMAND_ID_BYTES]) -> u32 {
    let [a, b, c, d, ..] = sha256(command_id);
    u32::from_le_bytes([a, b, c, d])
}

/// Builds the one transaction of a request.
pub fn build_transfer(request: &TransferRequest) -> Result<UnsignedTransaction, Error> {
    let from = request.from.script_hash();
    let transfer = Nep17Transfer { asset: request.asset, from, to: request.to, amount: request.amount };
    let fields = TransactionFields {
        nonce: nonce_from_command_id(&request.command_id),
        system_fee_datoshi: request.system_fee_datoshi,
        network_fee_datoshi: request.network_fee_datoshi,
        valid_until_block: request.valid_until_block,
        signers: vec![Signer::called_by_entry(from)],
        attributes: Vec::new(),
        script: transfer.script()?,
    };
    Ok(UnsignedTransaction::new(fields)?)
}

/// Builds the one transaction of a request and signs it for the request's network.
pub fn sign_transfer(request: &TransferRequest, key: &PrivateKey) -> Result<Transaction, Error> {
    if key.public_key() != request.from {
        return Err(Error::ForeignKey { from: request.from, key: key.public_key() });
    }
    let unsigned = build_transfer(request)?;
    let signature = key.sign(&unsigned.sign_data(request.network_magic)).map_err(Error::Sign)?;
    Ok(Transaction::new(unsigned, vec![Witness::single_signature(&request.from, &signature)])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native;
    use crate::signature::Signature;
    use crate::test_keys;
    use proptest::prelude::*;

    fn request() -> TransferRequest {
        TransferRequest {
            command_id: *b"\x01\x93\x4b\x5e\x0a\x1b\x7c\x2d\x8e\x3f\x40\x51\x62\x73\x84\x95",
            network_magic: 5_195_086,
            asset: native::GAS,
            from: test_keys::consensus().public_key(),
            to: Hash160::from_le_bytes([2; 20]),
            amount: 100_000_000,
            system_fee_datoshi: 997_775,
            network_fee_datoshi: 1_228_520,
            valid_until_block: 5_760,
        }
    }

    #[test]
    fn a_request_has_one_golden_transaction() {
        let unsigned = build_transfer(&request()).unwrap();
        // Computed outside this crate from the protocol's layout and SHA-256.
        let expected = [
            "00",
            "602a1de3",
            "8f390f0000000000",
            "e8be120000000000",
            "80160000",
            "01",
            "ee9ea22c27e34bd0148fc4108e08f74e8f5048b2",
            "01",
            "00",
            "5b",
            "0b0200e1f5050c14",
            &"02".repeat(20),
            "0c14",
            "ee9ea22c27e34bd0148fc4108e08f74e8f5048b2",
            "14c01f0c087472616e736665720c14cf76e28bd0062c4a478ee35561011319f3cfa4d241627d5b5239",
        ]
        .concat();
        assert_eq!(hex::encode(unsigned.to_bytes()), expected);
        assert_eq!(
            unsigned.hash().to_string(),
            "0xbfc9d331604ba92705b6dd7876b677e98421d5402c30bdb8592d7247438cd792"
        );
    }

    #[test]
    fn the_signature_is_over_magic_and_hash_and_fits_only_them() {
        let key = test_keys::consensus();
        let signed = sign_transfer(&request(), &key).unwrap();
        let [witness] = signed.witnesses() else { panic!("one witness") };
        let signature = Signature::from_bytes(witness.invocation[2..].try_into().unwrap());
        let unsigned = build_transfer(&request()).unwrap();
        assert!(key.public_key().verify(&unsigned.sign_data(5_195_086), &signature).is_ok());
        assert!(key.public_key().verify(&unsigned.sign_data(860_833_102), &signature).is_err());
        assert_eq!(signed.hash(), unsigned.hash());
    }

    #[test]
    fn another_key_does_not_sign() {
        let result = sign_transfer(&request(), &test_keys::key(1));
        assert!(matches!(result, Err(Error::ForeignKey { .. })));
    }

    #[test]
    fn values_outside_the_limits_are_refused() {
        let negative = TransferRequest { network_fee_datoshi: -1, ..request() };
        assert!(matches!(
            build_transfer(&negative),
            Err(Error::Transaction(transaction::Error::Fees { .. }))
        ));
        let huge = TransferRequest { amount: u128::MAX, ..request() };
        assert!(matches!(build_transfer(&huge), Err(Error::Script(nep17::Error::AmountTooLarge(_)))));
    }

    proptest! {
        #[test]
        fn the_script_shows_the_request(amount in any::<u64>(), to in any::<[u8; 20]>(), id in any::<[u8; 16]>()) {
            let request = TransferRequest {
                amount: u128::from(amount), to: Hash160::from_le_bytes(to), command_id: id, ..request()
            };
            let unsigned = build_transfer(&request).unwrap();
            let shown = Nep17Transfer::parse_script(&unsigned.fields().script).unwrap();
            prop_assert_eq!(shown.amount, request.amount);
            prop_assert_eq!(shown.to, request.to);
            prop_assert_eq!(shown.from, request.from.script_hash());
            prop_assert_eq!(shown.asset, request.asset);
            prop_assert_eq!(unsigned, build_transfer(&request).unwrap());
        }
    }
}
