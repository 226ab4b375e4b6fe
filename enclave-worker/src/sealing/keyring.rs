//! The sealing keys that a worker has, by epoch: the newest seals, every one opens, so that keys are sealed anew under
//! the next while the last is still in use.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use nsl_schemas::sealing::SealingKeyName;

use crate::refusal::Unavailable;
use crate::seal::SealingKey;

/// Most epochs at once: two while keys are sealed anew, and room for a rotation that was cut short.
const EPOCHS_MAX: usize = 8;

/// A worker's sealing keys; begins with what its provider had at hand.
#[derive(Debug, Default)]
pub struct Keyring(RwLock<BTreeMap<u32, Arc<SealingKey>>>);

impl From<SealingKey> for Keyring {
    /// A pool with the only key that it ever had.
    fn from(key: SealingKey) -> Self {
        Self(RwLock::new(BTreeMap::from([(1, Arc::new(key))])))
    }
}

impl Keyring {
    /// The key that seals now.
    pub(crate) fn for_sealing(&self) -> Result<Arc<SealingKey>, Unavailable> {
        self.newest().map(|(key, _)| key)
    }

    /// The key that seals now, with its name.
    pub(crate) fn newest(&self) -> Result<(Arc<SealingKey>, SealingKeyName), Unavailable> {
        let keys = self.read();
        let (epoch, key) = keys.last_key_value().ok_or(Unavailable::NoSealingKey)?;
        Ok((Arc::clone(key), SealingKeyName { epoch: *epoch, key_id: key.id().to_owned() }))
    }

    /// The key of this name; another worker may have it where this one has not.
    pub(crate) fn named(&self, key_id: &str) -> Result<Arc<SealingKey>, Unavailable> {
        let keys = self.read();
        let named = keys.values().find(|key| key.id() == key_id).map(Arc::clone);
        named.ok_or(if keys.is_empty() { Unavailable::NoSealingKey } else { Unavailable::OtherSealingKey })
    }

    /// All keys with their epochs, oldest first.
    pub(super) fn all(&self) -> Vec<(u32, Arc<SealingKey>)> {
        self.read().iter().map(|(epoch, key)| (*epoch, Arc::clone(key))).collect()
    }

    /// Whether this very key is there.
    pub(super) fn has(&self, name: &SealingKeyName) -> bool {
        self.read().get(&name.epoch).is_some_and(|key| key.id() == name.key_id)
    }

    /// Takes a key; one of its epoch stays as it is. Where there are too many, the oldest goes: what it sealed is for a
    /// worker of an earlier start.
    pub(super) fn insert(&self, epoch: u32, key: Arc<SealingKey>) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.entry(epoch).or_insert(key);
        while keys.len() > EPOCHS_MAX {
            keys.pop_first();
        }
    }

    /// The names of all keys, oldest first.
    pub fn names(&self) -> Vec<SealingKeyName> {
        let name = |(epoch, key): (&u32, &Arc<SealingKey>)| SealingKeyName {
            epoch: *epoch,
            key_id: key.id().to_owned(),
        };
        self.read().iter().map(name).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<u32, Arc<SealingKey>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use nsl_schemas::bytes::Sha256;

    use super::*;

    fn key(byte: u8) -> Arc<SealingKey> {
        Arc::new(SealingKey::derive(&[byte; 32], Sha256([7; 32])).unwrap())
    }

    #[test]
    fn the_newest_seals_and_every_one_opens() {
        let keyring = Keyring::default();
        assert!(matches!(keyring.for_sealing(), Err(Unavailable::NoSealingKey)));
        assert!(matches!(keyring.named(key(1).id()), Err(Unavailable::NoSealingKey)));
        keyring.insert(2, key(2));
        keyring.insert(1, key(1));
        keyring.insert(1, key(9));
        assert_eq!(keyring.for_sealing().unwrap().id(), key(2).id());
        for byte in [1, 2] {
            assert_eq!(keyring.named(key(byte).id()).unwrap().id(), key(byte).id());
        }
        assert!(matches!(keyring.named(key(9).id()), Err(Unavailable::OtherSealingKey)));
    }

    #[test]
    fn only_so_many_epochs_are_kept() {
        let keyring = Keyring::default();
        (1..=10).for_each(|epoch| keyring.insert(epoch, key(1)));
        assert_eq!(keyring.names().first().map(|name| name.epoch), Some(3));
    }
}
