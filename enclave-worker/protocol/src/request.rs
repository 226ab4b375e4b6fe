//! What a host asks of a worker, as canonical JSON in one message of the channel, which bounds its size.

use nsl_schemas::authority::{OperatorStatement, Signed};
use nsl_schemas::bytes::Base64;
use nsl_schemas::canonical;
use nsl_schemas::job::EnclaveJob;
use nsl_schemas::outcome::SealedKey;
use nsl_schemas::policy::Policy;
use nsl_schemas::pool_view::Certificate;
use nsl_schemas::reservation::{Head, SealedReservation, WalletName};
use nsl_schemas::sealing::SealingRequest;
use serde::{Deserialize, Serialize};

use crate::credentials::AwsCredentials;
use crate::pool_view::PoolRequest;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// What are you? Proves nothing.
    Describe,
    /// Prove which build you are and which key signs your outcomes.
    Register {
        /// The challenge that the attestation document must carry.
        nonce: Base64,
    },
    /// Prove which key secrets are encrypted to.
    PoolKey {
        /// The challenge that the attestation document must carry.
        nonce: Base64,
    },
    /// This is what the operators decided; acts that were shown before are passed over, so none asks how far you are.
    Follow {
        /// In their order.
        acts: Vec<Signed<OperatorStatement>>,
    },
    /// Do this job.
    Perform {
        /// That a majority of the pool endorsed the job's reservation, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certificate: Option<Box<Certificate>>,
        /// The job.
        job: Box<EnclaveJob>,
    },
    /// Endorse this reservation, in the view that you are in.
    Endorse {
        /// That of the reservation before it, where it is at hand.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certificate: Option<Box<Certificate>>,
        /// The policy that the key is sealed under.
        policy: Box<Policy>,
        /// The reservation.
        reservation: Box<SealedReservation>,
        /// The wallet's key, which proves that the reservation is a worker's.
        sealed_key: Box<SealedKey>,
    },
    /// Endorse again what you endorsed.
    Recall {
        /// The reservation.
        head: Head,
        /// Whose.
        wallet: WalletName,
    },
    /// Something about the pool's view.
    Pool {
        /// What.
        about: Box<PoolRequest>,
    },
    /// Something about sealing keys.
    Sealing {
        /// What.
        about: Box<SealingRequest>,
        /// What requests to KMS are signed with, where meeting this one takes some.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credentials: Option<AwsCredentials>,
    },
}

impl Request {
    /// The request as it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical::to_string(self).into_bytes()
    }

    /// Reads a request; nesting is bounded as for every payload. Jobs are most of what is asked, and are tried first: by
    /// their tag they could only be read after all of them was copied.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, canonical::Error> {
        match canonical::from_slice(bytes) {
            Ok(Perform { certificate, job, request: PerformTag::Perform }) => {
                Ok(Self::Perform { certificate, job })
            }
            Err(_other) => canonical::from_slice(bytes),
        }
    }
}

/// [`Request::Perform`] as it stands in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Perform {
    #[serde(default)]
    certificate: Option<Box<Certificate>>,
    job: Box<EnclaveJob>,
    request: PerformTag,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PerformTag {
    Perform,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_back_as_they_were_sent() {
        for request in [
            Request::Describe,
            Request::Follow { acts: vec![] },
            Request::Register { nonce: Base64(vec![1, 2, 3]) },
            Request::Pool { about: Box::new(PoolRequest::Status) },
            Request::Pool { about: Box::new(PoolRequest::Links { from: 3 }) },
        ] {
            assert_eq!(Request::from_bytes(&request.to_bytes()).unwrap(), request);
        }
        assert_eq!(Request::Describe.to_bytes(), br#"{"request":"describe"}"#);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for bytes in [
            &b""[..],
            b"{}",
            b"null",
            br#"{"request":"export-key"}"#,
            br#"{"request":"register"}"#,
            br#"{"request":"register","nonce":"AQID","more":1}"#,
            br#"{"request":"perform","job":{}}"#,
        ] {
            assert!(Request::from_bytes(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
    }
}
