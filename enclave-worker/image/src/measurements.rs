//! What the hypervisor measures of an image before it boots it (AWS' `aws-nitro-enclaves-image-format`, "PCR").

use nsl_schemas::authority::Build;
use nsl_schemas::bytes::Pcr;
use sha2::{Digest as _, Sha384};

/// Bytes of a register.
const PCR_BYTES: usize = 48;

/// The registers that depend on an image alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measurements {
    /// Kernel, command line and all ramdisks.
    pub pcr0: Pcr,
    /// Kernel, command line and the first ramdisk.
    pub pcr1: Pcr,
    /// The other ramdisks.
    pub pcr2: Pcr,
}

impl Measurements {
    /// Measures the parts as the hypervisor does; metadata is not measured.
    pub fn of<'a>(kernel: &[u8], cmdline: &str, ramdisks: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let boot = Sha384::new().chain_update(kernel).chain_update(cmdline);
        let (mut whole, mut first, mut rest) = (boot.clone(), boot, Sha384::new());
        for (index, ramdisk) in ramdisks.into_iter().enumerate() {
            whole.update(ramdisk);
            if index == 0 { first.update(ramdisk) } else { rest.update(ramdisk) }
        }
        Self { pcr0: extended(whole), pcr1: extended(first), pcr2: extended(rest) }
    }

    /// The measured build as a genesis manifest allows it.
    pub fn build(&self, name: &str) -> Build {
        Build { name: name.to_owned(), pcr0: self.pcr0, pcr1: self.pcr1, pcr2: self.pcr2 }
    }
}

/// A register of zeros, extended once: SHA384(0⁴⁸ ‖ SHA384(parts)).
fn extended(parts: Sha384) -> Pcr {
    let digest = Sha384::new().chain_update([0; PCR_BYTES]).chain_update(parts.finalize()).finalize();
    Pcr(digest.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_with_one_ramdisk_has_the_known_pcr2() {
        let measured = Measurements::of(b"kernel", "cmdline", [b"ramdisk".as_slice()]);
        assert_eq!(measured.pcr0, measured.pcr1);
        // Published for every image without an application's ramdisk, for instance in the documentation of QOS.
        assert_eq!(
            measured.pcr2.to_string(),
            "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a"
        );
    }

    #[test]
    fn each_part_counts_where_it_belongs() {
        let base = Measurements::of(b"k", "c", [b"one".as_slice(), b"two"]);
        let application = Measurements::of(b"k", "c", [b"one".as_slice(), b"2"]);
        assert!(
            application.pcr0 != base.pcr0 && application.pcr1 == base.pcr1 && application.pcr2 != base.pcr2
        );
        for boot in [
            Measurements::of(b"K", "c", [b"one".as_slice(), b"two"]),
            Measurements::of(b"k", "C", [b"one".as_slice(), b"two"]),
            Measurements::of(b"k", "c", [b"1".as_slice(), b"two"]),
        ] {
            assert!(boot.pcr0 != base.pcr0 && boot.pcr1 != base.pcr1 && boot.pcr2 == base.pcr2);
        }
    }
}
