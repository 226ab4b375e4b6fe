//! The life of a secret: commands decided on its events.

mod outcomes;
mod properties;
mod requests;

use cqrs_es::test::TestFramework;
use nsl_schemas::authority::Signed;
use nsl_schemas::bytes::{Base64, HpkeKey};
use nsl_schemas::command::secret::{Destroy, RecordOutcome, Reveal, SecretCommand, SetReaders, Store};
use nsl_schemas::event::secret::SecretEvent;
use nsl_schemas::ids;
use nsl_schemas::outcome::{JobResult, SealedKey, SignedOutcome};
use nsl_schemas::secret::{EncryptedSecret, ReadersChange, SecretDestruction, SecretPolicy, SecretReading};
use nsl_verify::hpke;
use uuid::Uuid;

use super::Secret;
use crate::decision::{Order, Recorded, Rejection};
use crate::test_world::{NOW_MS, acme, genesis, id, order, quorum, request_sha256, worker_key};

/// The command that stores the first version.
const STORE: Uuid = Uuid::from_u128(1);
/// The command that changes the readers.
const CHANGE: Uuid = Uuid::from_u128(2);
/// The command that reads.
const READ: Uuid = Uuid::from_u128(3);
/// The command that destroys.
const DESTROY: Uuid = Uuid::from_u128(4);

/// Two of the owners 11, 12 and 13; any of the readers 21 and 22.
fn policy() -> SecretPolicy {
    SecretPolicy { owners: quorum(2, &[11, 12, 13]), readers: quorum(1, &[21, 22]) }
}

/// The same owners, two other readers together.
fn next_policy() -> SecretPolicy {
    SecretPolicy { readers: quorum(2, &[23, 24]), ..policy() }
}

fn store(version: u32, policy: SecretPolicy) -> Store {
    let message = Base64(vec![7; 64 + hpke::OVERHEAD_BYTES]);
    Store { content: EncryptedSecret { message, sealing_key_id: "pool-1".into() }, policy, version }
}

fn change() -> ReadersChange {
    ReadersChange {
        genesis_sha256: genesis().sha256,
        policy: next_policy(),
        previous_sha256: policy().sha256(),
        secret: id("api-key"),
        tenant: acme(),
        version: 2,
    }
}

fn set_readers() -> SecretCommand {
    let change = Signed::sign(change(), &[&crate::test_world::key(11), &crate::test_world::key(12)]);
    SecretCommand::SetReaders(SetReaders { change })
}

/// A reading of the first version, by command `request_id`.
fn reading(request_id: Uuid) -> SecretReading {
    SecretReading {
        expires_at_ms: NOW_MS + 60_000,
        genesis_sha256: genesis().sha256,
        policy_sha256: policy().sha256(),
        recipient: HpkeKey([9; 32]),
        request_id,
        secret: id("api-key"),
        tenant: acme(),
        version: 1,
    }
}

fn reveal_as(reading: SecretReading, readers: &[u8]) -> SecretCommand {
    let keys: Vec<_> = readers.iter().map(|reader| crate::test_world::key(*reader)).collect();
    let reading = Signed::sign(reading, &keys.iter().collect::<Vec<_>>());
    SecretCommand::Reveal(Reveal { reading })
}

fn reveal() -> SecretCommand {
    reveal_as(reading(READ), &[21])
}

fn destruction() -> SecretDestruction {
    SecretDestruction { genesis_sha256: genesis().sha256, secret: id("api-key"), tenant: acme() }
}

fn destroy() -> SecretCommand {
    let keys = [crate::test_world::key(12), crate::test_world::key(13)];
    let destruction = Signed::sign(destruction(), &keys.iter().collect::<Vec<_>>());
    SecretCommand::Destroy(Destroy { destruction })
}

fn sealed(version: u32) -> SealedKey {
    let fill = u8::try_from(version % 251).unwrap();
    SealedKey {
        sealing_key_id: "pool-1".into(),
        version,
        nonce: Base64(vec![fill; 12]),
        ciphertext: Base64(vec![fill; 80]),
    }
}

fn secret_sealed(version: u32) -> JobResult {
    JobResult::SecretSealed { sealed_secret: sealed(version) }
}

fn secret_revealed() -> JobResult {
    JobResult::SecretRevealed { document: Base64(vec![1; 100]), message: Base64(vec![2; 112]) }
}

/// The worker's outcome of the job of `request`, with the version that is sealed after it.
fn outcome_of(request: Uuid, result: JobResult, after: Option<&SealedKey>) -> SecretCommand {
    let job_id = ids::job_id(ids::event_id(request, 0));
    let outcome = SignedOutcome::sign(&worker_key(), job_id, request_sha256(request), result, after);
    SecretCommand::RecordOutcome(RecordOutcome { outcome })
}

/// A secret's events so far.
#[derive(Debug, Clone, Default)]
struct Life {
    log: Vec<SecretEvent>,
    state: Secret,
}

impl Life {
    /// Asked for; a worker has the job.
    fn storing() -> Self {
        Self::default().and(STORE, SecretCommand::Store(store(1, policy())))
    }

    /// Has its first version.
    fn stored() -> Self {
        Self::storing().and_outcome(outcome_of(STORE, secret_sealed(1), Some(&sealed(1))))
    }

    /// Stored, with a reading that a worker has.
    fn read() -> Self {
        Self::stored().and(READ, reveal())
    }

    fn and_outcome(self, outcome: SecretCommand) -> Self {
        self.and(Uuid::from_u128(u128::MAX), outcome)
    }

    fn and(mut self, command_id: Uuid, body: SecretCommand) -> Self {
        self.step(command_id, body).unwrap();
        self
    }

    fn step(&mut self, command_id: Uuid, body: SecretCommand) -> Result<Vec<SecretEvent>, Rejection> {
        self.step_at(NOW_MS, command_id, body)
    }

    fn step_at(
        &mut self,
        now_ms: u64,
        command_id: Uuid,
        body: SecretCommand,
    ) -> Result<Vec<SecretEvent>, Rejection> {
        let events = self.state.decide(&Order { now_ms, ..order(id("api-key"), command_id, body) })?;
        for event in &events {
            self.state.evolve(event.clone());
        }
        self.log.extend_from_slice(&events);
        Ok(events)
    }

    /// What the hosted aggregate answers, from its events alone.
    fn ask(&self, command_id: Uuid, body: SecretCommand) -> Result<Vec<SecretEvent>, Rejection> {
        let given = self.log.iter().cloned().map(Recorded).collect();
        let order = order(id("api-key"), command_id, body);
        let answer = TestFramework::<Secret>::with(()).given(given).when(order).inspect_result();
        answer.map(|events| events.into_iter().map(|Recorded(event)| event).collect())
    }

    /// The code of a rejection.
    fn rejects(&self, command_id: Uuid, body: SecretCommand) -> &'static str {
        self.ask(command_id, body).unwrap_err().code.code
    }

    fn replayed(&self) -> Secret {
        let mut state = Secret::default();
        for event in &self.log {
            state.evolve(event.clone());
        }
        state
    }
}
