//! Sealing keys that a quorum of custodians, or AWS KMS, can bring back: the order to found one, the record of its founding,
//! and what custodians and workers say to each other over a host that only carries it.
//!
//! A custodians' key is born in a worker and split by Shamir over GF(256); one of KMS is born there, and what KMS wraps it
//! to is all that is kept. Either is forgotten by the worker that founded it. It seals nothing before it was brought back for
//! the first time, so a key that nobody can bring back never holds anything.

use serde::{Deserialize, Serialize};

use crate::authority::{Operators, SealingProvider, Signed, Statement};
use crate::bytes::{Base64, HpkeKey, Sha256};
use crate::canonical;
use crate::envelope::statement_bytes;
use crate::kms;

/// Most custodians of one key, as most keys of a quorum.
pub const CUSTODIANS_MAX: usize = crate::authority::QUORUM_KEYS_MAX;
/// Longest name of a custodian.
const NAME_BYTES_MAX: usize = 64;
/// Bytes of a share: its number, then one byte for each of the secret's 32.
pub const SHARE_BYTES: usize = 33;
/// What a share's message to its custodian is sealed for (HPKE's `info`); bound to [`SealingOrder::sha256`].
pub const SHARE_TO_CUSTODIAN: &[u8] = b"nsl-share-to-custodian-v1";
/// What a share's message to a worker is sealed for; bound to [`SealingStatement::user_data`].
pub const SHARE_TO_WORKER: &[u8] = b"nsl-share-to-worker-v1";
/// What the document of [`SealingAnswer::Attested`] carries as `user_data`: a worker attests other keys as well.
pub const PROVISIONING_KEY: &[u8] = b"nsl-provisioning-key-v1";
/// What a share's commitment begins with.
const COMMITMENT_TAG: &[u8] = b"nsl-share-commitment-v1";
/// What the hashed bytes of a [`SealingStatement`] begin with.
const RECORD_TAG: &str = "nsl-sealing-record-v1";

/// Who keeps a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Custodian {
    /// Whom the share is encrypted to.
    pub key: HpkeKey,
    /// For people.
    pub name: String,
}

/// The operators' quorum orders a sealing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SealingOrder {
    /// Who keep its shares, without repeats; none where KMS keeps the key.
    pub custodians: Vec<Custodian>,
    /// Counts the log's sealing keys, from 1.
    pub epoch: u32,
    /// The log it is for.
    pub genesis_sha256: Sha256,
    /// Unix ms.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub issued_at_ms: u64,
    /// Which quorum of the operators signs.
    pub quorum_epoch: u32,
    /// How many of the shares bring it back; 0 where KMS keeps the key.
    pub threshold: u8,
}

impl Statement for SealingOrder {
    const TAG: &'static str = "nsl-sealing-order-v1";
}

impl SealingOrder {
    /// Its hash, to which the custodians' messages are bound.
    pub fn sha256(&self) -> Sha256 {
        canonical::sha256(self)
    }

    /// Whether the order is one for this provider, and the key can be brought back.
    fn is_sound(&self, provider: &SealingProvider) -> bool {
        match provider {
            SealingProvider::Development => false,
            SealingProvider::CustodianQuorum => self.is_sound_for_custodians(),
            SealingProvider::AwsKms(_) => {
                self.custodians.is_empty() && self.threshold == 0 && self.epoch >= 1
            }
        }
    }

    /// Whether a quorum is possible and nobody holds two shares.
    fn is_sound_for_custodians(&self) -> bool {
        let distinct: std::collections::BTreeSet<_> = self.custodians.iter().map(|one| one.key).collect();
        distinct.len() == self.custodians.len()
            && self.custodians.len() <= CUSTODIANS_MAX
            && (1..=self.custodians.len()).contains(&usize::from(self.threshold))
            && self.custodians.iter().all(|one| one.name.len() <= NAME_BYTES_MAX)
            && self.epoch >= 1
    }
}

impl Signed<SealingOrder> {
    /// Whether the order is this log's, sound, and of a quorum whose word counts, present or earlier.
    pub fn check(&self, operators: &Operators) -> Result<(), RecordError> {
        let provider = operators.sealing_provider();
        if *provider == SealingProvider::Development {
            return Err(RecordError::Provider);
        }
        if self.statement.genesis_sha256 != operators.genesis_sha256() {
            return Err(RecordError::OtherGenesis);
        }
        if !self.statement.is_sound(provider) {
            return Err(RecordError::Unsound);
        }
        let quorum = operators.quorum_of(self.statement.quorum_epoch).ok_or(RecordError::Replaced)?;
        if self.is_signed_by(quorum) { Ok(()) } else { Err(RecordError::Unsigned) }
    }

