//! Transactions: their fields, limits, bytes and hash.
//!
//! `UnsignedTransaction` and `Transaction` exist only within the protocol's limits, so encoding cannot fail
//! and decoding accepts nothing that encoding would not make. Each decodes to the value whose encoding was
//! read.

use crate::attribute::{self, Attribute};
use crate::binary::{self, Reader, write_bytes, write_length};
use crate::hash::{Hash160, Hash256};
use crate::script::SCRIPT_BYTES_LIMIT;
use crate::signer::{self, Signer};
use crate::witness::{WITNESS_SCRIPT_BYTES_LIMIT, Witness};

/// Longest transaction, witnesses included (protocol).
pub const TRANSACTION_BYTES_LIMIT: usize = 102_400;

/// Most signers and attributes together (protocol).
pub const SIGNERS_AND_ATTRIBUTES_LIMIT: usize = 16;

/// Bytes that are signed: network magic and hash.
pub const SIGN_DATA_BYTES: usize = 36;

/// The only version there is.
const VERSION: u8 = 0;

/// Why a transaction is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not an encoding of a transaction.
    #[error("transaction: {0}")]
    Binary(#[from] binary::Error),
    /// The version is unknown.
    #[error("unknown transaction version {0}")]
    Version(u8),
    /// A fee is negative, or both together overflow.
    #[error("fees of {system_datoshi} and {network_datoshi} datoshi are negative or too large")]
    Fees {
        /// The system fee.
        system_datoshi: i64,
        /// The network fee.
        network_datoshi: i64,
    },
    /// Nobody signs.
    #[error("a transaction needs a signer")]
    NoSigner,
    /// Two signers are the same account.
    #[error("{0} is a signer twice")]
    DuplicateSigner(Hash160),
    /// There are too many signers and attributes.
    #[error("at most 16 signers and attributes together, not {0}")]
    TooManySignersAndAttributes(usize),
    /// A signer is invalid.
    #[error("signer of a transaction")]
    Signer(#[from] signer::Error),
    /// An attribute is invalid.
    #[error("attribute of a transaction")]
    Attribute(#[from] attribute::Error),
    /// An attribute that may be given once is given twice.
    #[error("an attribute is given twice")]
    DuplicateAttribute,
    /// The script is empty or too long.
    #[error("a script has 1 to 65535 bytes, not {0}")]
    ScriptLength(usize),
    /// There is not one witness for each signer.
    #[error("{signers} signers, but {witnesses} witnesses")]
    WitnessCount {
        /// Signers of the transaction.
        signers: usize,
        /// Witnesses given.
        witnesses: usize,
    },
    /// A witness script is over the limit.
    #[error("a witness script has at most 1024 bytes, not {0}")]
    WitnessScriptLength(usize),
    /// A witness belongs to another account than the signer in its place.
    #[error("the witness of {0} is one of another account")]
    ForeignWitness(Hash160),
    /// The transaction is over the limit.
    #[error("a transaction has at most 102400 bytes, not {0}")]
    TooLarge(usize),
}

/// All that is signed; the version is always 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionFields {
    /// Makes two otherwise equal transactions different.
    pub nonce: u32,
    /// Paid for execution.
    pub system_fee_datoshi: i64,
    /// Paid for size and verification.
    pub network_fee_datoshi: i64,
    /// The last height at which a block may hold it.
    pub valid_until_block: u32,
    /// Who consents; the first one pays.
    pub signers: Vec<Signer>,
    /// How it is treated.
    pub attributes: Vec<Attribute>,
    /// What it does.
    pub script: Vec<u8>,
}

/// A transaction within the protocol's limits, not signed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsignedTransaction {
    fields: TransactionFields,
}

impl UnsignedTransaction {
    /// Judges the fields by the protocol's limits.
    pub fn new(fields: TransactionFields) -> Result<Self, Error> {
        check_fees(fields.system_fee_datoshi, fields.network_fee_datoshi)?;
        check_signers(&fields.signers, fields.attributes.len())?;
        check_attributes(&fields.attributes)?;
        if fields.script.is_empty() || fields.script.len() > SCRIPT_BYTES_LIMIT {
            return Err(Error::ScriptLength(fields.script.len()));
        }
        let transaction = Self { fields };
        let length = transaction.to_bytes().len();
        if length > TRANSACTION_BYTES_LIMIT { Err(Error::TooLarge(length)) } else { Ok(transaction) }
    }

    /// The fields.
    pub const fn fields(&self) -> &TransactionFields {
        &self.fields
    }

