//! NEP-6: wallet files, as nodes and wallets read and write them.
//!
//! Writing follows the standard; reading is liberal in what implementations differ in (`isdefault`, missing
//! labels).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::account;
use crate::address::Address;
use crate::hash::Hash160;
use crate::nep2::{self, ScryptParameters};
use crate::private_key::PrivateKey;

/// Longest wallet file taken: several thousand accounts, far above what people hold in a file.
pub const WALLET_BYTES_LIMIT: usize = 4 << 20;

const VERSION: &str = "1.0";

/// Versions that are read: the standard's, and the one that some tools of the N3 line write.
const READABLE_VERSIONS: [&str; 2] = [VERSION, "3.0"];

/// Why a wallet file is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is too large.
    #[error("a wallet file has at most 4 MiB, not {0} bytes")]
    TooLarge(usize),
    /// The file is not a wallet.
    #[error("not a wallet file")]
    Json(#[source] serde_json::Error),
    /// The version is unknown.
    #[error("wallet version {0:?} is unknown")]
    Version(String),
    /// A contract script is not base64, or hashes to another address.
    #[error("the contract script of {0} is not its own")]
    Contract(Address),
    /// The account holds no key.
    #[error("the account {0} has no key")]
    NoKey(Address),
    /// The key is not encrypted or decrypted.
    #[error("key of the account {address}")]
    Key {
        /// The account.
        address: Address,
        /// What is wrong with it.
        #[source]
        source: nep2::Error,
    },
}

/// A wallet file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wallet {
    /// A name for people.
    #[serde(default)]
    pub name: Option<String>,
    /// The standard's version.
    version: String,
    /// How keys are encrypted.
    pub scrypt: ScryptParameters,
    /// The accounts.
    pub accounts: Vec<WalletAccount>,
    /// What other software keeps here.
    #[serde(default)]
    pub extra: serde_json::Value,
}

/// One account of a wallet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WalletAccount {
    /// The address.
    pub address: Address,
    /// A label for people.
    #[serde(default)]
    pub label: Option<String>,
    /// Whether it is chosen when none is named.
    #[serde(rename = "isDefault", alias = "isdefault", default)]
    pub is_default: bool,
    /// Whether it must not spend.
    #[serde(default)]
    pub lock: bool,
    /// The encrypted key, absent for watched accounts.
    #[serde(default)]
    pub key: Option<String>,
    /// The verification script, absent for watched accounts.
    #[serde(default)]
    pub contract: Option<WalletContract>,
    /// What other software keeps here.
    #[serde(default)]
    pub extra: serde_json::Value,
}

/// The verification contract of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletContract {
    /// The script in base64.
    pub script: String,
    /// What the script needs, in order.
    pub parameters: Vec<WalletParameter>,
    /// Whether it is deployed on the chain.
    #[serde(default)]
    pub deployed: bool,
}

/// A parameter of a verification contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletParameter {
    /// Its name.
    pub name: String,
    /// Its type, such as `Signature`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Wallet {
    /// An empty wallet.
    pub fn new(name: Option<String>, scrypt: ScryptParameters) -> Self {
        let extra = serde_json::Value::Null;
        Self { name, version: VERSION.to_owned(), scrypt, accounts: Vec::new(), extra }
    }

    /// Adds an account that `key` signs for: its own, or a multi-signature account of which it is a part.
    pub fn add(
        &mut self,
        account: &account::Account,
        key: &PrivateKey,
        passphrase: &str,
    ) -> Result<(), Error> {
        let address = account.address();
        let encrypted =
            nep2::encrypt(key, passphrase, self.scrypt).map_err(|source| Error::Key { address, source })?;
        self.accounts.push(WalletAccount {
            address,
            label: None,
            is_default: self.accounts.is_empty(),
            lock: false,
            key: Some(encrypted),
            contract: Some(WalletContract::of(account)),
            extra: serde_json::Value::Null,
        });
        Ok(())
    }

    /// Decrypts the key of an account of this wallet.
    pub fn decrypt(&self, account: &WalletAccount, passphrase: &str) -> Result<PrivateKey, Error> {
        let address = account.address;
        let key = account.key.as_deref().ok_or(Error::NoKey(address))?;
        nep2::decrypt(key, passphrase, self.scrypt).map_err(|source| Error::Key { address, source })
    }

    /// Reads a wallet file.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > WALLET_BYTES_LIMIT {
            return Err(Error::TooLarge(bytes.len()));
        }
        let wallet: Self = serde_json::from_slice(bytes).map_err(Error::Json)?;
        if !READABLE_VERSIONS.contains(&wallet.version.as_str()) {
            return Err(Error::Version(wallet.version));
        }
        wallet.accounts.iter().try_for_each(WalletAccount::check_contract)?;
        Ok(wallet)
    }

    /// Writes a wallet file.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec_pretty(self).map_err(Error::Json)
    }
}

