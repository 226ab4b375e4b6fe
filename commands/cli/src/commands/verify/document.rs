//! Attestation documents and root certificates in the forms in which files have them.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

/// Writers differ about the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const PEM_END: &str = "-----END CERTIFICATE-----";

/// A document's bytes from raw, hex or base64 text. A raw one begins with a byte that no text has, base64 of one with
/// `h` or `0o`, so that no two forms are taken for each other; what is none of them goes to the verifier, which says why.
pub(super) fn decode(file: Vec<u8>) -> Vec<u8> {
    if !file.is_ascii() {
        return file;
    }
    let text: Vec<u8> = file.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let decoded = hex::decode(&text).ok().or_else(|| BASE64.decode(&text).ok());
    decoded.unwrap_or(file)
}

/// SHA-256 of a certificate's DER, from DER or PEM.
pub(super) fn certificate_sha256(file: &[u8]) -> Result<[u8; 32], &'static str> {
    let der = match str::from_utf8(file).ok().and_then(|text| text.split_once(PEM_BEGIN)) {
        Some((_, rest)) => {
            let (body, _) = rest.split_once(PEM_END).ok_or("holds a certificate in PEM without an end")?;
            let body: String = body.split_ascii_whitespace().collect();
            STANDARD.decode(body).map_err(|_| "holds a certificate in PEM that is not base64")?
        }
        None => file.to_vec(),
    };
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest(&SHA256, &der).as_ref());
    Ok(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_in_every_form() {
        let raw = vec![0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0];
        let unpadded = STANDARD.encode(&raw).trim_end_matches('=').to_owned();
        for file in [
            raw.clone(),
            hex::encode(&raw).into_bytes(),
            format!("  {}\n", hex::encode_upper(&raw)).into_bytes(),
            STANDARD.encode(&raw).into_bytes(),
            format!("{}\r\n{}\n", &unpadded[..4], &unpadded[4..]).into_bytes(),
        ] {
            assert_eq!(decode(file.clone()), raw, "{file:02x?}");
        }
        assert_eq!(decode(b"{\"no\":1}".to_vec()), b"{\"no\":1}");
    }

    #[test]
    fn a_certificate_has_one_hash_in_der_and_pem() {
        let der = [0x30, 0x82, 0x01];
        let pem = format!("# root\n{PEM_BEGIN}\n{}\n{PEM_END}\n", STANDARD.encode(der));
        assert_eq!(certificate_sha256(pem.as_bytes()), certificate_sha256(&der));
        assert!(certificate_sha256(format!("{PEM_BEGIN}\nMII").as_bytes()).is_err());
        assert!(certificate_sha256(format!("{PEM_BEGIN}\n(((\n{PEM_END}").as_bytes()).is_err());
    }
}
