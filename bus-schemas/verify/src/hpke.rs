//! Hybrid public key encryption (RFC 9180, single shot, base mode) to a key that an enclave or a custodian holds.
//!
//! The one suite is DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305. A message is the encapsulated key followed
//! by the ciphertext. Base mode does not say who sealed: what is opened is proven by what it says, never by its arrival.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, UnparsedPublicKey, X25519};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// Bytes of a key, private or public.
pub const KEY_BYTES: usize = 32;
/// What a message is longer by than its plaintext: the encapsulated key and the tag.
pub const OVERHEAD_BYTES: usize = KEY_BYTES + TAG_BYTES;

/// Poly1305's.
const TAG_BYTES: usize = 16;
/// ChaCha20Poly1305's.
const NONCE_BYTES: usize = 12;
/// SHA-256's, and so HKDF's.
const HASH_BYTES: usize = 32;
/// In front of every label (RFC 9180 §4).
const VERSION: &[u8] = b"HPKE-v1";
/// "KEM" and the KEM's id.
const KEM_SUITE: &[u8] = b"KEM\x00\x20";
/// "HPKE" and the ids of KEM, KDF and AEAD.
const SUITE: &[u8] = b"HPKE\x00\x20\x00\x01\x00\x03";
/// No pre-shared key, no sender's key.
const MODE_BASE: u8 = 0;

/// Why nothing was sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The private key is none.
    #[error("not an X25519 private key")]
    PrivateKey,
    /// The other side's key is none, or of small order.
    #[error("no shared secret with this X25519 public key")]
    Agreement,
    /// Shorter than any message.
    #[error("hpke message has {bytes} bytes, at least {OVERHEAD_BYTES} are needed")]
    TooShort {
        /// Its length.
        bytes: usize,
    },
    /// The cipher failed to seal.
    #[error("hpke message could not be sealed")]
    Seal,
    /// Sealed to another key or for another purpose, or altered.
    #[error("hpke message does not open with this key, for this purpose")]
    NotAuthentic,
}

/// A private key. Wiped when dropped.
pub struct PrivateKey {
    secret: Zeroizing<[u8; KEY_BYTES]>,
    public: [u8; KEY_BYTES],
}

impl PrivateKey {
    /// The key with these random bytes.
    pub fn from_secret(secret: Zeroizing<[u8; KEY_BYTES]>) -> Result<Self, Error> {
        let public = agreement_key(&secret)?.compute_public_key().map_err(|_| Error::PrivateKey)?;
        let public = public.as_ref().try_into().map_err(|_| Error::PrivateKey)?;
        Ok(Self { secret, public })
    }

    /// Whom to seal to.
    pub const fn public(&self) -> [u8; KEY_BYTES] {
        self.public
    }

    /// Opens a message that was sealed to this key for `info` with `aad`.
    pub fn open(&self, info: &[u8], aad: &[u8], message: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let too_short = Error::TooShort { bytes: message.len() };
        let (encapsulated, ciphertext) = message.split_first_chunk::<KEY_BYTES>().ok_or(too_short)?;
        if ciphertext.len() < TAG_BYTES {
            return Err(too_short);
        }
        let shared = shared_secret(&self.secret, encapsulated, encapsulated, &self.public)?;
        let (key, nonce) = key_schedule(&shared, info).ok_or(Error::NotAuthentic)?;
        let mut opened = Zeroizing::new(ciphertext.to_vec());
        let plaintext_bytes =
            key.open_in_place(nonce, Aad::from(aad), &mut opened).map_err(|_| Error::NotAuthentic)?.len();
        opened.truncate(plaintext_bytes);
        Ok(opened)
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "PrivateKey(of {})", hex::encode(self.public))
    }
}

/// Seals to `recipient` for `info`, which separates purposes, with `aad`. `ephemeral` is drawn for this message alone.
pub fn seal(
    recipient: &[u8; KEY_BYTES],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    ephemeral: Zeroizing<[u8; KEY_BYTES]>,
) -> Result<Vec<u8>, Error> {
    let ephemeral = PrivateKey::from_secret(ephemeral)?;
    let encapsulated = ephemeral.public();
    let shared = shared_secret(&ephemeral.secret, recipient, &encapsulated, recipient)?;
    let (key, nonce) = key_schedule(&shared, info).ok_or(Error::Seal)?;
    // With room for the tag, or growing would leave a copy of the plaintext behind.
    let mut sealed = Zeroizing::new(Vec::with_capacity(plaintext.len() + TAG_BYTES));
    sealed.extend_from_slice(plaintext);
    key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut *sealed).map_err(|_| Error::Seal)?;
    Ok([encapsulated.as_slice(), &sealed].concat())
}

fn agreement_key(secret: &[u8; KEY_BYTES]) -> Result<agreement::PrivateKey, Error> {
    agreement::PrivateKey::from_private_key(&X25519, secret).map_err(|_| Error::PrivateKey)
}

/// Encap and Decap (RFC 9180 §4.1). The agreement fails for a public key of small order, as it must (§7.1.4).
fn shared_secret(
    own: &[u8; KEY_BYTES],
    other: &[u8; KEY_BYTES],
    encapsulated: &[u8; KEY_BYTES],
    recipient: &[u8; KEY_BYTES],
) -> Result<Zeroizing<[u8; HASH_BYTES]>, Error> {
    let other = UnparsedPublicKey::new(&X25519, other);
    agreement::agree(&agreement_key(own)?, other, Error::Agreement, |agreed| {
        let prk = labeled_extract(KEM_SUITE, &[], b"eae_prk", agreed);
        let context = [encapsulated.as_slice(), recipient].concat();
        Ok(labeled_expand(KEM_SUITE, &prk, b"shared_secret", &context, HASH_BYTES))
    })
}

