//! The one key of the server: wraps data keys, bound to their encryption context.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use serde_json::Value;

use crate::refusal::Refusal;

/// A customer master key.
pub(crate) struct MasterKey(RandomizedNonceKey);

impl MasterKey {
    pub(crate) fn generate() -> Self {
        let mut key = [0; 32];
        rand::fill(&mut key).expect("randomness");
        Self(RandomizedNonceKey::new(&AES_256_GCM, &key).expect("32 bytes"))
    }

    /// A new data key, and it wrapped.
    pub(crate) fn generate_data_key(&self, context: &Value) -> ([u8; 32], Vec<u8>) {
        let mut key = [0; 32];
        rand::fill(&mut key).expect("randomness");
        let wrapped = self.wrap(&key, context);
        (key, wrapped)
    }

    pub(crate) fn wrap(&self, key: &[u8], context: &Value) -> Vec<u8> {
        let mut wrapped = key.to_vec();
        let aad = Aad::from(context.to_string());
        let nonce = self.0.seal_in_place_append_tag(aad, &mut wrapped).expect("a short key");
        [nonce.as_ref().as_slice(), &wrapped].concat()
    }

    pub(crate) fn unwrap(&self, wrapped: &[u8], context: &Value) -> Result<Vec<u8>, Refusal> {
        let refused = || Refusal::new("InvalidCiphertextException", "");
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_LEN>().ok_or_else(refused)?;
        let mut opened = sealed.to_vec();
        let aad = Aad::from(context.to_string());
        let key = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut opened)
            .map_err(|_| refused())?;
        Ok(key.to_vec())
    }
}