    /// Whether a key may be founded by it now: only the present quorum orders.
    pub fn check_new(&self, operators: &Operators) -> Result<(), RecordError> {
        if self.statement.quorum_epoch != operators.epoch() {
            return Err(RecordError::Replaced);
        }
        self.check(operators)
    }
}

/// A share as its custodian has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EncryptedShare {
    /// What the share is known again by, see [`share_commitment`].
    pub commitment: Sha256,
    /// The share, sealed to the custodian.
    pub message: Base64,
}

/// What a worker states about the key that it founded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SealingStatement {
    /// The key as KMS wraps it, where KMS keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ciphertext: Option<Base64>,
    /// Names the key without telling anything about it.
    pub key_id: String,
    /// Why it was founded.
    pub order: Signed<SealingOrder>,
    /// In the order of the custodians; none where KMS keeps the key.
    pub shares: Vec<EncryptedShare>,
}

impl SealingStatement {
    /// What the attestation document carries as `user_data`.
    pub fn user_data(&self) -> Sha256 {
        Sha256::of(&statement_bytes(RECORD_TAG, self))
    }

    /// Whether the statement follows from an order of this log; whether a measured worker made it, its document tells.
    pub fn check(&self, operators: &Operators) -> Result<(), RecordError> {
        self.order.check(operators)?;
        if self.shares.len() != self.order.statement.custodians.len() {
            return Err(RecordError::Shares);
        }
        let wrapped_bytes = self.ciphertext.as_ref().map(|ciphertext| ciphertext.0.len());
        let is_wrapped_as_ordered = match (operators.sealing_provider(), wrapped_bytes) {
            (SealingProvider::AwsKms(_), Some(bytes)) => (1..=kms::CIPHERTEXT_BYTES_MAX).contains(&bytes),
            (SealingProvider::AwsKms(_), None) | (_, Some(_)) => false,
            (_, None) => true,
        };
        if is_wrapped_as_ordered { Ok(()) } else { Err(RecordError::Ciphertext) }
    }

    /// The place of the custodian with this key.
    pub fn place(&self, custodian: &HpkeKey) -> Option<usize> {
        self.order.statement.custodians.iter().position(|one| one.key == *custodian)
    }
}

/// An attested statement that a measured worker had a sealing key of its own or of KMS, and of what brings it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SealingRecord {
    /// The attestation document; its `user_data` is the statement's.
    pub document: Base64,
    /// What is stated.
    pub statement: SealingStatement,
}

/// Why an order or a record is not one to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The manifest names a provider that has its key from the start.
    #[error("the sealing provider of the genesis manifest founds no keys")]
    Provider,
    /// For another log.
    #[error("the order is for another genesis manifest")]
    OtherGenesis,
    /// Nobody could bring the key back, somebody has two shares, or KMS shares what it keeps.
    #[error("the order's custodians and threshold are not sound for the manifest's sealing provider")]
    Unsound,
    /// Of a quorum that was replaced, and whose word counts no more for this.
    #[error("the order is of a quorum of operators that was replaced, or is unknown")]
    Replaced,
    /// Not the quorum's.
    #[error("the order is not signed by the operators' quorum")]
    Unsigned,
    /// Not one share for each custodian.
    #[error("the record has not one share for each custodian")]
    Shares,
    /// No key as KMS wraps it where there must be one, one where there must be none, or one that is too long.
    #[error("the record's key as KMS wraps it is missing, too long, or of another provider")]
    Ciphertext,
}

/// What a share is known again by: it holds 256 random bits, so the hash tells nothing.
pub fn share_commitment(share: &[u8; SHARE_BYTES]) -> Sha256 {
    Sha256::of(&[COMMITMENT_TAG, share.as_slice()].concat())
}

/// What a worker is asked about sealing keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SealingRequest {
    /// Which keys do you have?
    Status,
    /// Found a key, for its custodians or by KMS; you do not keep it.
    Found {
        /// Why.
        order: Signed<SealingOrder>,
    },
    /// Prove which key is sealed to, to reach you alone.
    Attest {
        /// The challenge that the document must carry.
        nonce: Base64,
    },
    /// Here is a custodian's share.
    TakeShare {
        /// Whose, by the key in the order.
        custodian: HpkeKey,
        /// The share, sealed to the worker.
        message: Base64,
        /// Of which key.
        record: SealingRecord,
    },
    /// Have KMS open the key of this record, and keep it.
    Open {
        /// Of which key.
        record: SealingRecord,
    },
    /// Which challenge must a worker answer that wants your keys?
    Challenge,
    /// Give your keys to this worker.
    Forward {
        /// Its answer to `attest` with the challenge.
        document: Base64,
    },
    /// Here are another worker's keys.
    Accept {
        /// Proves who sealed them.
        document: Base64,
        /// The keys, sealed to you.
        message: Base64,
    },
}

