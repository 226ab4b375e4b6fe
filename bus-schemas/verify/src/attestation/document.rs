//! The payload of an attestation document: what the NSM says of its enclave.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

use super::cose::malformed;
use super::{Error, PCR_BYTES, Pcr};
use crate::cbor::{self, Reader};

/// Registers of an NSM, by its `DescribeNSM`.
pub const PCR_COUNT_MAX: usize = 32;
/// Largest public key that an NSM embeds; an RSA-4096 key in DER takes 550 bytes.
pub const PUBLIC_KEY_BYTES_MAX: usize = 1024;
/// Largest user data: the smaller of the two figures in AWS' documents, so that every verifier agrees.
pub const USER_DATA_BYTES_MAX: usize = 512;
/// Largest nonce, for the same reason.
pub const NONCE_BYTES_MAX: usize = 512;

/// Nine fields are known; some may be added, and skipped here, without that an old verifier stops.
const FIELD_COUNT_MAX: usize = 16;
/// The longest known name has 11 bytes.
const FIELD_NAME_BYTES_MAX: usize = 32;
/// Module ids have about 40 bytes: instance id, then enclave id.
const MODULE_ID_BYTES_MAX: usize = 128;
/// Room to name a wrong digest in the error.
const DIGEST_NAME_BYTES_MAX: usize = 16;
/// Largest certificate by AWS' specification; real ones have up to 800 bytes.
const CERTIFICATE_BYTES_MAX: usize = 1024;
/// The root and the six intermediates to which webpki limits a path; real bundles have four certificates.
const BUNDLE_CERTIFICATES_MAX: usize = 7;
/// The digest that every Nitro PCR bank has.
const DIGEST_NAME: &str = "SHA384";

/// Index of the register that measures the whole enclave image.
pub(super) const PCR_IMAGE: u8 = 0;

/// What a document says. [`super::verify`] answers with a verified one; that of a [`super::Report`] is as good as the
/// report's verdicts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AttestationDocument {
    /// The issuing NSM.
    pub module_id: String,
    /// When the NSM made the document, in milliseconds since the Unix epoch, by the NSM's clock.
    pub timestamp_ms: u64,
    /// The registers in the document.
    #[serde(serialize_with = "pcrs_as_hex")]
    pub pcrs: BTreeMap<u8, Pcr>,
    /// A key of the enclave's, to encrypt to or to verify with.
    #[serde(serialize_with = "bytes_as_hex")]
    pub public_key: Option<Vec<u8>>,
    /// Data of the enclave's choice.
    #[serde(serialize_with = "bytes_as_hex")]
    pub user_data: Option<Vec<u8>>,
    /// The challenge that the document answers.
    #[serde(serialize_with = "bytes_as_hex")]
    pub nonce: Option<Vec<u8>>,
}

impl AttestationDocument {
    /// A register's value.
    ///
    /// # Errors
    /// [`Error::MissingPcr`] when the document lacks it.
    pub fn pcr(&self, index: u8) -> Result<&Pcr, Error> {
        self.pcrs.get(&index).ok_or(Error::MissingPcr { index })
    }

    /// Whether the enclave runs in debug mode: its console is readable, and its image measures to zero.
    ///
    /// # Errors
    /// [`Error::MissingPcr`] when the document does not measure the image.
    pub fn is_debug(&self) -> Result<bool, Error> {
        Ok(*self.pcr(PCR_IMAGE)? == [0; PCR_BYTES])
    }
}

/// A payload in good form, with the certificates that shall prove it.
#[derive(Debug)]
pub(super) struct Payload<'a> {
    pub(super) document: AttestationDocument,
    pub(super) certificate: &'a [u8],
    pub(super) root: &'a [u8],
    /// From the root's side to the leaf's.
    pub(super) intermediates: Vec<&'a [u8]>,
}

#[derive(Default)]
struct Fields<'a> {
    module_id: Option<&'a str>,
    digest: Option<&'a str>,
    timestamp: Option<u64>,
    pcrs: Option<BTreeMap<u8, Pcr>>,
    certificate: Option<&'a [u8]>,
    cabundle: Option<Vec<&'a [u8]>>,
    public_key: Option<&'a [u8]>,
    user_data: Option<&'a [u8]>,
    nonce: Option<&'a [u8]>,
}

impl<'a> Payload<'a> {
    /// Reads a payload; lengths, presence and uniqueness of all fields are checked.
    pub(super) fn parse(payload: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(payload);
        let fields = Fields::read(&mut reader)?;
        reader.finish().map_err(in_payload)?;
        fields.complete()
    }
}

