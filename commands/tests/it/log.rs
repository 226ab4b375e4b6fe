//! Writes a log as other processors would have, before the service under test starts.

use std::collections::HashMap;
use std::time::Duration;

use nsl_event_store::{CommandAppend, EventStore, Fence, NewEvent, Options};
use nsl_schemas::authority::Quorum;
use nsl_schemas::bytes::{Base64, Pcr, Sha256};
use nsl_schemas::canonical;
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::event::WireEvent;
use nsl_schemas::event::wallet::{
    CreationRequested, KeyCreated, OutcomeProof, TransferRequestExpired, TransferRequested, TransferSigned,
    WalletEvent,
};
use nsl_schemas::event::worker::{WorkerEvent, WorkerRegistered};
use nsl_schemas::ids;
use nsl_schemas::number::{Amount, Datoshi, UnixMs};
use nsl_schemas::outcome::{BirthCertificate, BirthStatement, JobResult, SealedKey, SignedOutcome};
use nsl_schemas::policy::{AssetRule, Policy, Rules};
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::AggregateId;
use serde::Serialize;
use uuid::Uuid;

use crate::world::{acme, app_key, worker_key};

const GAS: &str = "0xd2a4cff31913016155e38e474a2c06d08be276cf";
const RECIPIENT: &str = "NMBfzaEq2c5zodiNbLPoohVENARMbJim1r";
/// A published test key: the wallet's.
const WALLET_WIF: &str = "L1QqQJnpBwbsPGAuutuzPTac8piqvbR1HRjrY5qHup48TBCBFe4g";
/// A lease that outlives the writing.
const LEASE: Duration = Duration::from_mins(1);

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

pub(crate) fn policy() -> Policy {
    Policy {
        owners: Quorum { threshold: 1, keys: vec![app_key().public()] },
        network_magic: 56_753,
        assets: vec![AssetRule { asset: GAS.into(), amount_max: Amount(100) }],
        recipients: None,
        fee_max_datoshi: Datoshi(1_000),
        rules: Rules::default(),
    }
}

fn wallet_key() -> nsl_neo::PrivateKey {
    nsl_neo::wif::decode(WALLET_WIF).unwrap()
}

pub(crate) fn sealed_key() -> SealedKey {
    let (nonce, ciphertext) = (Base64(vec![1; 12]), Base64(vec![1; 48]));
    SealedKey { sealing_key_id: "pool-1".into(), version: 1, nonce, ciphertext }
}

/// What the worker reports of the transfer that it signed.
pub(crate) fn signed_outcome(request_id: Uuid, request_sha256: Sha256) -> SignedOutcome {
    let key = wallet_key();
    let unsigned = nsl_policy::transaction::transfer(request_id, &key.public_key(), &transfer()).unwrap();
    let signature = key.sign(&unsigned.sign_data(transfer().network_magic)).unwrap();
    let result = JobResult::TransferSigned {
        tx_hash: unsigned.hash().to_string(),
        signature: Base64(signature.as_bytes().to_vec()),
    };
    let job_id = ids::job_id(ids::event_id(request_id, 0));
    SignedOutcome::sign(&worker_key(), job_id, request_sha256, result, Some(&sealed_key()))
}

/// Appends to a log that nobody else writes.
pub(crate) struct Writer {
    store: EventStore,
    fence: Fence,
    versions: HashMap<String, u64>,
}

impl Writer {
    pub(crate) async fn open(url: &str) -> Self {
        let store = EventStore::connect(url, Options::default()).await.unwrap();
        let fence = store.take_partitions("test", &[0], LEASE).await.unwrap()[0];
        Self { store, fence, versions: HashMap::new() }
    }

    /// Gives the partition back.
    pub(crate) async fn close(self) {
        self.store.release_partitions("test", &[self.fence]).await.unwrap();
    }

    /// A registered worker, and an open wallet `main`.
    pub(crate) async fn open_wallet(&mut self) {
        self.open_wallet_under(policy()).await;
    }

