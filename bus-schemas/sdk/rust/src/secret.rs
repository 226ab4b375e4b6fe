//! Secrets: encrypted here to an attested key of the pool, and opened here after a worker sealed them to a key of ours.

use std::time::Duration;

use aws_lc_rs::rand;
use nsl_schemas::authority::{Build, GenesisManifest, Operators, Signed};
use nsl_schemas::bytes::{Base64, HpkeKey, Sha256};
use nsl_schemas::command::secret::{Destroy, Reveal, SetReaders, Store};
use nsl_schemas::event::secret::{EndCause, Revealed, SecretEvent};
use nsl_schemas::query::{AttestationRequest, name};
use nsl_schemas::secret::{
    EncryptedSecret, PoolKey, PoolKeyStatement, ReadersChange, RevealStatement, SECRET_BYTES_MAX,
    SECRET_TO_POOL, SECRET_TO_READER, SecretBinding, SecretDestruction, SecretPolicy, SecretReading, padded,
    unpadded,
};
use nsl_schemas::token::{AggregateId, AggregateType, Tenant};
use nsl_verify::attestation::{self, AttestationDocument, Expectation, TrustRoot, VerifyTime};
use nsl_verify::hpke;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::events::{self, EventFilter, PublishedEvent};
use crate::prepared::{self, unix_now_ms};
use crate::{Client, Prepared, QueryError};

/// Bytes of a challenge: nobody guesses one, and none comes twice.
const NONCE_BYTES: usize = 32;