impl WalletAccount {
    /// A script of another account would make its owner sign for that one. Deployed contracts have their code
    /// on the chain, so their hash is not that of the script here.
    fn check_contract(&self) -> Result<(), Error> {
        let Some(contract) = self.contract.as_ref().filter(|contract| !contract.deployed) else {
            return Ok(());
        };
        let script = STANDARD.decode(&contract.script).map_err(|_| Error::Contract(self.address))?;
        if Hash160::of_script(&script) == self.address.script_hash() {
            Ok(())
        } else {
            Err(Error::Contract(self.address))
        }
    }
}

impl WalletContract {
    fn of(account: &account::Account) -> Self {
        let parameters = (0..account.signature_count())
            .map(|index| WalletParameter { name: format!("parameter{index}"), kind: "Signature".to_owned() })
            .collect();
        Self { script: STANDARD.encode(account.verification_script()), parameters, deployed: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Account, Multisig};
    use crate::test_keys;

    fn wallet() -> Wallet {
        let key = test_keys::consensus();
        let mut wallet = Wallet::new(Some("consensus".to_owned()), ScryptParameters::WEAK);
        wallet.add(&Account::SingleSignature(key.public_key()), &key, "one").unwrap();
        let multisig = Multisig::new(1, vec![key.public_key()]).unwrap();
        wallet.add(&Account::Multisig(multisig), &key, "one").unwrap();
        wallet
    }

    #[test]
    fn a_written_wallet_reads_back_and_opens() {
        let wallet = wallet();
        let read = Wallet::from_json(&wallet.to_json().unwrap()).unwrap();
        assert_eq!(read, wallet);
        let addresses: Vec<_> = read.accounts.iter().map(|account| account.address.to_string()).collect();
        assert_eq!(addresses, ["Nhfg3TbpwogLvDGVvAvqyThbsHgoSUKwtn", "NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP"]);
        for account in &read.accounts {
            let key = read.decrypt(account, "one").unwrap();
            assert_eq!(key.public_key(), test_keys::consensus().public_key());
        }
    }

    /// The published wallet of neo-go's private network, cut to its first account.
    #[test]
    fn a_wallet_of_another_implementation_reads() {
        let text = r#"{"version":"1.0","accounts":[{"address":"Nhfg3TbpwogLvDGVvAvqyThbsHgoSUKwtn",
            "key":"6PYM8VdX2BSm7BSXKzV4Fz6S3R9cDLLWNrD9nMjxW352jEv3fsC8N3wNLY","label":"","contract":{
            "script":"DCECs2Ir9AF73+MXxYrtX0x1PyBrfbiWBG+n13S7xL9/jcJBVuezJw==","parameters":[
            {"name":"parameter0","type":"Signature"}],"deployed":false},"lock":false,"isdefault":true}],
            "scrypt":{"n":16384,"r":8,"p":8},"extra":{"Tokens":null}}"#;
        let wallet = Wallet::from_json(text.as_bytes()).unwrap();
        let [account] = &wallet.accounts[..] else { panic!("one account") };
        assert!(account.is_default);
        let key = wallet.decrypt(account, "one").unwrap();
        assert_eq!(key.public_key().address(), account.address);
    }

    #[test]
    fn wrong_files_are_refused_by_name() {
        let text = String::from_utf8(wallet().to_json().unwrap()).unwrap();
        let read = |text: &str| Wallet::from_json(text.as_bytes());
        assert!(matches!(read("[]"), Err(Error::Json(_))));
        assert!(matches!(read(&text.replace("\"1.0\"", "\"2.0\"")), Err(Error::Version(_))));
        let swapped =
            text.replace("Nhfg3TbpwogLvDGVvAvqyThbsHgoSUKwtn", "NPTmAHDxo6Pkyic8Nvu3kwyXoYJCvcCB6i");
        assert!(matches!(read(&swapped), Err(Error::Contract(_))));
        let huge = " ".repeat(WALLET_BYTES_LIMIT + 1);
        assert!(matches!(read(&huge), Err(Error::TooLarge(_))));
        let mut watched = wallet();
        watched.accounts[0].key = None;
        assert!(matches!(watched.decrypt(&watched.accounts[0], "one"), Err(Error::NoKey(_))));
    }
}
