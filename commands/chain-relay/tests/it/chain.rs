//! Transactions on the node under test.

use std::time::Duration;

use nsl_neo::{
    Account, Hash160, Multisig, Nep17Transfer, PrivateKey, Signer, Transaction, TransactionFields,
    TransferRequest, UnsignedTransaction, native, sign_transfer, wif,
};
use nsl_neo_rpc::{Client, Submission};
use nsl_schemas::query::Quote;
use zeroize::Zeroizing;

const GENESIS_WIF: &str = "KxyjQ8eUa4FHt3Gvioyt1Wz29cTUrE4eTqX3yFSk1YFCsPL8uNsY";
pub(crate) const ONE_GAS: u128 = 100_000_000;

/// More than a transfer costs.
const FEE_DATOSHI: i64 = 20_000_000;

pub(crate) struct Chain {
    pub(crate) node: Client,
    pub(crate) magic: u32,
}

impl Chain {
    pub(crate) async fn connect(url: &str) -> Self {
        let node = Client::new(url, Duration::from_secs(10)).unwrap();
        let magic = node.version().await.unwrap().network_magic;
        Self { node, magic }
    }

    pub(crate) async fn block_count(&self) -> u32 {
        self.node.block_count().await.unwrap()
    }

    /// Pays GAS from the genesis account and waits until it is there.
    pub(crate) async fn fund(&self, to: Hash160, amount: u128) {
        let key = wif::decode(GENESIS_WIF).unwrap();
        let group = Multisig::new(1, vec![key.public_key()]).unwrap();
        let from = Account::Multisig(group.clone()).script_hash();
        let fields = TransactionFields {
            nonce: u32::from_le_bytes(random()),
            system_fee_datoshi: FEE_DATOSHI,
            network_fee_datoshi: FEE_DATOSHI,
            valid_until_block: self.block_count().await + 100,
            signers: vec![Signer::called_by_entry(from)],
            attributes: vec![],
            script: Nep17Transfer { asset: native::GAS, from, to, amount }.script().unwrap(),
        };
        let unsigned = UnsignedTransaction::new(fields).unwrap();
        let signature = key.sign(&unsigned.sign_data(self.magic)).unwrap();
        let witness = group.witness(&[(key.public_key(), signature)]).unwrap();
        let transaction = Transaction::new(unsigned, vec![witness]).unwrap();
        assert_eq!(self.node.send_raw_transaction(&transaction).await.unwrap(), Submission::Accepted);
        while self.node.transaction_height(transaction.hash()).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A signed transfer of GAS by a command with a random id.
    pub(crate) fn transfer(
        &self,
        key: &PrivateKey,
        to: Hash160,
        amount: u128,
        valid_until_block: u32,
    ) -> Transaction {
        let quote = Quote {
            network_magic: self.magic,
            system_fee_datoshi: "20000000".parse().unwrap(),
            network_fee_datoshi: "20000000".parse().unwrap(),
            valid_until_block,
            block_count: 0,
        };
        quoted_transfer(key, to, amount, &quote)
    }
}

/// A signed transfer of GAS with the fees and the last block of a quote.
pub(crate) fn quoted_transfer(key: &PrivateKey, to: Hash160, amount: u128, quote: &Quote) -> Transaction {
    let request = TransferRequest {
        command_id: random(),
        network_magic: quote.network_magic,
        asset: native::GAS,
        from: key.public_key(),
        to,
        amount,
        system_fee_datoshi: i64::try_from(quote.system_fee_datoshi.0).unwrap(),
        network_fee_datoshi: i64::try_from(quote.network_fee_datoshi.0).unwrap(),
        valid_until_block: quote.valid_until_block,
    };
    sign_transfer(&request, key).unwrap()
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

pub(crate) fn fresh_key() -> PrivateKey {
    PrivateKey::from_bytes(Zeroizing::new(random())).unwrap()
}

pub(crate) fn fresh_account() -> Hash160 {
    Hash160::from_le_bytes(random())
}
