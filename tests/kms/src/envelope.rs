//! The envelope that KMS closes for a recipient: CMS in BER with indefinite lengths around definite ones, as it writes it.

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};

const ENVELOPED_DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03";
const DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const RSAES_OAEP: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07";
const MGF1: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08";
/// With NULL for its parameters.
const SHA256_WITH_NULL: &[u8] = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00";
const AES_256_CBC: &[u8] = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a";
const VERSION_2: &[u8] = b"\x02\x01\x02";

/// An envelope around `secret` for whoever has the private key; none for what is no public key.
pub(crate) fn close(
    secret: &[u8],
    public_der: &[u8],
    is_key_forged: bool,
    is_content_forged: bool,
) -> Option<Vec<u8>> {
    let (mut content_key, mut iv) = ([0; 32], [0; 16]);
    rand::fill(&mut content_key).ok()?;
    rand::fill(&mut iv).ok()?;
    let recipient = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(public_der).ok()?).ok()?;
    let mut encrypted_key = vec![0; recipient.ciphertext_size()];
    recipient.encrypt(&OAEP_SHA256_MGF1SHA256, &content_key, &mut encrypted_key, None).ok()?;
    let mut content = secret.to_vec();
    let cipher =
        PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &content_key).ok()?).ok()?;
    cipher.less_safe_encrypt(&mut content, EncryptionContext::Iv128(FixedLength::from(iv))).ok()?;
    if is_key_forged {
        *encrypted_key.first_mut()? ^= 1;
    }
    if is_content_forged {
        // The padding is two blocks further on, and stays whole.
        *content.first_mut()? ^= 1;
    }
    Some(encode(public_der, &encrypted_key, iv, &content))
}

fn encode(public_der: &[u8], encrypted_key: &[u8], iv: [u8; 16], content: &[u8]) -> Vec<u8> {
    let hash = element(0x30, &[SHA256_WITH_NULL]);
    let mask = element(0x30, &[MGF1, &hash]);
    let parameters = element(0x30, &[&element(0xa0, &[&hash]), &element(0xa1, &[&mask])]);
    let key_id = digest(&SHA256, public_der);
    let recipient = element(
        0x30,
        &[
            VERSION_2,
            &element(0x80, &[key_id.as_ref()]),
            &element(0x30, &[RSAES_OAEP, &parameters]),
            &element(0x04, &[encrypted_key]),
        ],
    );
    let algorithm = element(0x30, &[AES_256_CBC, &element(0x04, &[&iv])]);
    let content = indefinite(0x30, &[DATA, &algorithm, &indefinite(0xa0, &[&element(0x04, &[content])])]);
    let enveloped = indefinite(0x30, &[VERSION_2, &element(0x31, &[&recipient]), &content]);
    indefinite(0x30, &[ENVELOPED_DATA, &indefinite(0xa0, &[&enveloped])])
}

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let length = u16::try_from(contents.len()).expect("parts of an envelope are short").to_be_bytes();
    let length = match length {
        [0, short @ 0..0x80] => vec![short],
        [0, long] => vec![0x81, long],
        [high, low] => vec![0x82, high, low],
    };
    [vec![tag], length, contents].concat()
}

fn indefinite(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[tag, 0x80][..], &parts.concat(), &[0, 0]].concat()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::encoding::Pkcs8V1Der;
    use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};

    use super::*;

    #[test]
    fn openssl_opens_an_envelope_of_ours() {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let public = key.public_key().as_der().unwrap();
        let private: Pkcs8V1Der<'_> = key.as_der().unwrap();
        let folder = std::env::temp_dir().join(format!("nsl-kms-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let envelope = close(&[7; 32], public.as_ref(), false, false).unwrap();
        std::fs::write(folder.join("envelope"), envelope).unwrap();
        std::fs::write(folder.join("key"), private.as_ref()).unwrap();
        let mut openssl = Command::new("openssl");
        openssl
            .current_dir(&folder)
            .args(["cms", "-decrypt", "-binary", "-inform", "DER", "-in", "envelope"]);
        let opened = openssl.args(["-inkey", "key", "-keyform", "DER"]).output();
        std::fs::remove_dir_all(&folder).unwrap();
        let Ok(opened) = opened else {
            println!("SKIPPED: no openssl on this machine");
            return;
        };
        assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
        assert_eq!(opened.stdout, [7; 32]);
    }
}
