//! The one Neo transaction that a transfer command stands for (D9): a pure function of the signed command.

use nsl_neo::{
    Address, Hash160, PublicKey, Signature, Transaction, TransferRequest, UnsignedTransaction, Witness,
};
use nsl_schemas::bytes::Base64;
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::number::Datoshi;
use uuid::Uuid;

/// Why a command stands for no transaction.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a key.
    #[error("public key is not a compressed P-256 point")]
    PublicKey,
    /// Not `0x` and 40 lower-case hex digits.
    #[error("asset {0:?} is not 0x and 40 lower-case hex digits")]
    Asset(String),
    /// Not a Neo N3 address.
    #[error("recipient {0:?} is not a Neo N3 address")]
    Recipient(String),
    /// Above what a transaction can hold.
    #[error("fee {0} is above 2^63 - 1 datoshi")]
    Fee(Datoshi),
    /// Neo's own rules.
    #[error("transaction: {0}")]
    Transfer(#[from] nsl_neo::transfer::Error),
    /// Neo's own limits.
    #[error("transaction: {0}")]
    Transaction(#[from] nsl_neo::transaction::Error),
    /// The signature is not this key's over this transaction.
    #[error("signature does not match the transaction")]
    Signature,
}

/// The address of a compressed P-256 key in hex.
pub fn address(public_key: &str) -> Result<String, Error> {
    Ok(parse_key(public_key)?.address().to_string())
}

/// Reads a command's transfer, so that the same texts always mean the same transaction.
pub fn transfer_request(
    command_id: Uuid,
    public_key: &str,
    command: &RequestTransfer,
) -> Result<TransferRequest, Error> {
    let asset: Hash160 = canonical(&command.asset).ok_or_else(|| Error::Asset(command.asset.clone()))?;
    let to: Address = canonical(&command.to).ok_or_else(|| Error::Recipient(command.to.clone()))?;
    let fee = |datoshi: Datoshi| i64::try_from(datoshi.0).map_err(|_| Error::Fee(datoshi));
    Ok(TransferRequest {
        command_id: command_id.into_bytes(),
        network_magic: command.network_magic,
        asset,
        from: parse_key(public_key)?,
        to: to.script_hash(),
        amount: command.amount.0,
        system_fee_datoshi: fee(command.system_fee_datoshi)?,
        network_fee_datoshi: fee(command.network_fee_datoshi)?,
        valid_until_block: command.valid_until_block,
    })
}

/// The unsigned transaction.
pub fn transfer(
    command_id: Uuid,
    public_key: &str,
    command: &RequestTransfer,
) -> Result<UnsignedTransaction, Error> {
    Ok(nsl_neo::build_transfer(&transfer_request(command_id, public_key, command)?)?)
}

/// The bytes to send, after checking that `signature` is the key's over exactly this transaction.
pub fn with_witness(
    command_id: Uuid,
    public_key: &str,
    command: &RequestTransfer,
    signature: &[u8],
) -> Result<Base64, Error> {
    let key = parse_key(public_key)?;
    let unsigned = transfer(command_id, public_key, command)?;
    let signature = Signature::from_bytes(signature.try_into().map_err(|_| Error::Signature)?);
    key.verify(&unsigned.sign_data(command.network_magic), &signature).map_err(|_| Error::Signature)?;
    let witness = Witness::single_signature(&key, &signature);
    Ok(Base64(Transaction::new(unsigned, vec![witness])?.to_bytes()))
}

fn parse_key(public_key: &str) -> Result<PublicKey, Error> {
    let bytes = hex::decode(public_key).map_err(|_| Error::PublicKey)?;
    PublicKey::from_bytes(&bytes).map_err(|_| Error::PublicKey)
}

/// Reads a text that must be the one text of its value: policies compare texts.
fn canonical<T: std::str::FromStr + std::fmt::Display>(text: &str) -> Option<T> {
    text.parse::<T>().ok().filter(|value| value.to_string() == text)
}
