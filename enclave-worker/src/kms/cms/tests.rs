use proptest::prelude::*;

use super::*;
use crate::kms::recipient::RecipientKey;

const DER: &[u8] = include_bytes!("vectors/der.cms");
const BER: &[u8] = include_bytes!("vectors/ber.cms");
const SECRET: [u8; 32] = [0x55; 32];

fn recipient() -> RecipientKey {
    RecipientKey::of_pkcs8(include_bytes!("vectors/recipient.pk8"))
}

fn open(key: &RecipientKey, envelope: &Envelope) -> Result<Vec<u8>, String> {
    match key.open(envelope) {
        Ok(secret) => Ok(secret.to_vec()),
        Err(crate::kms::Error::Envelope(error)) => Err(error.to_string()),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn envelopes_of_openssl_open_in_both_of_their_forms() {
    for bytes in [DER, BER] {
        assert_eq!(open(&recipient(), &Envelope::parse(bytes).unwrap()).unwrap(), SECRET);
    }
}

#[test]
fn another_key_opens_nothing() {
    let key = RecipientKey::generate().unwrap();
    let error = open(&key, &Envelope::parse(DER).unwrap()).unwrap_err();
    assert_eq!(error, Error::OtherRecipient.to_string());
}

#[test]
fn altered_parts_do_not_open() {
    let whole = Envelope::parse(DER).unwrap();
    let mut of_key = whole.clone();
    of_key.encrypted_key[7] ^= 1;
    assert_eq!(open(&recipient(), &of_key).unwrap_err(), Error::OtherRecipient.to_string());
    let mut of_padding = whole.clone();
    // The last block but one is the mask of the padding: it becomes 17 bytes long.
    of_padding.content[31] ^= 0x01;
    assert_eq!(open(&recipient(), &of_padding).unwrap_err(), Error::NotOpened.to_string());
}

#[test]
fn other_algorithms_and_recipients_are_refused_by_name() {
    for (bytes, expected) in [
        (&include_bytes!("vectors/mgf1-sha1.cms")[..], Error::KeyAlgorithm),
        (&include_bytes!("vectors/pkcs1.cms")[..], Error::KeyAlgorithm),
        (&include_bytes!("vectors/aes-128.cms")[..], Error::ContentAlgorithm),
        (&include_bytes!("vectors/issuer.cms")[..], Error::Version),
    ] {
        assert_eq!(Envelope::parse(bytes), Err(expected));
    }
}

/// `DER` with other bytes in the place of the only ones that are these.
fn replaced(these: &[u8], others: &[u8]) -> Vec<u8> {
    let at = DER.windows(these.len()).position(|window| window == these).unwrap();
    [&DER[..at], others, &DER[at + these.len()..]].concat()
}

#[test]
fn other_contents_and_lengths_are_refused_by_name() {
    let signed_data = [&ENVELOPED_DATA[..8], &[2]].concat();
    assert_eq!(Envelope::parse(&replaced(ENVELOPED_DATA, &signed_data)), Err(Error::ContentType));
    assert_eq!(Envelope::parse(&replaced(DATA, &signed_data)), Err(Error::ContentType));
    let trailing = [DER, &[0]].concat();
    assert_eq!(Envelope::parse(&trailing), Err(Error::Ber(BerError::Trailing)));
    // 48 bytes of content said to be one and 47.
    let cut = replaced(&[0x80, 48], &[0x80, 47]);
    assert_eq!(Envelope::parse(&cut), Err(Error::Ber(BerError::Trailing)));
    let in_a_piece = replaced(&[0xa0, 0x82], &[0xa0, 0x83]);
    assert!(matches!(Envelope::parse(&in_a_piece), Err(Error::Ber(_))));
}

#[test]
fn an_envelope_cut_anywhere_is_not_taken() {
    for bytes in [DER, BER] {
        for end in 0..bytes.len() {
            assert!(matches!(Envelope::parse(&bytes[..end]), Err(Error::Ber(_))), "{end}");
        }
    }
}

proptest! {
    #[test]
    fn altered_envelopes_are_read_without_panic(
        is_der: bool, at in 0_usize..480, byte: u8, more in proptest::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut bytes = if is_der { DER } else { BER }.to_vec();
        let at = at.min(bytes.len() - 1);
        bytes[at] = byte;
        bytes.splice(at..at, more);
        let _ = Envelope::parse(&bytes);
    }
}