    /// The bytes that are hashed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let TransactionFields {
            nonce,
            system_fee_datoshi,
            network_fee_datoshi,
            valid_until_block,
            signers,
            attributes,
            script,
        } = &self.fields;
        let mut out = vec![VERSION];
        out.extend(nonce.to_le_bytes());
        out.extend(system_fee_datoshi.to_le_bytes());
        out.extend(network_fee_datoshi.to_le_bytes());
        out.extend(valid_until_block.to_le_bytes());
        write_length(&mut out, signers.len());
        for signer in signers {
            signer.encode(&mut out);
        }
        write_length(&mut out, attributes.len());
        for attribute in attributes {
            attribute.encode(&mut out);
        }
        write_bytes(&mut out, script);
        out
    }

    /// Reads the bytes that `to_bytes` made.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        check_size(bytes)?;
        let mut reader = Reader::new(bytes);
        let transaction = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(transaction)
    }

    /// The transaction's hash, its identity on the chain.
    pub fn hash(&self) -> Hash256 {
        Hash256::of(&self.to_bytes())
    }

    /// What signers sign: the network's magic and the hash. Signing hashes it once more.
    pub fn sign_data(&self, network_magic: u32) -> [u8; SIGN_DATA_BYTES] {
        let mut data = [0; SIGN_DATA_BYTES];
        let (magic, hash) = data.split_at_mut(size_of::<u32>());
        magic.copy_from_slice(&network_magic.to_le_bytes());
        hash.copy_from_slice(self.hash().as_le_bytes());
        data
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let version = reader.byte("version")?;
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let nonce = reader.u32("nonce")?;
        let system_fee_datoshi = reader.i64("system fee")?;
        let network_fee_datoshi = reader.i64("network fee")?;
        let valid_until_block = reader.u32("valid-until height")?;
        let signer_count = reader.length("signers", SIGNERS_AND_ATTRIBUTES_LIMIT)?;
        let signers = (0..signer_count).map(|_| Signer::decode(reader)).collect::<Result<_, _>>()?;
        let attribute_count = reader.length("attributes", SIGNERS_AND_ATTRIBUTES_LIMIT)?;
        let attributes = (0..attribute_count).map(|_| Attribute::decode(reader)).collect::<Result<_, _>>()?;
        let script = reader.bytes("script", SCRIPT_BYTES_LIMIT)?.to_vec();
        Self::new(TransactionFields {
            nonce,
            system_fee_datoshi,
            network_fee_datoshi,
            valid_until_block,
            signers,
            attributes,
            script,
        })
    }
}

/// A transaction with a witness for each signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    unsigned: UnsignedTransaction,
    witnesses: Vec<Witness>,
}

impl Transaction {
    /// Joins a transaction and its witnesses, one for each signer in order. Whether the signatures are right
    /// is not judged; that a witness is of the signer's account is.
    pub fn new(unsigned: UnsignedTransaction, witnesses: Vec<Witness>) -> Result<Self, Error> {
        let signers = &unsigned.fields.signers;
        if signers.len() != witnesses.len() {
            return Err(Error::WitnessCount { signers: signers.len(), witnesses: witnesses.len() });
        }
        for (signer, witness) in signers.iter().zip(&witnesses) {
            check_witness(signer, witness)?;
        }
        let transaction = Self { unsigned, witnesses };
        let length = transaction.to_bytes().len();
        if length > TRANSACTION_BYTES_LIMIT { Err(Error::TooLarge(length)) } else { Ok(transaction) }
    }

    /// What was signed.
    pub const fn unsigned(&self) -> &UnsignedTransaction {
        &self.unsigned
    }

    /// The witnesses in the order of the signers.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// The transaction's hash; witnesses are not part of it.
    pub fn hash(&self) -> Hash256 {
        self.unsigned.hash()
    }

    /// The bytes that nodes take.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.unsigned.to_bytes();
        write_length(&mut out, self.witnesses.len());
        for witness in &self.witnesses {
            witness.encode(&mut out);
        }
        out
    }

    /// Reads the bytes that nodes take.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        check_size(bytes)?;
        let mut reader = Reader::new(bytes);
        let unsigned = UnsignedTransaction::decode(&mut reader)?;
        let count = reader.length("witnesses", SIGNERS_AND_ATTRIBUTES_LIMIT)?;
        let witnesses = (0..count).map(|_| Witness::decode(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Self::new(unsigned, witnesses)
    }
}

fn check_size(bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() > TRANSACTION_BYTES_LIMIT { Err(Error::TooLarge(bytes.len())) } else { Ok(()) }
}

fn check_fees(system_datoshi: i64, network_datoshi: i64) -> Result<(), Error> {
    let overflows = system_datoshi.checked_add(network_datoshi).is_none();
    if system_datoshi < 0 || network_datoshi < 0 || overflows {
        return Err(Error::Fees { system_datoshi, network_datoshi });
    }
    Ok(())
}

fn check_signers(signers: &[Signer], attribute_count: usize) -> Result<(), Error> {
    if signers.is_empty() {
        return Err(Error::NoSigner);
    }
    let count = signers.len().saturating_add(attribute_count);
    if count > SIGNERS_AND_ATTRIBUTES_LIMIT {
        return Err(Error::TooManySignersAndAttributes(count));
    }
    let mut accounts = Vec::with_capacity(signers.len());
    for signer in signers {
        signer.validate()?;
        if accounts.contains(&signer.account) {
            return Err(Error::DuplicateSigner(signer.account));
        }
        accounts.push(signer.account);
    }
    Ok(())
}

fn check_attributes(attributes: &[Attribute]) -> Result<(), Error> {
    for (index, attribute) in attributes.iter().enumerate() {
        attribute.validate()?;
        if attributes.iter().take(index).any(|earlier| earlier.excludes(attribute)) {
            return Err(Error::DuplicateAttribute);
        }
    }
    Ok(())
}

/// A witness without a verification script is one of a contract, whose code the chain holds.
fn check_witness(signer: &Signer, witness: &Witness) -> Result<(), Error> {
    for script in [&witness.invocation, &witness.verification] {
        if script.len() > WITNESS_SCRIPT_BYTES_LIMIT {
            return Err(Error::WitnessScriptLength(script.len()));
        }
    }
    let own = witness.verification.is_empty() || Hash160::of_script(&witness.verification) == signer.account;
    if own { Ok(()) } else { Err(Error::ForeignWitness(signer.account)) }
}

#[cfg(test)]
mod tests;