/// KeySchedule (RFC 9180 §5.1) in base mode; a single shot needs the first nonce alone.
fn key_schedule(shared_secret: &[u8; HASH_BYTES], info: &[u8]) -> Option<(LessSafeKey, Nonce)> {
    let psk_id_hash = labeled_extract(SUITE, &[], b"psk_id_hash", &[]);
    let info_hash = labeled_extract(SUITE, &[], b"info_hash", info);
    let context = [[MODE_BASE].as_slice(), &*psk_id_hash, &*info_hash].concat();
    let secret = labeled_extract(SUITE, shared_secret, b"secret", &[]);
    let key = labeled_expand(SUITE, &secret, b"key", &context, KEY_BYTES);
    let nonce = labeled_expand(SUITE, &secret, b"base_nonce", &context, NONCE_BYTES);
    let nonce = Nonce::assume_unique_for_key(*nonce.first_chunk()?);
    Some((LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).ok()?), nonce))
}

/// LabeledExtract (RFC 9180 §4); HKDF-Extract is one HMAC.
fn labeled_extract(suite: &[u8], salt: &[u8], label: &[u8], input: &[u8]) -> Zeroizing<[u8; HASH_BYTES]> {
    hmac_sha256(salt, &[VERSION, suite, label, input])
}

/// The hash whose first `bytes` are LabeledExpand's (RFC 9180 §4): for no more than a hash's length, HKDF-Expand is one HMAC.
fn labeled_expand(
    suite: &[u8],
    prk: &[u8; HASH_BYTES],
    label: &[u8],
    info: &[u8],
    bytes: usize,
) -> Zeroizing<[u8; HASH_BYTES]> {
    let length = u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes();
    hmac_sha256(prk, &[&length, VERSION, suite, label, info, &[1]])
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; HASH_BYTES]> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut hash = Zeroizing::new([0; HASH_BYTES]);
    hash.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    fn secret(text: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(bytes(text).try_into().unwrap())
    }

    fn key(byte: u8) -> PrivateKey {
        PrivateKey::from_secret(Zeroizing::new([byte; 32])).unwrap()
    }

    fn sealed(plaintext: &[u8]) -> Vec<u8> {
        seal(&key(1).public(), b"purpose", b"bound", plaintext, Zeroizing::new([2; 32])).unwrap()
    }

    #[test]
    fn the_first_message_of_rfc_9180_a_2_1_is_sealed_and_opened() {
        let recipient = PrivateKey::from_secret(secret(
            "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb",
        ))
        .unwrap();
        assert_eq!(
            hex::encode(recipient.public()),
            "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a"
        );
        let (info, aad) = (bytes("4f6465206f6e2061204772656369616e2055726e"), b"Count-0");
        let plaintext = b"Beauty is truth, truth beauty";
        let ephemeral = secret("f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600");
        let message = seal(&recipient.public(), &info, aad, plaintext, ephemeral).unwrap();
        assert_eq!(
            hex::encode(&message),
            "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a\
             1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"
        );
        assert_eq!(recipient.open(&info, aad, &message).unwrap().as_slice(), plaintext);
    }

    #[test]
    fn a_message_opens_for_its_key_purpose_and_binding_alone() {
        let message = sealed(b"secret");
        assert_eq!(key(1).open(b"purpose", b"bound", &message).unwrap().as_slice(), b"secret");
        assert_eq!(key(3).open(b"purpose", b"bound", &message), Err(Error::NotAuthentic));
        assert_eq!(key(1).open(b"other", b"bound", &message), Err(Error::NotAuthentic));
        assert_eq!(key(1).open(b"purpose", b"other", &message), Err(Error::NotAuthentic));
    }

    #[test]
    fn keys_of_small_order_and_short_messages_are_refused() {
        for point in [[0; 32], {
            let mut one = [0; 32];
            one[0] = 1;
            one
        }] {
            let refused = seal(&point, b"", b"", b"secret", Zeroizing::new([2; 32]));
            assert_eq!(refused, Err(Error::Agreement));
            let message = [point.as_slice(), &[0; 16]].concat();
            assert_eq!(key(1).open(b"", b"", &message), Err(Error::Agreement));
        }
        for bytes in [0, 31, 32, OVERHEAD_BYTES - 1] {
            assert_eq!(key(1).open(b"", b"", &vec![1; bytes]), Err(Error::TooShort { bytes }));
        }
        assert_eq!(sealed(b"").len(), OVERHEAD_BYTES);
    }

    proptest! {
        #[test]
        fn altered_messages_never_open(index in 0_usize..54, bit in 0_u8..8) {
            // The last bit of the encapsulated key is ignored by X25519, not by the context that it is hashed into.
            let mut message = sealed(b"secret");
            message[index] ^= 1 << bit;
            prop_assert!(key(1).open(b"purpose", b"bound", &message).is_err());
        }

        #[test]
        fn what_is_sealed_is_what_is_opened(plaintext: Vec<u8>, ephemeral: [u8; 32]) {
            let recipient = key(1);
            let message = seal(&recipient.public(), b"", b"", &plaintext, Zeroizing::new(ephemeral)).unwrap();
            prop_assert_eq!(message.len(), plaintext.len() + OVERHEAD_BYTES);
            prop_assert_eq!(&*recipient.open(b"", b"", &message).unwrap(), &plaintext);
        }
    }
}
