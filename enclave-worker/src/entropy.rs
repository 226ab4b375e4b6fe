//! Randomness for keys and nonces: the NSM's and the operating system's, mixed, so that either alone suffices.
//!
//! What is drawn here is HKDF over the NSM's `GetRandom` and aws-lc's generator. That generator, which also draws the
//! nonces of signatures, is an AES-256-CTR DRBG of each thread, seeded from the kernel (`getrandom`); and the kernel of an
//! enclave feeds its pool from the NSM alone, which [`crate::nsm::Device`] demands to see before it opens.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::nsm::{self, NsmHandle};

/// Bytes of a drawn secret: those of a P-256 scalar and of an Ed25519 seed.
pub(crate) const SECRET_BYTES: usize = 32;

/// Why nothing could be drawn.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The NSM gave none.
    #[error("nsm gave no randomness")]
    Nsm(#[source] nsm::Error),
    /// The operating system gave none.
    #[error("operating system gave no randomness")]
    System,
    /// The two could not be mixed.
    #[error("randomness could not be mixed")]
    Mix,
}

/// Draws a fresh secret for `purpose`; secrets of different purposes are independent.
pub(crate) async fn draw(
    nsm: &NsmHandle,
    purpose: &'static str,
) -> Result<Zeroizing<[u8; SECRET_BYTES]>, Error> {
    let from_nsm = nsm.random(SECRET_BYTES).await.map_err(Error::Nsm)?;
    let mut from_system = Zeroizing::new([0; SECRET_BYTES]);
    rand::fill(from_system.as_mut_slice()).map_err(|_| Error::System)?;
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    Salt::new(HKDF_SHA256, &from_nsm)
        .extract(from_system.as_slice())
        .expand(&[purpose.as_bytes()], HKDF_SHA256)
        .and_then(|drawn| drawn.fill(secret.as_mut_slice()))
        .map_err(|_| Error::Mix)?;
    Ok(secret)
}
