//! Plays the write side at the level of the bus: publishes jobs, hears the relay's commands, answers them.

use std::time::Duration;

use futures::StreamExt as _;
use nsl_bus::async_nats::jetstream::stream::RawMessageErrorKind;
use nsl_bus::partition::command_stream;
use nsl_bus::{Bus, BusConfig, DriftPolicy, async_nats, streams as definitions};
use nsl_config::Secret;
use nsl_neo::Transaction;
use nsl_schemas::bytes::{Base64, Sha256};
use nsl_schemas::command::Command;
use nsl_schemas::command::wallet::WalletCommand;
use nsl_schemas::envelope::{
    Envelope, HEADER_COMMAND_ID, HEADER_EXPIRES_AT_MS, HEADER_ISSUED_AT_MS, HEADER_ISSUER, HEADER_SIGNATURE,
};
use nsl_schemas::errors::ErrorCode;
use nsl_schemas::job::{CLASS_STANDARD, SUBMIT_KIND, SubmitJob};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::result::{Answer, CommandResult, Refusal};
use nsl_schemas::subject::{self, CommandSubject};
use nsl_schemas::token::{AggregateId, Tenant};
use nsl_schemas::{canonical, ids, streams};
use uuid::Uuid;

use crate::service::ISSUER_SEED;

/// Far beyond what a loaded machine takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct WriteSide {
    bus: Bus,
    tenant: Tenant,
    commands: async_nats::Subscriber,
}

/// A command of the relay, its signature checked.
pub(crate) struct Heard {
    pub(crate) command: WalletCommand,
    command_id: Uuid,
    request_sha256: Sha256,
}

impl WriteSide {
    pub(crate) async fn connect(url: &str, tenant: &Tenant) -> Self {
        let config = BusConfig {
            url: Secret::new(url.to_owned()),
            user: None,
            password: None,
            nkey_seed_file: None,
            tls_ca_file: None,
            connect_timeout_ms: 5000,
            request_timeout_ms: 5000,
            replicas: 1,
        };
        let bus = Bus::connect(&config, "write side of a test").await.unwrap();
        bus.ensure_stream(&definitions::jobs(1), DriftPolicy::Update).await.unwrap();
        // What an earlier run left behind, nobody answers.
        let jobs = bus.jetstream().get_stream_no_info(streams::JOBS).await.unwrap();
        jobs.purge().filter(subject::job(SUBMIT_KIND, ">")).await.unwrap();
        for definition in [command_stream(1), definitions::results(1)] {
            // Tests of another crate may have made them in another shape, which does not matter here.
            let _ = bus.ensure_stream(&definition, DriftPolicy::Refuse).await;
        }
        let commands = bus.client().subscribe(format!("nsl.v1.cmd.{tenant}.>")).await.unwrap();
        subscribed(bus.client()).await;
        Self { bus, tenant: tenant.clone(), commands }
    }

    /// The job that a `transfer-signed` event asks for.
    pub(crate) fn job(&self, transaction: &Transaction) -> SubmitJob {
        SubmitJob {
            job_id: Uuid::now_v7(),
            tenant: self.tenant.clone(),
            wallet: AggregateId::parse("main").unwrap(),
            request_id: Uuid::now_v7(),
            tx_hash: transaction.hash().to_string(),
            valid_until_block: transaction.unsigned().fields().valid_until_block,
            transaction: Base64(transaction.to_bytes()),
        }
    }

    /// Publishes a job and returns its sequence.
    pub(crate) async fn publish(&self, job: &SubmitJob) -> u64 {
        self.publish_bytes(canonical::to_string(job).into_bytes()).await
    }

    pub(crate) async fn publish_bytes(&self, payload: Vec<u8>) -> u64 {
        let subject = subject::job(SUBMIT_KIND, CLASS_STANDARD);
        self.bus.jetstream().publish(subject, payload.into()).await.unwrap().await.unwrap().sequence
    }

    /// The next command of the relay about `job`.
    pub(crate) async fn hear(&mut self, job: &SubmitJob) -> Heard {
        let message = tokio::time::timeout(PATIENCE, self.commands.next()).await.unwrap().unwrap();
        let heard = read(&message);
        assert_eq!(heard.command_id, ids::report_command_id(job.job_id));
        heard
    }