    /// The same under another policy.
    pub(crate) async fn open_wallet_under(&mut self, policy: Policy) {
        let worker = WorkerRegistered {
            key: worker_key().public(),
            pcr0: Pcr([0; 48]),
            attested_at_ms: 1,
            attestation: Base64(vec![]),
        };
        let subject = "nsl.v1.cmd.system.worker.one.register";
        self.append(subject, Uuid::now_v7(), &WorkerEvent::from(worker)).await;
        let request_id = Uuid::now_v7();
        let requested =
            CreationRequested { request_id, request_sha256: Sha256([0; 32]), policy: policy.clone() };
        self.wallet("create", request_id, requested.into()).await;
        let statement = BirthStatement {
            genesis_sha256: Sha256([0; 32]),
            tenant: acme(),
            wallet: AggregateId::parse("main").unwrap(),
            command_id: request_id,
            public_key: wallet_key().public_key().to_string(),
            policy_sha256: policy.sha256(),
            owners: policy.owners,
        };
        let refused = JobResult::Refused { code: "c".into(), message: "m".into() };
        let outcome = SignedOutcome::sign(&worker_key(), Uuid::nil(), Sha256([0; 32]), refused, None);
        let created = KeyCreated {
            request_id,
            public_key: statement.public_key.clone(),
            address: wallet_key().public_key().address().to_string(),
            sealed_key: sealed_key(),
            birth_certificate: BirthCertificate { statement, document: Base64(vec![]) },
            outcome: OutcomeProof::from(&outcome),
        };
        self.wallet("record-outcome", Uuid::now_v7(), created.into()).await;
    }

    /// A transfer of `main` that was to be signed by `sign_by_ms`.
    pub(crate) async fn request(&mut self, sign_by_ms: u64) -> Uuid {
        let request_id = Uuid::now_v7();
        let requested = TransferRequested {
            approvals_missing: None,
            not_before_ms: None,
            request_id,
            request_sha256: Sha256([0; 32]),
            transfer: transfer(),
            tx_hash: tx_hash(request_id),
            reserves: false,
            sign_by_ms: Some(UnixMs(sign_by_ms)),
        };
        self.wallet("request-transfer", request_id, requested.into()).await;
        request_id
    }

    /// A worker signed it.
    pub(crate) async fn sign(&mut self, request_id: Uuid) {
        let outcome = signed_outcome(request_id, Sha256([0; 32]));
        let signed = TransferSigned {
            request_id,
            tx_hash: tx_hash(request_id),
            valid_until_block: transfer().valid_until_block,
            transaction: Base64(vec![7]),
            outcome: OutcomeProof::from(&outcome),
        };
        self.wallet("record-outcome", Uuid::now_v7(), signed.into()).await;
    }

    /// An event of the wallet `main` as a newer build writes it.
    pub(crate) async fn newer_event(&mut self) {
        let event = NewEvent {
            event_id: Uuid::now_v7(),
            event_type: "transfer-requested".to_owned(),
            event_version: "99.0.0".to_owned(),
            payload: "{}".to_owned(),
            metadata: "{}".to_owned(),
        };
        self.append_event("nsl.v1.cmd.acme.wallet.main.request-transfer", Uuid::now_v7(), event).await;
    }

    /// It was given up.
    pub(crate) async fn expire(&mut self, request_id: Uuid, sign_by_ms: u64) {
        let expired = TransferRequestExpired {
            request_id,
            tx_hash: tx_hash(request_id),
            valid_until_block: transfer().valid_until_block,
            sign_by_ms: UnixMs(sign_by_ms),
        };
        let command_id = ids::process_command_id(request_id, "transfer", "expire");
        self.wallet("expire-request", command_id, expired.into()).await;
    }

    async fn wallet(&mut self, verb: &str, command_id: Uuid, event: WalletEvent) {
        self.append(&format!("nsl.v1.cmd.acme.wallet.main.{verb}"), command_id, &event).await;
    }

    async fn append<E: WireEvent + Serialize>(&mut self, subject: &str, command_id: Uuid, event: &E) {
        let event = NewEvent {
            event_id: ids::event_id(command_id, 0),
            event_type: event.event_name().to_owned(),
            event_version: event.event_version().to_owned(),
            payload: canonical::to_string(event),
            metadata: "{}".to_owned(),
        };
        self.append_event(subject, command_id, event).await;
    }

    async fn append_event(&mut self, subject: &str, command_id: Uuid, event: NewEvent) {
        let parsed = CommandSubject::parse(subject).unwrap();
        let version = self.versions.entry(parsed.stream_id()).or_default();
        let signed = SignedCommand::sign(&app_key(), &parsed, command_id, 1, 2, "{}".to_owned());
        let command = CommandAppend {
            command_id,
            issuer: signed.envelope.issuer.to_string(),
            request_hash: signed.envelope.request_sha256().0,
            subject: subject.to_owned(),
            envelope: canonical::to_string(&signed.envelope),
            payload: signed.payload,
            answer: r#"{"status":"accepted","version":1}"#.to_owned(),
            aggregate_type: parsed.aggregate.to_string(),
            aggregate_id: parsed.stream_id(),
            expected_version: *version,
            events: vec![event],
            fence: self.fence,
        };
        self.store.append(&[command]).await.unwrap();
        *version += 1;
    }
}

pub(crate) fn tx_hash(request_id: Uuid) -> String {
    nsl_policy::transaction::transfer(request_id, &wallet_key().public_key(), &transfer())
        .unwrap()
        .hash()
        .to_string()
}
