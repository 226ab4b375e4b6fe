//! The transaction that follows from a command: nonce from its id, every other field from its payload (D9).

use nsl_neo::UnsignedTransaction;
use nsl_policy::transaction;
use nsl_schemas::canonical;
use serde_json::{Value, json};

use super::{COMMAND_ID, NETWORK_MAGIC, transfer};

/// The P-256 base point, compressed: a public key whose private key, 1, everybody knows.
pub(in super::super) const PUBLIC_KEY: &str =
    "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";

pub(super) fn document() -> Value {
    let unsigned = unsigned();
    json!({
        "about": "A transfer is a pure function of command id, sender's key and payload: the nonce is the first four \
            bytes of the SHA-256 of the command id's 16 bytes. The worker signs sign_data.",
        "command_id": COMMAND_ID,
        "sender_public_key": PUBLIC_KEY,
        "payload": canonical::to_string(&transfer()),
        "nonce": unsigned.fields().nonce,
        "unsigned_transaction_hex": hex::encode(unsigned.to_bytes()),
        "tx_hash": unsigned.hash().to_string(),
        "sign_data_hex": hex::encode(unsigned.sign_data(NETWORK_MAGIC)),
    })
}

/// The transaction of the command `commands.json` requests.
pub(in super::super) fn unsigned() -> UnsignedTransaction {
    let public_key = PUBLIC_KEY.parse().expect("a published key");
    transaction::transfer(COMMAND_ID, &public_key, &transfer())
        .expect("the transfer of this folder has a valid key, asset, address and fees")
}