/// What a worker answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SealingAnswer {
    /// To `status`, `take-share`, `open` and `accept`.
    Status {
        /// What the worker has, unproven.
        status: SealingStatus,
    },
    /// To `found`.
    Founded {
        /// To be recorded in the log before anything else.
        record: SealingRecord,
    },
    /// To `attest`.
    Attested {
        /// Its `public_key` is the key to seal to.
        document: Base64,
    },
    /// To `challenge`.
    Challenge {
        /// Good for one `forward`.
        nonce: Base64,
    },
    /// To `forward`.
    Forwarded {
        /// Its `user_data` commits to the message, its nonce is the key that the message is sealed to.
        document: Base64,
        /// The keys, sealed.
        message: Base64,
    },
}

/// Which sealing keys a worker has, and which it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SealingStatus {
    /// Those it can use, oldest first.
    pub keys: Vec<SealingKeyName>,
    /// Those it was given some shares of.
    pub waiting: Vec<AwaitedKey>,
}

/// Names a sealing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SealingKeyName {
    /// Its number.
    pub epoch: u32,
    /// Its name.
    pub key_id: String,
}

/// A key that some of its shares were given of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AwaitedKey {
    /// Which.
    pub key: SealingKeyName,
    /// Whose shares are there, by name.
    pub shares: Vec<String>,
    /// How many are needed.
    pub threshold: u8,
}

/// A request to one worker, by way of its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SealingQuestion {
    /// What is asked.
    pub about: SealingRequest,
    /// Which worker, by its NSM's module; by default any that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

/// What the worker answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SealingReply {
    /// Its answer.
    pub answer: SealingAnswer,
    /// Which worker it says it is.
    pub worker: String,
}