impl<'a> Fields<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let mut fields = Self::default();
        let mut seen = BTreeSet::new();
        let mut entries = reader.map(FIELD_COUNT_MAX).map_err(in_payload)?;
        while entries.another(reader).map_err(in_payload)? {
            let name = reader.text(FIELD_NAME_BYTES_MAX).map_err(in_payload)?;
            if !seen.insert(name) {
                return Err(Error::DuplicateField { field: name.to_owned() });
            }
            fields.read_value(name, reader)?;
        }
        Ok(fields)
    }

    fn read_value(&mut self, name: &str, reader: &mut Reader<'a>) -> Result<(), Error> {
        match name {
            "pcrs" => {
                self.pcrs = Some(read_pcrs(reader)?);
                Ok(())
            }
            _ => self.read_plain_value(name, reader).map_err(in_payload),
        }
    }

    fn read_plain_value(&mut self, name: &str, reader: &mut Reader<'a>) -> Result<(), cbor::Error> {
        match name {
            "module_id" => self.module_id = Some(reader.text(MODULE_ID_BYTES_MAX)?),
            "digest" => self.digest = Some(reader.text(DIGEST_NAME_BYTES_MAX)?),
            "timestamp" => self.timestamp = Some(reader.unsigned()?),
            "certificate" => self.certificate = Some(reader.bytes(CERTIFICATE_BYTES_MAX)?),
            "cabundle" => self.cabundle = Some(read_bundle(reader)?),
            "public_key" => self.public_key = reader.bytes_or_null(PUBLIC_KEY_BYTES_MAX)?,
            "user_data" => self.user_data = reader.bytes_or_null(USER_DATA_BYTES_MAX)?,
            "nonce" => self.nonce = reader.bytes_or_null(NONCE_BYTES_MAX)?,
            _ => reader.skip()?,
        }
        Ok(())
    }

    fn complete(self) -> Result<Payload<'a>, Error> {
        let module_id = required("module_id", self.module_id)?;
        if module_id.is_empty() {
            return Err(Error::EmptyField { field: "module_id" });
        }
        let digest = required("digest", self.digest)?;
        if digest != DIGEST_NAME {
            return Err(Error::Digest { digest: digest.to_owned() });
        }
        let timestamp_ms = required("timestamp", self.timestamp)?;
        if timestamp_ms == 0 {
            return Err(Error::EmptyField { field: "timestamp" });
        }
        let pcrs = required("pcrs", self.pcrs)?;
        let certificate = required("certificate", self.certificate)?;
        let bundle = required("cabundle", self.cabundle)?;
        let (root, intermediates) = bundle.split_first().ok_or(Error::EmptyField { field: "cabundle" })?;
        let document = AttestationDocument {
            module_id: module_id.to_owned(),
            timestamp_ms,
            pcrs,
            public_key: self.public_key.map(<[u8]>::to_vec),
            user_data: self.user_data.map(<[u8]>::to_vec),
            nonce: self.nonce.map(<[u8]>::to_vec),
        };
        Ok(Payload { document, certificate, root, intermediates: intermediates.to_vec() })
    }
}

fn read_pcrs(reader: &mut Reader<'_>) -> Result<BTreeMap<u8, Pcr>, Error> {
    let mut pcrs = BTreeMap::new();
    let mut entries = reader.map(PCR_COUNT_MAX).map_err(in_payload)?;
    while entries.another(reader).map_err(in_payload)? {
        let number = reader.unsigned().map_err(in_payload)?;
        let index = match u8::try_from(number) {
            Ok(index) if usize::from(index) < PCR_COUNT_MAX => index,
            _ => return Err(Error::PcrIndex { index: number }),
        };
        // Longer values than a digest's are read as well, so that they can be named.
        let bytes = reader.bytes(2 * PCR_BYTES).map_err(in_payload)?;
        let value = Pcr::try_from(bytes).map_err(|_| Error::PcrLength { index, bytes: bytes.len() })?;
        if pcrs.insert(index, value).is_some() {
            return Err(Error::DuplicatePcr { index });
        }
    }
    Ok(pcrs)
}

fn read_bundle<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a [u8]>, cbor::Error> {
    let mut bundle = Vec::new();
    let mut certificates = reader.array(BUNDLE_CERTIFICATES_MAX)?;
    while certificates.another(reader)? {
        bundle.push(reader.bytes(CERTIFICATE_BYTES_MAX)?);
    }
    Ok(bundle)
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, Error> {
    value.ok_or(Error::MissingField { field })
}

fn in_payload(source: cbor::Error) -> Error {
    malformed("payload")(source)
}

fn pcrs_as_hex<S: Serializer>(pcrs: &BTreeMap<u8, Pcr>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pcrs.iter().map(|(index, value)| (index, hex::encode(value))))
}

#[expect(clippy::ref_option, reason = "serde hands fields to `serialize_with` by reference")]
fn bytes_as_hex<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    bytes.as_ref().map(hex::encode).serialize(serializer)
}
