//! The contracts that every Neo N3 network has at fixed hashes.

use crate::hash::Hash160;

/// `ContractManagement`: deploys and updates contracts (0xfffdc93764dbaddd97c48f252a53ea4643faa3fd).
pub const CONTRACT_MANAGEMENT: Hash160 = Hash160::from_le_bytes([
    0xFD, 0xA3, 0xFA, 0x43, 0x46, 0xEA, 0x53, 0x2A, 0x25, 0x8F, //
    0xC4, 0x97, 0xDD, 0xAD, 0xDB, 0x64, 0x37, 0xC9, 0xFD, 0xFF,
]);

/// `LedgerContract`: blocks and transactions (0xda65b600f7124ce6c79950c1772a36403104f2be).
pub const LEDGER: Hash160 = Hash160::from_le_bytes([
    0xBE, 0xF2, 0x04, 0x31, 0x40, 0x36, 0x2A, 0x77, 0xC1, 0x50, //
    0x99, 0xC7, 0xE6, 0x4C, 0x12, 0xF7, 0x00, 0xB6, 0x65, 0xDA,
]);

/// `NeoToken`: the governance token (0xef4073a0f2b305a38ec4050e4d3d28bc40ea63f5).
pub const NEO: Hash160 = Hash160::from_le_bytes([
    0xF5, 0x63, 0xEA, 0x40, 0xBC, 0x28, 0x3D, 0x4D, 0x0E, 0x05, //
    0xC4, 0x8E, 0xA3, 0x05, 0xB3, 0xF2, 0xA0, 0x73, 0x40, 0xEF,
]);

/// `GasToken`: the token that pays fees (0xd2a4cff31913016155e38e474a2c06d08be276cf).
pub const GAS: Hash160 = Hash160::from_le_bytes([
    0xCF, 0x76, 0xE2, 0x8B, 0xD0, 0x06, 0x2C, 0x4A, 0x47, 0x8E, //
    0xE3, 0x55, 0x61, 0x01, 0x13, 0x19, 0xF3, 0xCF, 0xA4, 0xD2,
]);

/// `PolicyContract`: fees and limits of the network (0xcc5e4edd9f5f8dba8bb65734541df7a1c081c67b).
pub const POLICY: Hash160 = Hash160::from_le_bytes([
    0x7B, 0xC6, 0x81, 0xC0, 0xA1, 0xF7, 0x1D, 0x54, 0x34, 0x57, //
    0xB6, 0x8B, 0xBA, 0x8D, 0x5F, 0x9F, 0xDD, 0x4E, 0x5E, 0xCC,
]);

/// `RoleManagement`: who is oracle, notary and state validator (0x49cf4e5378ffcd4dec034fd98a174c5491e395e2).
pub const ROLE_MANAGEMENT: Hash160 = Hash160::from_le_bytes([
    0xE2, 0x95, 0xE3, 0x91, 0x54, 0x4C, 0x17, 0x8A, 0xD9, 0x4F, //
    0x03, 0xEC, 0x4D, 0xCD, 0xFF, 0x78, 0x53, 0x4E, 0xCF, 0x49,
]);

/// `OracleContract`: requests to the outside (0xfe924b7cfe89ddd271abaf7210a80a7e11178758).
pub const ORACLE: Hash160 = Hash160::from_le_bytes([
    0x58, 0x87, 0x17, 0x11, 0x7E, 0x0A, 0xA8, 0x10, 0x72, 0xAF, //
    0xAB, 0x71, 0xD2, 0xDD, 0x89, 0xFE, 0x7C, 0x4B, 0x92, 0xFE,
]);

/// `Notary`: collects signatures (0xc1e14f19c3e60d0b9244d06dd7ba9b113135ec3b).
pub const NOTARY: Hash160 = Hash160::from_le_bytes([
    0x3B, 0xEC, 0x35, 0x31, 0x11, 0x9B, 0xBA, 0xD7, 0x6D, 0xD0, //
    0x44, 0x92, 0x0B, 0x0D, 0xE6, 0xC3, 0x19, 0x4F, 0xE1, 0xC1,
]);

/// Decimal places of GAS; one datoshi is the smallest unit.
pub const GAS_DECIMALS: u8 = 8;

/// Decimal places of NEO.
pub const NEO_DECIMALS: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::ScriptBuilder;

    /// A contract's hash is that of ABORT, its deployer, the checksum of its file and its name; native ones
    /// have zeros for the first two.
    fn native_hash(name: &str) -> Hash160 {
        let mut pushes = ScriptBuilder::new();
        pushes.push_data(&[0; 20]).push_integer(0).push_data(name.as_bytes());
        let mut script = vec![0x38];
        script.extend(pushes.finish().unwrap());
        Hash160::of_script(&script)
    }

    #[test]
    fn hashes_follow_from_the_contracts_names() {
        for (hash, name) in [
            (CONTRACT_MANAGEMENT, "ContractManagement"),
            (LEDGER, "LedgerContract"),
            (NEO, "NeoToken"),
            (GAS, "GasToken"),
            (POLICY, "PolicyContract"),
            (ROLE_MANAGEMENT, "RoleManagement"),
            (ORACLE, "OracleContract"),
            (NOTARY, "Notary"),
        ] {
            assert_eq!(hash, native_hash(name), "{name}");
        }
        assert_eq!(GAS.to_string(), "0xd2a4cff31913016155e38e474a2c06d08be276cf");
    }
}
