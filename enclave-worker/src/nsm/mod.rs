//! The Nitro Security Module: measurements, attestation documents and randomness.
//!
//! [`Nsm`] is what a worker asks of it, whether it is the device or, in development builds, software that
//! signs real documents; [`NsmHandle`] keeps its blocking calls away from the worker's tasks.

mod device;
mod error;
mod handle;
#[cfg(feature = "development")]
pub mod software;

use std::collections::BTreeSet;

use nsl_verify::attestation::{NONCE_BYTES_MAX, PUBLIC_KEY_BYTES_MAX, Pcr, USER_DATA_BYTES_MAX};

pub use self::device::Device;
pub use self::error::{Error, Refusal};
pub use self::handle::{NsmHandle, RANDOM_BYTES_MAX};

/// What an NSM says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The module's id, which its attestation documents carry.
    pub module_id: String,
    /// Version of its interface: major, minor, patch.
    pub version: (u16, u16, u16),
    /// Registers in its bank.
    pub pcr_count: u16,
    /// Registers that can no longer be extended.
    pub locked_pcrs: BTreeSet<u16>,
}

/// What an attestation document shall carry besides the measurements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttestationRequest {
    /// A key of the worker's, for peers to encrypt to or to verify with.
    pub public_key: Option<Vec<u8>>,
    /// Data of the worker's choice; anything long is hashed first.
    pub user_data: Option<Vec<u8>>,
    /// The challenge of whoever asked for the document.
    pub nonce: Option<Vec<u8>>,
}

impl AttestationRequest {
    /// Refuses fields that a verifier would refuse in the document.
    fn within_limits(self) -> Result<Self, Error> {
        let fields = [
            ("public_key", &self.public_key, PUBLIC_KEY_BYTES_MAX),
            ("user_data", &self.user_data, USER_DATA_BYTES_MAX),
            ("nonce", &self.nonce, NONCE_BYTES_MAX),
        ];
        for (field, value, limit) in fields {
            let bytes = value.as_ref().map_or(0, Vec::len);
            if bytes > limit {
                return Err(Error::FieldTooLong { field, bytes, limit });
            }
        }
        Ok(self)
    }
}

/// A Nitro Security Module; its calls block, the device's for up to minutes.
pub trait Nsm: Send {
    /// What the module says of itself.
    fn describe(&mut self) -> Result<Description, Error>;

    /// The value of a register.
    fn pcr(&mut self, index: u16) -> Result<Pcr, Error>;

    /// Extends a register and returns its new value, SHA384(old ‖ data).
    fn extend_pcr(&mut self, index: u16, data: &[u8]) -> Result<Pcr, Error>;

    /// Makes a register read-only until the enclave ends.
    fn lock_pcr(&mut self, index: u16) -> Result<(), Error>;

    /// Signs an attestation document over the registers and the request.
    fn attest(&mut self, request: AttestationRequest) -> Result<Vec<u8>, Error>;

    /// Fills the buffer with randomness.
    fn random(&mut self, buffer: &mut [u8]) -> Result<(), Error>;
}
