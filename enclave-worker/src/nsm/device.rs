//! The NSM of a real enclave: `/dev/nsm`, opened once, one request at a time.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;

use aws_nitro_enclaves_nsm_api::api::{Request, Response};
use aws_nitro_enclaves_nsm_api::driver::nsm_process_request;
use nsl_verify::attestation::Pcr;
use zeroize::Zeroizing;

use super::{AttestationRequest, Description, Error, Nsm};

/// Where the Linux driver puts the device.
const DEVICE_PATH: &str = "/dev/nsm";
/// What the kernel mixes into its randomness beside its own jitter: in an enclave there is nothing else to gather.
const KERNEL_SOURCE_PATH: &str = "/sys/class/misc/hw_random/rng_current";
/// The NSM, as its driver calls itself there.
const KERNEL_SOURCE: &str = "nsm-hwrng";

/// The device of the enclave that this process runs in.
#[derive(Debug)]
pub struct Device {
    file: File,
}

impl Device {
    /// Opens the device of a kernel that takes its randomness from it.
    ///
    /// # Errors
    /// [`Error::Open`] outside of an enclave; [`Error::KernelSource`] and [`Error::OtherKernelSource`] where keys and
    /// nonces would be drawn from a pool that nothing, or the host, has filled.
    pub fn open() -> Result<Self, Error> {
        let device = Self::open_at(DEVICE_PATH)?;
        check_kernel_source(Path::new(KERNEL_SOURCE_PATH))?;
        Ok(device)
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

fn check_kernel_source(path: &Path) -> Result<(), Error> {
    let named = std::fs::read_to_string(path)
        .map_err(|source| Error::KernelSource { path: path.display().to_string(), source })?;
    let found = named.trim().to_owned();
    if found == KERNEL_SOURCE { Ok(()) } else { Err(Error::OtherKernelSource { found }) }
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
    fn demands_that_the_kernel_takes_its_randomness_from_the_nsm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rng_current");
        assert!(matches!(check_kernel_source(&path), Err(Error::KernelSource { .. })));
        for (named, is_nsm) in
            [("nsm-hwrng\n", true), ("virtio_rng.0\n", false), ("none\n", false), ("", false)]
        {
            std::fs::write(&path, named).unwrap();
            match check_kernel_source(&path) {
                Ok(()) => assert!(is_nsm, "{named}"),
                Err(Error::OtherKernelSource { found }) => {
                    assert_eq!((found.as_str(), is_nsm), (named.trim(), false));
                }
                Err(other) => panic!("{other}"),
            }
        }
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
