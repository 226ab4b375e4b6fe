//! The NSM of a real enclave: `/dev/nsm`, opened once, one request at a time.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;

use aws_nitro_enclaves_nsm_api::api::{Request, Response};
use aws_nitro_enclaves_nsm_api::driver::nsm_process_request;
use nsl_verify::attestation::Pcr;
use zeroize::Zeroizing;

use super::{AttestationRequest, Description, Error, Nsm};

/// Where the Linux driver puts the device.
const DEVICE_PATH: &str = "/dev/nsm";

/// The device of the enclave that this process runs in.
#[derive(Debug)]
pub struct Device {
    file: File,
}

impl Device {
    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::Open`] outside of an enclave.
    pub fn open() -> Result<Self, Error> {
        Self::open_at(DEVICE_PATH)
    }

    fn open_at(path: &str) -> Result<Self, Error> {
        // Not `nsm_init`, which hides why the device cannot be opened.
        let file = OpenOptions::new().read(true).write(true).open(path);
        file.map(|file| Self { file }).map_err(|source| Error::Open { path: path.to_owned(), source })
    }

    fn process(&self, operation: &'static str, request: Request) -> Result<Response, Error> {
        match nsm_process_request(self.file.as_raw_fd(), request) {
            Response::Error(code) => Err(Error::Refused { operation, refusal: code.into() }),
            response => Ok(response),
        }
    }
}

impl Nsm for Device {
    fn describe(&mut self) -> Result<Description, Error> {
        let operation = "describe nsm";
        match self.process(operation, Request::DescribeNSM)? {
            Response::DescribeNSM {
                version_major,
                version_minor,
                version_patch,
                module_id,
                max_pcrs,
                locked_pcrs,
                digest: _,
            } => Ok(Description {
                module_id,
                version: (version_major, version_minor, version_patch),
                pcr_count: max_pcrs,
                locked_pcrs,
            }),
            _ => Err(Error::UnexpectedResponse { operation }),
        }
    }

    fn pcr(&mut self, index: u16) -> Result<Pcr, Error> {
        let operation = "describe pcr";
        match self.process(operation, Request::DescribePCR { index })? {
            Response::DescribePCR { lock: _, data } => {
                Pcr::try_from(data).map_err(|_| Error::UnexpectedResponse { operation })
            }
            _ => Err(Error::UnexpectedResponse { operation }),
        }
    }

    fn extend_pcr(&mut self, index: u16, data: &[u8]) -> Result<Pcr, Error> {
        let operation = "extend pcr";
        match self.process(operation, Request::ExtendPCR { index, data: data.to_vec() })? {
            Response::ExtendPCR { data } => {
                Pcr::try_from(data).map_err(|_| Error::UnexpectedResponse { operation })
            }
            _ => Err(Error::UnexpectedResponse { operation }),
        }
    }

    fn lock_pcr(&mut self, index: u16) -> Result<(), Error> {
        let operation = "lock pcr";
        match self.process(operation, Request::LockPCR { index })? {
            Response::LockPCR => Ok(()),
            _ => Err(Error::UnexpectedResponse { operation }),
        }
    }

    fn attest(&mut self, request: AttestationRequest) -> Result<Vec<u8>, Error> {
        let operation = "attestation";
        let AttestationRequest { public_key, user_data, nonce } = request.within_limits()?;
        let request = Request::Attestation {
            user_data: user_data.map(Into::into),
            nonce: nonce.map(Into::into),
            public_key: public_key.map(Into::into),
        };
        match self.process(operation, request)? {
            Response::Attestation { document } => Ok(document),
            _ => Err(Error::UnexpectedResponse { operation }),
        }
    }

    fn random(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        let operation = "get random";
        let mut filled = 0;
        // One answer has 256 bytes at most.
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let random = match self.process(operation, Request::GetRandom)? {
                Response::GetRandom { random } if !random.is_empty() => Zeroizing::new(random),
                _ => return Err(Error::UnexpectedResponse { operation }),
            };
            rest.iter_mut().zip(random.iter()).for_each(|(to, from)| *to = *from);
            filled += random.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Refusal;
    use super::*;

    #[test]
    fn says_which_device_is_missing() {
        let error = Device::open_at("/dev/no-nsm-here").unwrap_err();
        assert!(matches!(&error, Error::Open { path, source }
            if path == "/dev/no-nsm-here" && source.kind() == std::io::ErrorKind::NotFound));
    }

    #[test]
    fn reports_a_device_that_is_no_nsm_for_every_operation() {
        let mut device = Device::open_at("/dev/null").unwrap();
        let failures = [
            device.describe().map(drop),
            device.pcr(0).map(drop),
            device.extend_pcr(16, b"data").map(drop),
            device.lock_pcr(16),
            device.attest(AttestationRequest::default()).map(drop),
            device.random(&mut [0; 32]),
        ];
        for failure in failures {
            assert!(matches!(failure, Err(Error::Refused { refusal: Refusal::InternalError, .. })));
        }
    }

    #[test]
    fn refuses_fields_that_no_verifier_accepts_before_asking() {
        let mut device = Device::open_at("/dev/null").unwrap();
        let request = AttestationRequest { nonce: Some(vec![0; 513]), ..AttestationRequest::default() };
        let refused = device.attest(request);
        assert!(matches!(refused, Err(Error::FieldTooLong { field: "nonce", bytes: 513, limit: 512 })));
    }
}
