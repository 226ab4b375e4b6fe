//! The life of a wallet: commands decided on its events, by the hosted aggregate.

use cqrs_es::test::TestFramework;
use nsl_neo::PrivateKey;
use nsl_policy::transaction;
use nsl_schemas::authority::Signed;
use nsl_schemas::bytes::Base64;
use nsl_schemas::command::wallet::{Create, RecordOutcome, RequestTransfer, SetPolicy, WalletCommand};
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::ids;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::number::{Amount, Datoshi};
use nsl_schemas::outcome::{BirthCertificate, BirthStatement, JobResult, SealedKey, SignedOutcome};
use nsl_schemas::policy::{AssetRule, Policy, PolicyChange};
use uuid::Uuid;

use super::{NOW_MS, acme, genesis, id, key, order, quorum, request_sha256};
use crate::decision::{Order, Recorded, Rejection};
use crate::wallet::Wallet;

/// The command that creates the wallet.
pub(crate) const CREATE: Uuid = Uuid::from_u128(1);
/// The command that changes its policy.
pub(crate) const CHANGE: Uuid = Uuid::from_u128(2);
/// The command that asks for a transfer.
pub(crate) const TRANSFER: Uuid = Uuid::from_u128(3);

/// A published test key: the wallet's.
const WALLET_WIF: &str = "L1QqQJnpBwbsPGAuutuzPTac8piqvbR1HRjrY5qHup48TBCBFe4g";
/// The address of another published test key.
const RECIPIENT: &str = "NMBfzaEq2c5zodiNbLPoohVENARMbJim1r";
const GAS: &str = "0xd2a4cff31913016155e38e474a2c06d08be276cf";

/// The wallet's key, as only a worker has it.
pub(crate) fn neo_key() -> PrivateKey {
    nsl_neo::wif::decode(WALLET_WIF).unwrap()
}

/// The registered worker's key.
pub(crate) fn worker_key() -> SigningKey {
    key(40)
}

/// The first policy: two of three owners, up to 100 datoshi of GAS to one recipient.
pub(crate) fn policy() -> Policy {
    Policy {
        owners: quorum(2, &[11, 12, 13]),
        network_magic: 56_753,
        assets: vec![AssetRule { asset: GAS.into(), amount_max: Amount(100) }],
        recipients: Some(vec![RECIPIENT.into()]),
        fee_max_datoshi: Datoshi(1_000),
    }
}

/// What follows `previous`: the same with another bound.
pub(crate) fn next_policy(previous: &Policy) -> Policy {
    Policy { fee_max_datoshi: Datoshi(previous.fee_max_datoshi.0 + 1), ..previous.clone() }
}

/// The change from `previous` to the policy that follows it.
pub(crate) fn policy_change(previous: &Policy) -> PolicyChange {
    PolicyChange {
        tenant: acme(),
        wallet: id("main"),
        previous_sha256: previous.sha256(),
        policy: next_policy(previous),
    }
}

/// A transfer at every bound of the policy.
pub(crate) fn transfer() -> RequestTransfer {
    RequestTransfer {
        network_magic: 56_753,
        asset: GAS.into(),
        to: RECIPIENT.into(),
        amount: Amount(100),
        system_fee_datoshi: Datoshi(600),
        network_fee_datoshi: Datoshi(400),
        valid_until_block: 5_000,
    }
}

/// The wallet's key as sealed for the `version`th time.
pub(crate) fn sealed(version: u32) -> SealedKey {
    let fill = u8::try_from(version % 251).unwrap();
    SealedKey {
        sealing_key_id: "pool-1".into(),
        version,
        nonce: Base64(vec![fill; 12]),
        ciphertext: Base64(vec![fill; 48]),
    }
}

/// The certificate of the wallet's key. Its document is judged by clients, not by the aggregate.
pub(crate) fn birth() -> BirthCertificate {
    let statement = BirthStatement {
        genesis_sha256: genesis().sha256,
        tenant: acme(),
        wallet: id("main"),
        command_id: CREATE,
        public_key: neo_key().public_key().to_string(),
        policy_sha256: policy().sha256(),
        owners: policy().owners,
    };
    BirthCertificate { statement, document: Base64(vec![]) }
}

/// A refusal.
pub(crate) fn refused() -> JobResult {
    JobResult::Refused { code: "worker_policy_denied".into(), message: "no".into() }
}