/// Why a secret was neither stored nor read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No random bytes.
    #[error("no randomness for keys and challenges")]
    Randomness,
    /// Too long.
    #[error("a secret has at most {SECRET_BYTES_MAX} bytes")]
    TooLong,
    /// Nobody told the pool's key.
    #[error("the key of the pool is not told")]
    Query(#[from] QueryError),
    /// The manifest names a trust root that this build does not admit.
    #[error("attestation root of the genesis manifest is not admitted")]
    TrustRoot(#[source] attestation::Error),
    /// A document does not hold: no worker of an allowed build made it.
    #[error("attestation document does not hold")]
    Attestation(#[source] attestation::Error),
    /// A document is about something else.
    #[error("attestation document does not carry this statement")]
    OtherStatement,
    /// Nothing can be encrypted to the key, or the message is not for this reading.
    #[error("secret cannot be encrypted or opened")]
    Hpke(#[from] hpke::Error),
    /// What was opened is no secret.
    #[error("the message holds no secret")]
    Padding,
    /// The command cannot be made.
    #[error(transparent)]
    Prepare(#[from] prepared::Error),
    /// The events cannot be followed.
    #[error("waiting for secret {secret}")]
    Events {
        /// Which secret.
        secret: AggregateId,
        /// Why.
        #[source]
        source: events::Error,
    },
    /// A worker would not do it.
    #[error("the enclave refused ({code}): {message}")]
    Refused {
        /// A stable code, see [`nsl_schemas::errors`].
        code: String,
        /// What happened.
        message: String,
    },
    /// No worker answered in time; ask anew.
    #[error("no worker answered in time")]
    Expired,
    /// The owners ended the secret meanwhile.
    #[error("the secret was destroyed")]
    Destroyed,
}

/// Which secret.
#[derive(Debug, Clone, Copy)]
pub struct SecretName<'a> {
    /// The log, by the manifest that the client trusts.
    pub genesis_sha256: Sha256,
    /// Whose.
    pub tenant: &'a Tenant,
    /// Which of theirs.
    pub secret: &'a AggregateId,
}

/// A version that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedVersion {
    /// Its number.
    pub version: u32,
    /// The hash of its policy.
    pub policy_sha256: Sha256,
    /// The position of its `sealed`.
    pub position: u64,
}

/// What was read.
#[derive(Debug)]
pub struct ReadSecret {
    /// The secret.
    pub content: Zeroizing<Vec<u8>>,
    /// The position of its `revealed`.
    pub position: u64,
}

/// One reading under way: what its readers sign, and the key that opens what comes of it. The key ends with it.
#[derive(Debug)]
pub struct Reading {
    statement: SecretReading,
    key: hpke::PrivateKey,
}

impl Reading {
    /// A reading of `version` under the policy of this hash, good for `life`.
    pub fn new(
        name: SecretName<'_>,
        version: u32,
        policy_sha256: Sha256,
        life: Duration,
    ) -> Result<Self, Error> {
        let key = hpke::PrivateKey::from_secret(random()?)?;
        let life_ms = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        let statement = SecretReading {
            expires_at_ms: unix_now_ms().saturating_add(life_ms),
            genesis_sha256: name.genesis_sha256,
            policy_sha256,
            recipient: HpkeKey(key.public()),
            request_id: Uuid::now_v7(),
            secret: name.secret.clone(),
            tenant: name.tenant.clone(),
            version,
        };
        Ok(Self { statement, key })
    }

    /// What readers sign.
    pub fn statement(&self) -> &SecretReading {
        &self.statement
    }

    /// Opens what an attested worker sealed to this reading.
    fn open(
        &self,
        revealed: &Revealed,
        genesis: &GenesisManifest,
        operators: &Operators,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let reading_sha256 = self.statement.sha256();
        let statement = RevealStatement { message_sha256: Sha256::of(&revealed.message.0), reading_sha256 };
        let demanded = demanded(genesis, operators);
        let document = verified(&revealed.document, &demanded, genesis, VerifyTime::Document)?;
        if document.user_data.as_deref() != Some(statement.user_data().0.as_slice()) {
            return Err(Error::OtherStatement);
        }
        let opened = self.key.open(SECRET_TO_READER, &reading_sha256.0, &revealed.message.0)?;
        unpadded(&opened).map(|content| Zeroizing::new(content.to_vec())).ok_or(Error::Padding)
    }
}

/// Encrypts `content` to the pool, for exactly this secret, version and policy.
pub fn encrypt(
    name: SecretName<'_>,
    version: u32,
    policy: &SecretPolicy,
    pool_key: &PoolKeyStatement,
    content: &[u8],
) -> Result<EncryptedSecret, Error> {
    let SecretName { genesis_sha256, tenant, secret } = name;
    let padded = padded(content).ok_or(Error::TooLong)?;
    let binding = SecretBinding { genesis_sha256, policy_sha256: policy.sha256(), secret, tenant, version };
    let message = hpke::seal(&pool_key.key.0, SECRET_TO_POOL, &binding.to_bytes(), &padded, random()?)?;
    Ok(EncryptedSecret { message: Base64(message), sealing_key_id: pool_key.sealing_key.key_id.clone() })
}

/// Every event of one secret.
pub fn events_of(tenant: &Tenant, secret: &AggregateId) -> EventFilter {
    EventFilter {
        tenant: Some(tenant.clone()),
        aggregate: Some(AggregateType::parse("secret").expect("a literal of permitted characters")),
        id: Some(secret.clone()),
        name: None,
    }
}

impl Client {
    /// The key that secrets are encrypted to, from a worker that answered a fresh challenge: the manifest's root signed it
    /// now, it commits to the manifest, and it measures a build that `operators` allow.
    pub async fn secret_pool_key(
        &self,
        genesis: &GenesisManifest,
        operators: &Operators,
    ) -> Result<PoolKeyStatement, Error> {
        let nonce = random()?.to_vec();
        let question = AttestationRequest { nonce: Base64(nonce.clone()) };
        let answer: PoolKey = self.query(self.tenant(), name::SECRET_POOL_KEY, &question).await?;
        check_pool_key(answer, nonce, genesis, operators, unix_now_ms())
    }

    /// Signs `secret store`.
    pub fn prepare_store(
        &self,
        command_id: Uuid,
        secret: &AggregateId,
        store: &Store,
    ) -> Result<Prepared, prepared::Error> {
        self.prepare_with_id(command_id, &self.subject("secret", secret, "store")?, store)
    }

    /// Signs `secret set-readers` around what the owners signed.
    pub fn prepare_readers_change(
        &self,
        command_id: Uuid,
        change: Signed<ReadersChange>,
    ) -> Result<Prepared, prepared::Error> {
        let subject = self.subject("secret", &change.statement.secret, "set-readers")?;
        self.prepare_with_id(command_id, &subject, &SetReaders { change })
    }

    /// Signs `secret reveal` around what the readers signed.
    pub fn prepare_reveal(&self, reading: Signed<SecretReading>) -> Result<Prepared, prepared::Error> {
        let subject = self.subject("secret", &reading.statement.secret, "reveal")?;
        self.prepare_with_id(reading.statement.request_id, &subject, &Reveal { reading })
    }

    /// Signs `secret destroy` around what the owners signed.
    pub fn prepare_destruction(
        &self,
        command_id: Uuid,
        destruction: Signed<SecretDestruction>,
    ) -> Result<Prepared, prepared::Error> {
        let subject = self.subject("secret", &destruction.statement.secret, "destroy")?;
        self.prepare_with_id(command_id, &subject, &Destroy { destruction })
    }

    /// Waits for the version that command `request_id` asked for at `from_position`, by `store` or `set-readers`.
    pub async fn await_sealed(
        &self,
        tenant: &Tenant,
        secret: &AggregateId,
        request_id: Uuid,
        from_position: u64,
        limit: Duration,
    ) -> Result<SealedVersion, Error> {
        match self.end_of(tenant, secret, request_id, from_position, limit).await? {
            (position, SecretEvent::Sealed(sealed)) => Ok(SealedVersion {
                version: sealed.sealed_secret.version,
                policy_sha256: sealed.policy.sha256(),
                position,
            }),
            (_, other) => Err(not_done(other)),
        }
    }

    /// Waits for what comes of a reading that was asked for at `from_position`, proves that a worker of an allowed build
    /// sent it, and opens it.
    pub async fn await_secret(
        &self,
        reading: &Reading,
        genesis: &GenesisManifest,
        operators: &Operators,
        from_position: u64,
        limit: Duration,
    ) -> Result<ReadSecret, Error> {
        let SecretReading { tenant, secret, request_id, .. } = &reading.statement;
        match self.end_of(tenant, secret, *request_id, from_position, limit).await? {
            (position, SecretEvent::Revealed(revealed)) => {
                Ok(ReadSecret { content: reading.open(&revealed, genesis, operators)?, position })
            }
            (_, other) => Err(not_done(other)),
        }
    }

    /// The event that ends a request.
    async fn end_of(
        &self,
        tenant: &Tenant,
        secret: &AggregateId,
        request_id: Uuid,
        from_position: u64,
        limit: Duration,
    ) -> Result<(u64, SecretEvent), Error> {
        let filter = events_of(tenant, secret);
        self.wait_for_event(&filter, from_position, limit, |event| end(event, request_id))
            .await
            .map_err(|source| Error::Events { secret: secret.clone(), source })
    }
}

/// Why a request ended with this event, and with no other.
fn not_done(event: SecretEvent) -> Error {
    match event {
        SecretEvent::RequestRefused(refused) => {
            Error::Refused { code: refused.refusal.code, message: refused.refusal.message }
        }
        SecretEvent::RequestEnded(ended) if ended.cause == EndCause::Destroyed => Error::Destroyed,
        _ => Error::Expired,
    }
}

fn end(event: &PublishedEvent, request_id: Uuid) -> Result<Option<(u64, SecretEvent)>, events::Error> {
    // Other names may belong to a newer service; they are not decoded.
    if !matches!(event.name(), "sealed" | "revealed" | "request-refused" | "request-ended") {
        return Ok(None);
    }
    let decoded: SecretEvent = event.decode()?;
    let ended = match &decoded {
        SecretEvent::Sealed(event) => event.request_id,
        SecretEvent::Revealed(event) => event.request_id,
        SecretEvent::RequestRefused(event) => event.request_id,
        SecretEvent::RequestEnded(event) => event.request_id,
        _ => return Ok(None),
    };
    Ok((ended == request_id).then_some((event.position, decoded)))
}

fn check_pool_key(
    answer: PoolKey,
    nonce: Vec<u8>,
    genesis: &GenesisManifest,
    operators: &Operators,
    now_ms: u64,
) -> Result<PoolKeyStatement, Error> {
    let PoolKey { document, statement } = answer;
    let demanded = demanded(genesis, operators).answering(nonce);
    let document = verified(&document, &demanded, genesis, VerifyTime::At(now_ms))?;
    let is_about_it = document.user_data.as_deref() == Some(statement.user_data().0.as_slice())
        && statement.genesis_sha256 == genesis.sha256();
    if is_about_it { Ok(statement) } else { Err(Error::OtherStatement) }
}

fn demanded(genesis: &GenesisManifest, operators: &Operators) -> Expectation {
    Expectation::of_manifest(operators.builds().iter().map(Build::measurements), genesis.sha256().0)
}

fn verified(
    document: &Base64,
    demanded: &Expectation,
    genesis: &GenesisManifest,
    time: VerifyTime,
) -> Result<AttestationDocument, Error> {
    let root = TrustRoot::from_sha256(genesis.attestation_root_sha256.0).map_err(Error::TrustRoot)?;
    attestation::verify(&document.0, demanded, &root, time).map_err(Error::Attestation)
}

fn random() -> Result<Zeroizing<[u8; NONCE_BYTES]>, Error> {
    let mut bytes = Zeroizing::new([0; NONCE_BYTES]);
    rand::fill(bytes.as_mut_slice()).map_err(|_| Error::Randomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use nsl_schemas::authority::{Quorum, SealingProvider};
    use nsl_schemas::event::wallet::OutcomeProof;
    use nsl_schemas::nkey::SigningKey;
    use nsl_schemas::outcome::OutcomeStatement;
    use nsl_schemas::sealing::SealingKeyName;

    use super::*;

    /// A manifest under AWS's root, so that the trust root is admitted with and without the feature `development`.
    fn genesis() -> GenesisManifest {
        GenesisManifest {
            log_origin: "test".into(),
            quorum: quorum(),
            attestation_root_sha256: Sha256(TrustRoot::aws_nitro().sha256()),
            builds: vec![],
            sealing_provider: SealingProvider::Development,
            created_at_ms: 1,
        }
    }

    fn quorum() -> Quorum {
        Quorum { threshold: 1, keys: vec![SigningKey::from_seed(&[1; 32]).public()] }
    }

    fn pool() -> hpke::PrivateKey {
        hpke::PrivateKey::from_secret(Zeroizing::new([4; 32])).unwrap()
    }

    fn statement() -> PoolKeyStatement {
        PoolKeyStatement {
            genesis_sha256: genesis().sha256(),
            key: HpkeKey(pool().public()),
            sealing_key: SealingKeyName { epoch: 1, key_id: "00".into() },
        }
    }

    #[test]
    fn what_is_encrypted_opens_for_its_name_version_and_policy_alone() {
        let (tenant, secret) = (Tenant::parse("acme").unwrap(), AggregateId::parse("api-key").unwrap());
        let genesis_sha256 = genesis().sha256();
        let name = SecretName { genesis_sha256, tenant: &tenant, secret: &secret };
        let policy = SecretPolicy { owners: quorum(), readers: quorum() };
        let encrypted = encrypt(name, 1, &policy, &statement(), b"secret").unwrap();
        assert_eq!(encrypted.sealing_key_id, "00");
        let binding = |version| {
            let policy_sha256 = policy.sha256();
            SecretBinding { genesis_sha256, policy_sha256, secret: &secret, tenant: &tenant, version }
                .to_bytes()
        };
        let open = |version| pool().open(SECRET_TO_POOL, &binding(version), &encrypted.message.0);
        assert_eq!(unpadded(&open(1).unwrap()), Some(b"secret".as_slice()));
        assert!(open(2).is_err());
        let long = vec![0; SECRET_BYTES_MAX + 1];
        assert!(matches!(encrypt(name, 1, &policy, &statement(), &long), Err(Error::TooLong)));
    }

    #[test]
    fn nothing_is_encrypted_to_a_key_and_nothing_opened_without_an_attestation() {
        let (genesis, operators) = (genesis(), Operators::of_genesis(&genesis()));
        let (tenant, secret) = (Tenant::parse("acme").unwrap(), AggregateId::parse("api-key").unwrap());
        let name = SecretName { genesis_sha256: genesis.sha256(), tenant: &tenant, secret: &secret };
        let reading = Reading::new(name, 1, Sha256([1; 32]), Duration::from_secs(1)).unwrap();
        // A host can seal to the reader's key as well as any worker.
        let (recipient, reading_sha256) = (reading.statement.recipient.0, reading.statement.sha256());
        let (planted, ephemeral) = (padded(b"planted").unwrap(), Zeroizing::new([5; 32]));
        let message =
            hpke::seal(&recipient, SECRET_TO_READER, &reading_sha256.0, &planted, ephemeral).unwrap();
        for document in [&b""[..], b"\xD2\x84", b"garbage"] {
            let document = Base64(document.to_vec());
            let answer = PoolKey { document: document.clone(), statement: statement() };
            let told = check_pool_key(answer, vec![1; 32], &genesis, &operators, 1);
            assert!(matches!(told, Err(Error::Attestation(_))), "{told:?}");
            let statement = OutcomeStatement {
                job_id: Uuid::nil(),
                request_sha256: Sha256([0; 32]),
                result_sha256: Sha256([0; 32]),
                post_state_sha256: Sha256([0; 32]),
            };
            let key = SigningKey::from_seed(&[1; 32]).public();
            let outcome = OutcomeProof { worker: key, statement, signature: Base64(vec![]) };
            let message = Base64(message.clone());
            let revealed = Revealed { document, message, outcome, request_id: Uuid::nil() };
            let opened = reading.open(&revealed, &genesis, &operators);
            assert!(matches!(opened, Err(Error::Attestation(_))), "{opened:?}");
        }
    }
}
