//! PCR arithmetic against values computed elsewhere.

use super::super::{manifest_pcr16, pcr_after_extend};

#[test]
fn extending_with_an_empty_measurement_gives_the_pcr2_of_a_single_ramdisk_image() {
    // SHA384 of nothing; the result is PCR2 of every enclave image without application ramdisks.
    let nothing = hex::decode(
        "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
    )
    .unwrap();
    assert_eq!(
        hex::encode(pcr_after_extend([0; 48], &nothing)),
        "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a"
    );
}

#[test]
fn manifest_commitment_is_one_extension_of_the_zero_register() {
    assert_eq!(
        hex::encode(manifest_pcr16([0x11; 32])),
        "edf7399101576c1cf4b63bf6655e285ef11579a94097a9513a2f03ebfd19ba284dc88a6a4e8518eea2d5ec1f6a3d6009"
    );
    assert_ne!(manifest_pcr16([0x11; 32]), manifest_pcr16([0x12; 32]));
}
