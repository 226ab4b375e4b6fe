//! The enclave's image, outside of the enclave: [`Eif`] is the file that a Nitro hypervisor boots, [`Archive`] the
//! ramdisks in it, [`Measurements`] what the hypervisor will measure, [`deliver`] how a booted enclave gets its files.
//!
//! Everything is a pure function of its input, so that the same input gives the same bytes and the same measurements.

mod archive;
pub mod deliver;
mod eif;
mod measurements;
mod metadata;

pub use archive::{Archive, Error as ArchiveError};
pub use eif::{EIF_BYTES_MAX, Eif, Error as EifError};
pub use measurements::Measurements;
pub use metadata::{BuildMetadata, Metadata};