/// A worker of the host that answered, as it describes itself: unproven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SealingWorker {
    /// Where the host reaches it.
    pub endpoint: String,
    /// What it has and waits for.
    pub status: SealingStatus,
    /// Its NSM's module.
    pub worker: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{GenesisManifest, OperatorAct, Quorum};
    use crate::nkey::SigningKey;

    fn genesis() -> GenesisManifest {
        GenesisManifest {
            log_origin: "test".into(),
            quorum: Quorum { threshold: 1, keys: vec![SigningKey::from_seed(&[1; 32]).public()] },
            attestation_root_sha256: Sha256([0; 32]),
            builds: vec![],
            sealing_provider: SealingProvider::CustodianQuorum,
            created_at_ms: 1,
        }
    }

    fn order() -> SealingOrder {
        let custodian = |byte: u8| Custodian { key: HpkeKey([byte; 32]), name: format!("c{byte}") };
        SealingOrder {
            custodians: (1..=3).map(custodian).collect(),
            epoch: 1,
            genesis_sha256: genesis().sha256(),
            issued_at_ms: 1,
            quorum_epoch: 0,
            threshold: 2,
        }
    }

    fn judge(order: SealingOrder, seed: u8) -> Result<(), RecordError> {
        Signed::sign(order, &[&SigningKey::from_seed(&[seed; 32])]).check(&Operators::of_genesis(&genesis()))
    }

    #[test]
    fn an_order_is_followed_only_when_it_is_sound_and_the_quorums() {
        assert_eq!(judge(order(), 1), Ok(()));
        assert_eq!(judge(order(), 2), Err(RecordError::Unsigned));
        let other = SealingOrder { genesis_sha256: Sha256([9; 32]), ..order() };
        assert_eq!(judge(other, 1), Err(RecordError::OtherGenesis));
        let twice = vec![order().custodians[0].clone(); 2];
        let many = (0..17).map(|byte| Custodian { key: HpkeKey([byte; 32]), name: String::new() }).collect();
        let long = vec![Custodian { key: HpkeKey([1; 32]), name: "x".repeat(65) }];
        for unsound in [
            SealingOrder { threshold: 0, ..order() },
            SealingOrder { threshold: 4, ..order() },
            SealingOrder { epoch: 0, ..order() },
            SealingOrder { custodians: vec![], threshold: 0, ..order() },
            SealingOrder { custodians: twice, ..order() },
            SealingOrder { custodians: many, ..order() },
            SealingOrder { custodians: long, threshold: 1, ..order() },
        ] {
            assert_eq!(judge(unsound, 1), Err(RecordError::Unsound));
        }
        let developed = GenesisManifest { sealing_provider: SealingProvider::Development, ..genesis() };
        let signed = Signed::sign(order(), &[&SigningKey::from_seed(&[1; 32])]);
        assert_eq!(signed.check(&Operators::of_genesis(&developed)), Err(RecordError::Provider));
    }

    #[test]
    fn an_earlier_quorums_order_stands_until_it_is_voided_and_founds_nothing_new() {
        let key = |seed| SigningKey::from_seed(&[seed; 32]);
        let order = Signed::sign(order(), &[&key(1)]);
        for (voids_roots, expected) in [(false, Ok(())), (true, Err(RecordError::Replaced))] {
            let mut operators = Operators::of_genesis(&genesis());
            assert_eq!(order.check_new(&operators), Ok(()));
            let quorum = Quorum { threshold: 1, keys: vec![key(2).public()] };
            let act = operators.next(OperatorAct::ReplaceQuorum { quorum, voids_roots }, 1);
            operators.follow(&[Signed::sign(act, &[&key(1), &key(2)])]).unwrap();
            assert_eq!(order.check_new(&operators), Err(RecordError::Replaced));
            assert_eq!(order.check(&operators), expected);
        }
    }

    #[test]
    fn a_record_has_one_share_for_each_custodian() {
        let order = Signed::sign(order(), &[&SigningKey::from_seed(&[1; 32])]);
        let share = EncryptedShare { commitment: Sha256([0; 32]), message: Base64(vec![]) };
        let statement = |count| SealingStatement {
            ciphertext: None,
            key_id: String::new(),
            order: order.clone(),
            shares: vec![share.clone(); count],
        };
        assert_eq!(statement(3).check(&Operators::of_genesis(&genesis())), Ok(()));
        assert_eq!(statement(2).check(&Operators::of_genesis(&genesis())), Err(RecordError::Shares));
        assert_eq!(statement(3).place(&HpkeKey([2; 32])), Some(1));
        assert_eq!(statement(3).place(&HpkeKey([4; 32])), None);
    }

    #[test]
    fn what_kms_keeps_has_no_custodians_and_one_bounded_ciphertext() {
        let endpoint = kms::HostName::parse("kms.test").unwrap();
        let key_arn = kms::KeyArn::parse("arn:aws:kms:test-1:111122223333:key/1").unwrap();
        let provider = SealingProvider::AwsKms(kms::AwsKms { endpoint, key_arn, trust_anchors: vec![] });
        let genesis = GenesisManifest { sealing_provider: provider, ..genesis() };
        let operators = Operators::of_genesis(&genesis);
        let of_kms = |change: fn(&mut SealingOrder)| {
            let mut order = SealingOrder {
                custodians: vec![],
                threshold: 0,
                genesis_sha256: genesis.sha256(),
                ..order()
            };
            change(&mut order);
            Signed::sign(order, &[&SigningKey::from_seed(&[1; 32])])
        };
        assert_eq!(of_kms(|_| ()).check(&operators), Ok(()));
        let shared: [fn(&mut SealingOrder); 3] = [
            |order| order.custodians = self::order().custodians,
            |order| order.threshold = 1,
            |order| order.epoch = 0,
        ];
        for unsound in shared {
            assert_eq!(of_kms(unsound).check(&operators), Err(RecordError::Unsound));
        }
        let statement = |ciphertext| SealingStatement {
            ciphertext,
            key_id: String::new(),
            order: of_kms(|_| ()),
            shares: vec![],
        };
        let wrapped = |bytes| Some(Base64(vec![0; bytes]));
        assert_eq!(statement(wrapped(kms::CIPHERTEXT_BYTES_MAX)).check(&operators), Ok(()));
        for wrong in [None, wrapped(0), wrapped(kms::CIPHERTEXT_BYTES_MAX + 1)] {
            assert_eq!(statement(wrong).check(&operators), Err(RecordError::Ciphertext));
        }
        // A record of custodians is written as it was before there was KMS.
        assert!(!canonical::to_string(&statement(None)).contains("ciphertext"));
    }

    #[test]
    fn requests_say_what_is_asked() {
        let text = canonical::to_string(&SealingRequest::Attest { nonce: Base64(vec![1]) });
        assert_eq!(text, r#"{"ask":"attest","nonce":"AQ=="}"#);
        assert!(canonical::from_slice::<SealingRequest>(br#"{"ask":"export"}"#).is_err());
    }
}
