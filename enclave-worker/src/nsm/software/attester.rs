//! The attester of an emulated enclave: its device measures and tells the time like a real one and signs nothing, so
//! what it attests is signed here, under the development root (D13).

use std::collections::BTreeMap;

use aws_nitro_enclaves_nsm_api::api::AttestationDoc;
use ciborium::Value;
use nsl_verify::attestation::Pcr;

use super::super::{self as nsm, AttestationRequest, Description, Nsm};
use super::signer::Signer;
use super::{DevelopmentRoot, Error};

/// An NSM whose documents are signed by the development root.
pub struct Attester {
    device: Box<dyn Nsm>,
    signer: Signer,
}

impl Attester {
    /// Signs for `device`.
    pub fn start(root: DevelopmentRoot, mut device: Box<dyn Nsm>) -> Result<Self, nsm::Error> {
        let module_id = device.describe()?.module_id;
        let now_ms = content(&device.attest(AttestationRequest::default())?)?.timestamp;
        let signer = Signer::new(root, module_id, now_ms)?;
        Ok(Self { device, signer })
    }
}

impl Nsm for Attester {
    fn describe(&mut self) -> Result<Description, nsm::Error> {
        self.device.describe()
    }

    fn pcr(&mut self, index: u16) -> Result<Pcr, nsm::Error> {
        self.device.pcr(index)
    }

    fn extend_pcr(&mut self, index: u16, data: &[u8]) -> Result<Pcr, nsm::Error> {
        self.device.extend_pcr(index, data)
    }

    fn lock_pcr(&mut self, index: u16) -> Result<(), nsm::Error> {
        self.device.lock_pcr(index)
    }

    fn attest(&mut self, request: AttestationRequest) -> Result<Vec<u8>, nsm::Error> {
        let attested = content(&self.device.attest(request)?)?;
        let pcrs: BTreeMap<usize, Vec<u8>> =
            attested.pcrs.into_iter().map(|(index, value)| (index, value.to_vec())).collect();
        let request = AttestationRequest {
            public_key: attested.public_key.map(|field| field.to_vec()),
            user_data: attested.user_data.map(|field| field.to_vec()),
            nonce: attested.nonce.map(|field| field.to_vec()),
        };
        Ok(self.signer.sign(attested.timestamp, pcrs, request)?)
    }

    fn random(&mut self, buffer: &mut [u8]) -> Result<(), nsm::Error> {
        self.device.random(buffer)
    }
}

/// What a device's document says: the third item of a COSE_Sign1.
fn content(document: &[u8]) -> Result<AttestationDoc, Error> {
    let message: Value = ciborium::from_reader(document).map_err(|_| Error::DeviceDocument)?;
    let payload = message.as_array().and_then(|items| items.get(2)).and_then(Value::as_bytes);
    AttestationDoc::from_binary(payload.ok_or(Error::DeviceDocument)?).map_err(|_| Error::DeviceDocument)
}
