//! The NSMs of development builds: really signed documents under a root of the site's own, over a PCR bank in software
//! or over the registers of an emulated device, which signs nothing.
//!
//! They prove nothing about the machine, and no distribution build contains them; verifiers treat their documents
//! like any other.

mod attester;
mod certificates;
mod error;
mod pcr_bank;
mod root;
mod signer;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use nsl_verify::attestation::Pcr;

use self::pcr_bank::{PCR_COUNT, PcrBank};
use self::signer::Signer;
use super::{AttestationRequest, Description, Nsm};

pub use self::attester::Attester;
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
    bank: PcrBank,
    signer: Signer,
    clock: Clock,
}

impl SoftwareNsm {
    /// An NSM as it is when an enclave has booted: PCR0 to PCR2 measured, PCR0 to PCR15 locked.
    pub fn boot(root: DevelopmentRoot, measurements: [Pcr; 3], clock: Clock) -> Result<Self, Error> {
        let mut id = [0; MODULE_ID_BYTES];
        rand::fill(&mut id).map_err(|_| Error::Randomness)?;
        let module_id = format!("development-{}", hex::encode(id));
        let signer = Signer::new(root, module_id, clock())?;
        Ok(Self { bank: PcrBank::measured(measurements), signer, clock })
    }
}

impl Nsm for SoftwareNsm {
    fn describe(&mut self) -> Result<Description, super::Error> {
        Ok(Description {
            module_id: self.signer.module_id().to_owned(),
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
        let request = request.within_limits()?;
        let pcrs: BTreeMap<usize, Vec<u8>> =
            self.bank.attested().map(|(index, value)| (usize::from(index), value.to_vec())).collect();
        Ok(self.signer.sign((self.clock)(), pcrs, request)?)
    }

    fn random(&mut self, buffer: &mut [u8]) -> Result<(), super::Error> {
        Ok(rand::fill(buffer).map_err(|_| Error::Randomness)?)
    }
}