    /// Whether a command waits to be heard.
    pub(crate) fn is_silent(&mut self) -> bool {
        use futures::FutureExt as _;
        self.commands.next().now_or_never().is_none()
    }

    pub(crate) async fn accept(&self, heard: &Heard) {
        self.decide(heard, Answer::Accepted { version: 9 }).await;
    }

    pub(crate) async fn decide(&self, heard: &Heard, answer: Answer) {
        let command_id = heard.command_id;
        let result = CommandResult { command_id, first_position: 7, event_count: 1, answer };
        self.say(subject::result(&self.tenant, command_id), &result).await;
    }

    pub(crate) async fn refuse(&self, heard: &Heard, code: ErrorCode) {
        let refusal = Refusal {
            command_id: Some(heard.command_id),
            request_sha256: Some(heard.request_sha256),
            code: code.to_string(),
            message: "said the test".to_owned(),
            retry_after_ms: None,
        };
        self.say(subject::refusal(&self.tenant, heard.command_id), &refusal).await;
    }

    async fn say<T: serde::Serialize>(&self, subject: String, message: &T) {
        self.bus.client().publish(subject, canonical::to_string(message).into()).await.unwrap();
        subscribed(self.bus.client()).await;
    }

    /// Whether the queue still has the job of this sequence.
    pub(crate) async fn has(&self, sequence: u64) -> bool {
        let stream = self.bus.jetstream().get_stream_no_info(streams::JOBS).await.unwrap();
        match stream.get_raw_message(sequence).await {
            Ok(_) => true,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits until the job was acknowledged.
    pub(crate) async fn done(&self, sequence: u64) {
        let gone = async {
            while self.has(sequence).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.unwrap();
    }

    /// How often a job was given to a relay so far.
    pub(crate) async fn deliveries(&self) -> u64 {
        let stream = self.bus.jetstream().get_stream_no_info(streams::JOBS).await.unwrap();
        stream.consumer_info("chain-relay").await.map_or(0, |info| info.delivered.consumer_sequence)
    }

    /// The last message that was parked.
    pub(crate) async fn last_parked(&self) -> Vec<u8> {
        let stream = self.bus.jetstream().get_stream_no_info(streams::PARKED).await.unwrap();
        let subject = format!("nsl.v1.parked.job.{SUBMIT_KIND}");
        stream.get_last_raw_message_by_subject(&subject).await.unwrap().payload.to_vec()
    }
}

fn read(message: &async_nats::Message) -> Heard {
    let header = |name: &str| message.headers.as_ref().unwrap().get(name).unwrap().as_str();
    let envelope = Envelope {
        command_id: header(HEADER_COMMAND_ID).parse().unwrap(),
        subject: message.subject.to_string(),
        issuer: header(HEADER_ISSUER).to_owned().try_into().unwrap(),
        issued_at_ms: header(HEADER_ISSUED_AT_MS).parse().unwrap(),
        expires_at_ms: header(HEADER_EXPIRES_AT_MS).parse().unwrap(),
        payload_sha256: Sha256::of(&message.payload),
        signature: serde_json::from_value(header(HEADER_SIGNATURE).into()).unwrap(),
    };
    assert!(envelope.is_signed_by_issuer());
    assert_eq!(envelope.issuer, SigningKey::from_seed(&ISSUER_SEED).public());
    let subject = CommandSubject::parse(&message.subject).unwrap();
    let Command::Wallet(command) = Command::parse(&subject, &message.payload).unwrap() else {
        panic!("{subject}")
    };
    let (command_id, request_sha256) = (envelope.command_id, envelope.request_sha256());
    Heard { command: *command, command_id, request_sha256 }
}

/// Waits until the server knows every subscription that `client` made so far: `flush` only sends them.
async fn subscribed(client: &nsl_bus::async_nats::Client) {
    let inbox = client.new_inbox();
    let mut own = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "".into()).await.unwrap();
    own.next().await.unwrap();
}
