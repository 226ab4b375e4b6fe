//! Keys for tests: the published vectors of neo-go and the well-known consensus key of its private networks.

use zeroize::Zeroizing;

use crate::private_key::PrivateKey;
use crate::wif;

/// WIF of the consensus key that neo-go's own tests use.
pub(crate) const CONSENSUS_WIF: &str = "KxyjQ8eUa4FHt3Gvioyt1Wz29cTUrE4eTqX3yFSk1YFCsPL8uNsY";

/// One published key in all its forms.
pub(crate) struct Vector {
    pub(crate) address: &'static str,
    pub(crate) private_key: &'static str,
    pub(crate) public_key: &'static str,
    pub(crate) wif: &'static str,
    pub(crate) passphrase: &'static str,
    pub(crate) nep2: &'static str,
}

pub(crate) const VECTORS: [Vector; 3] = [
    Vector {
        address: "NPTmAHDxo6Pkyic8Nvu3kwyXoYJCvcCB6i",
        private_key: "7d128a6d096f0c14c3a25a2b0c41cf79661bfcb4a8cc95aaaea28bde4d732344",
        public_key: "02028a99826edc0c97d18e22b6932373d908d323aa7f92656a77ec26e8861699ef",
        wif: "L1QqQJnpBwbsPGAuutuzPTac8piqvbR1HRjrY5qHup48TBCBFe4g",
        passphrase: "city of zion",
        nep2: "6PYUUUFei9PBBfVkSn8q7hFCnewWFRBKPxcn6Kz6Bmk3FqWyLyuTQE2XFH",
    },
    Vector {
        address: "NMBfzaEq2c5zodiNbLPoohVENARMbJim1r",
        private_key: "9ab7e154840daca3a2efadaf0df93cd3a5b51768c632f5433f86909d9b994a69",
        public_key: "031d8e1630ce640966967bc6d95223d21f44304133003140c3b52004dc981349c9",
        wif: "L2QTooFoDFyRFTxmtiVHt5CfsXfVnexdbENGDkkrrgTTryiLsPMG",
        passphrase: "我的密码",
        nep2: "6PYUmBuLbdXdnybyNeafUJUrVhoBRZpjHACdY9K2VCNzD5tuX5tXgr9fur",
    },
    Vector {
        address: "NfVdwyaJbijrWkRagrvs4eSRQUpP7WpukT",
        private_key: "3edee7036b8fd9cef91de47386b191dd76db2888a553e7736bb02808932a915b",
        public_key: "02232ce8d2e2063dce0451131851d47421bfc4fc1da4db116fca5302c0756462fa",
        wif: "KyKvWLZsNwBJx5j9nurHYRwhYfdQUu9tTEDsLCUHDbYBL8cHxMiG",
        passphrase: "MyL33tP@33w0rd",
        nep2: "6PYLQ9oCoEWCfuuHkq6xH4tYbi4Pyv9HYUU8WGkFVXtoczwTbitMjypkma",
    },
];

pub(crate) fn consensus() -> PrivateKey {
    wif::decode(CONSENSUS_WIF).unwrap()
}

/// A key of its own for each number from 1.
pub(crate) fn key(number: u8) -> PrivateKey {
    let mut secret = Zeroizing::new([0; 32]);
    secret[31] = number;
    PrivateKey::from_bytes(secret).unwrap()
}