/// The worker's signature by `signer` over the transaction of `request`.
pub(crate) fn sign(signer: &PrivateKey, request: Uuid, transfer: &RequestTransfer) -> JobResult {
    let unsigned = transaction::transfer(request, &neo_key().public_key(), transfer).unwrap();
    let signature = signer.sign(&unsigned.sign_data(transfer.network_magic)).unwrap();
    JobResult::TransferSigned {
        tx_hash: unsigned.hash().to_string(),
        signature: Base64(signature.as_bytes().to_vec()),
    }
}

/// The worker's outcome of the job of `request`, with the key that is sealed after it.
pub(crate) fn outcome_of(request: Uuid, result: JobResult, after: Option<&SealedKey>) -> SignedOutcome {
    let job_id = ids::job_id(ids::event_id(request, 0));
    SignedOutcome::sign(&worker_key(), job_id, request_sha256(request), result, after)
}

/// A wallet's events so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Life {
    log: Vec<WalletEvent>,
    state: Wallet,
}

impl Life {
    /// Asked for; a worker has the job.
    pub(crate) fn creating() -> Self {
        Self::default().and(CREATE, WalletCommand::Create(Create { policy: policy() }))
    }

    /// Has its key.
    pub(crate) fn open() -> Self {
        let result = JobResult::KeyCreated { sealed_key: sealed(1), birth_certificate: birth() };
        Self::creating().and_outcome(outcome_of(CREATE, result, Some(&sealed(1))))
    }

    /// Open, with a transfer that a worker has.
    pub(crate) fn requested() -> Self {
        Self::open().and(TRANSFER, WalletCommand::RequestTransfer(transfer()))
    }

    /// Open, with a transfer that the relay has.
    pub(crate) fn signed() -> Self {
        Self::requested().and_outcome(outcome_of(
            TRANSFER,
            sign(&neo_key(), TRANSFER, &transfer()),
            Some(&sealed(1)),
        ))
    }

    /// Goes on with a change of policy that a worker has.
    pub(crate) fn and_changing(self) -> Self {
        let change = Signed::sign(policy_change(&policy()), &[&key(11), &key(12)]);
        self.and(CHANGE, WalletCommand::SetPolicy(SetPolicy { change }))
    }

    /// Goes on with an outcome that is accepted.
    pub(crate) fn and_outcome(self, outcome: SignedOutcome) -> Self {
        self.and(Uuid::from_u128(u128::MAX), WalletCommand::RecordOutcome(RecordOutcome { outcome }))
    }

    /// Goes on with a command that is accepted.
    pub(crate) fn and(mut self, command_id: Uuid, body: WalletCommand) -> Self {
        self.step(command_id, body).unwrap();
        self
    }

    /// Decides a command and applies its events.
    pub(crate) fn step(
        &mut self,
        command_id: Uuid,
        body: WalletCommand,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        self.step_at(NOW_MS, command_id, body)
    }

    /// Decides a command at another time and applies its events.
    pub(crate) fn step_at(
        &mut self,
        now_ms: u64,
        command_id: Uuid,
        body: WalletCommand,
    ) -> Result<Vec<WalletEvent>, Rejection> {
        let events = self.state.decide(&Order { now_ms, ..order(id("main"), command_id, body) })?;
        for event in &events {
            self.state.evolve(event.clone());
        }
        self.log.extend_from_slice(&events);
        Ok(events)
    }

    /// What the hosted aggregate answers, from its events alone.
    pub(crate) fn asked(&self, order: Order<WalletCommand>) -> Result<Vec<WalletEvent>, Rejection> {
        let given = self.log.iter().cloned().map(Recorded).collect();
        let answer = TestFramework::<Wallet>::with(()).given(given).when(order).inspect_result();
        answer.map(|events| events.into_iter().map(|Recorded(event)| event).collect())
    }

    /// What the hosted aggregate answers to a command.
    pub(crate) fn ask(&self, command_id: Uuid, body: WalletCommand) -> Result<Vec<WalletEvent>, Rejection> {
        self.asked(order(id("main"), command_id, body))
    }

    /// The state.
    pub(crate) fn wallet(&self) -> &Wallet {
        &self.state
    }

    /// The state that the events alone lead to.
    pub(crate) fn replayed(&self) -> Wallet {
        let mut state = Wallet::default();
        for event in &self.log {
            state.evolve(event.clone());
        }
        state
    }
}
