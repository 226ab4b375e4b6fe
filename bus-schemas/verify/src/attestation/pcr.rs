//! Platform configuration registers: SHA-384 values that can only be extended.

use aws_lc_rs::digest::{Context, SHA384};

/// Size of a PCR: that of a SHA-384 digest.
pub const PCR_BYTES: usize = 48;

/// The value of a platform configuration register.
pub type Pcr = [u8; PCR_BYTES];

/// PCR value after the NSM's `ExtendPCR`: SHA384(previous ‖ data).
pub fn pcr_after_extend(previous: Pcr, data: &[u8]) -> Pcr {
    let mut context = Context::new(&SHA384);
    context.update(&previous);
    context.update(data);
    let mut value = [0; PCR_BYTES];
    value.copy_from_slice(context.finish().as_ref());
    value
}

/// PCR16 of a worker that obeys the genesis manifest with this SHA-256: one extension of the zero register.
pub fn manifest_pcr16(manifest_sha256: [u8; 32]) -> Pcr {
    pcr_after_extend([0; PCR_BYTES], &manifest_sha256)
}
