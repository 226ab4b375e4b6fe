//! Why the NSM did not do what it was asked.

use std::fmt;

use aws_nitro_enclaves_nsm_api::api::ErrorCode;

/// Why the NSM did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The device is not there or may not be opened: this is no enclave.
    #[error("cannot open the nsm device {path}")]
    Open {
        /// The device's path.
        path: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The kernel does not say where its randomness comes from: no `/sys`, or no hardware source at all.
    #[error("cannot read {path}: the kernel's source of randomness is not known")]
    KernelSource {
        /// What tells it.
        path: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The kernel's randomness comes from elsewhere than the NSM, so perhaps from the host.
    #[error("kernel takes its randomness from {found:?}, not from the nsm")]
    OtherKernelSource {
        /// The source in use.
        found: String,
    },
    /// The NSM refused the operation.
    #[error("nsm refused {operation}: {refusal}")]
    Refused {
        /// The operation.
        operation: &'static str,
        /// The NSM's reason.
        refusal: Refusal,
    },
    /// The NSM's answer does not fit the operation.
    #[error("nsm answered {operation} with something else")]
    UnexpectedResponse {
        /// The operation.
        operation: &'static str,
    },
    /// A field of an attestation request is longer than verifiers accept.
    #[error("{field} of the attestation request has {bytes} bytes, more than {limit}")]
    FieldTooLong {
        /// The field.
        field: &'static str,
        /// Its size.
        bytes: usize,
        /// The largest size accepted.
        limit: usize,
    },
    /// More randomness is asked for in one request than any key needs.
    #[error("{bytes} random bytes are more than {limit} in one request")]
    TooMuchRandomness {
        /// The bytes asked for.
        bytes: usize,
        /// The most in one request.
        limit: usize,
    },
    /// The NSM has not answered in time; what it was asked it may still do.
    #[error("nsm has not answered within {} s", limit.as_secs())]
    Deadline {
        /// The time.
        limit: std::time::Duration,
    },
    /// The thread for the NSM cannot be started.
    #[error("cannot start the nsm thread")]
    Thread(#[source] std::io::Error),
    /// The thread of the NSM has ended, so nothing can be attested any more.
    #[error("nsm thread has stopped")]
    Stopped,
    /// The software NSM failed.
    #[cfg(feature = "development")]
    #[error("software nsm failed")]
    Software(#[from] super::software::Error),
}

/// The reasons for which an NSM refuses, by its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// An argument is not valid.
    InvalidArgument,
    /// The register does not exist.
    InvalidIndex,
    /// The response does not belong to the request.
    InvalidResponse,
    /// The register is locked.
    ReadOnlyIndex,
    /// The NSM cannot do this.
    InvalidOperation,
    /// The answer does not fit the buffer.
    BufferTooSmall,
    /// The request is too large.
    InputTooLarge,
    /// The NSM or its driver failed.
    InternalError,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::InvalidArgument => "invalid argument",
            Self::InvalidIndex => "no such pcr",
            Self::InvalidResponse => "response of another request",
            Self::ReadOnlyIndex => "pcr is locked",
            Self::InvalidOperation => "operation not supported",
            Self::BufferTooSmall => "answer larger than the buffer",
            Self::InputTooLarge => "request too large",
            Self::InternalError => "internal error",
        })
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::InvalidIndex => Self::InvalidIndex,
            // An error answer that names no error fits nothing that was asked.
            ErrorCode::InvalidResponse | ErrorCode::Success => Self::InvalidResponse,
            ErrorCode::ReadOnlyIndex => Self::ReadOnlyIndex,
            ErrorCode::InvalidOperation => Self::InvalidOperation,
            ErrorCode::BufferTooSmall => Self::BufferTooSmall,
            ErrorCode::InputTooLarge => Self::InputTooLarge,
            ErrorCode::InternalError => Self::InternalError,
        }
    }
}
