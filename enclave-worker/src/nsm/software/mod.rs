//! The NSM of development builds: a real PCR bank and really signed documents, under a root of the site's own.
//!
//! It proves nothing about the machine, and no distribution build contains it; verifiers treat its documents
//! like any other.

mod certificates;
mod error;
mod pcr_bank;
mod root;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::{self, SystemRandom};
use aws_nitro_enclaves_nsm_api::api::{AttestationDoc, Digest};
use nsl_verify::attestation::Pcr;

use self::certificates::LeafChain;
use self::pcr_bank::{PCR_COUNT, PcrBank};
use super::{AttestationRequest, Description, Nsm};

pub use self::error::Error;
pub use self::root::DevelopmentRoot;

/// Version of the interface that is imitated.
const VERSION: (u16, u16, u16) = (1, 0, 0);
/// Randomness in a module id: enough that no two workers of a site share one.
const MODULE_ID_BYTES: usize = 8;

/// Tells the time in milliseconds since the Unix epoch.
pub type Clock = Box<dyn Fn() -> u64 + Send>;

/// The machine's time, for the clock of an NSM in software.
pub fn system_time_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// An NSM in software.
pub struct SoftwareNsm {
    module_id: String,
    bank: PcrBank,
    root: DevelopmentRoot,
    chain: LeafChain,
    clock: Clock,
}

impl SoftwareNsm {
    /// An NSM as it is when an enclave has booted: PCR0 to PCR2 measured, PCR0 to PCR15 locked.
    pub fn boot(root: DevelopmentRoot, measurements: [Pcr; 3], clock: Clock) -> Result<Self, Error> {
        let mut id = [0; MODULE_ID_BYTES];
        rand::fill(&mut id).map_err(|_| Error::Randomness)?;
        let module_id = format!("development-{}", hex::encode(id));
        let chain = LeafChain::issue(&root, &module_id, clock())?;
        Ok(Self { module_id, bank: PcrBank::measured(measurements), root, chain, clock })
    }

    fn sign(&mut self, request: AttestationRequest) -> Result<Vec<u8>, Error> {
        let now_ms = (self.clock)();
        if !self.chain.is_usable_at(now_ms) {
            self.chain = LeafChain::issue(&self.root, &self.module_id, now_ms)?;
        }
        let pcrs: BTreeMap<usize, Vec<u8>> =
            self.bank.attested().map(|(index, value)| (usize::from(index), value.to_vec())).collect();
        let payload = AttestationDoc::new(
            self.module_id.clone(),
            Digest::SHA384,
            now_ms,
            pcrs,
            self.chain.leaf.clone(),
            vec![self.root.certificate().to_vec(), self.chain.intermediate.clone()],
            request.user_data,
            request.nonce,
            request.public_key,
        )
        .to_binary();
        let message = [SIGNATURE_CONTEXT, PROTECTED_HEADER, EMPTY, &byte_string(&payload)].concat();
        let signature = self.chain.key.sign(&SystemRandom::new(), &message).map_err(|_| Error::Signature)?;
        let document = [
            COSE_SIGN1,
            PROTECTED_HEADER,
            EMPTY_MAP,
            &byte_string(&payload),
            &byte_string(signature.as_ref()),
        ];
        Ok(document.concat())
    }
}

impl Nsm for SoftwareNsm {
    fn describe(&mut self) -> Result<Description, super::Error> {
        Ok(Description {
            module_id: self.module_id.clone(),
            version: VERSION,
            pcr_count: PCR_COUNT,
            locked_pcrs: self.bank.locked(),
        })
    }

    fn pcr(&mut self, index: u16) -> Result<Pcr, super::Error> {
        let value = self.bank.value(index);
        value.map_err(|refusal| super::Error::Refused { operation: "describe pcr", refusal })
    }

    fn extend_pcr(&mut self, index: u16, data: &[u8]) -> Result<Pcr, super::Error> {
        let extended = self.bank.extend(index, data);
        extended.map_err(|refusal| super::Error::Refused { operation: "extend pcr", refusal })
    }

    fn lock_pcr(&mut self, index: u16) -> Result<(), super::Error> {
        let locked = self.bank.lock(index);
        locked.map_err(|refusal| super::Error::Refused { operation: "lock pcr", refusal })
    }

    fn attest(&mut self, request: AttestationRequest) -> Result<Vec<u8>, super::Error> {
        Ok(self.sign(request.within_limits()?)?)
    }

    fn random(&mut self, buffer: &mut [u8]) -> Result<(), super::Error> {
        Ok(rand::fill(buffer).map_err(|_| Error::Randomness)?)
    }
}

/// CBOR: an array of four items, as COSE_Sign1 is and its `Sig_structure` too.
const COSE_SIGN1: &[u8] = &[0x84];
/// The `Sig_structure` up to the protected header (RFC 9052 §4.4).
const SIGNATURE_CONTEXT: &[u8] = b"\x84\x6aSignature1";
/// `{1: -35}` in a byte string: the algorithm is ES384.
const PROTECTED_HEADER: &[u8] = &[0x44, 0xa1, 0x01, 0x38, 0x22];
/// An empty byte string: no external additional data.
const EMPTY: &[u8] = &[0x40];
/// The unprotected header.
const EMPTY_MAP: &[u8] = &[0xa0];

fn byte_string(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_be_bytes();
    let head = match bytes.len() {
        0..0x18 => vec![0x40 | length[7]],
        0x18..0x100 => vec![0x58, length[7]],
        0x100..0x1_0000 => vec![0x59, length[6], length[7]],
        _ => [&[0x5b], length.as_slice()].concat(),
    };
    [head.as_slice(), bytes].concat()
}
