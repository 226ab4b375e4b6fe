//! The command side, played at the level of the bus: it accepts what is new and knows ids again.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, Message};
use futures::StreamExt;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::envelope::{HEADER_COMMAND_ID, HEADER_EXPIRES_AT_MS, HEADER_ISSUED_AT_MS, HEADER_ISSUER};
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::result::{Answer, CommandResult, Refusal};
use nsl_schemas::subject::{self, CommandSubject};
use nsl_schemas::{canonical, envelope, streams};
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

/// Far enough not to be met by a healthy run on a busy machine.
const PATIENT: Duration = Duration::from_mins(1);

/// Streams are shared by name, so the tests run in turn.
pub(crate) static TURN: Mutex<()> = Mutex::const_new(());

/// A command as it arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) subject: CommandSubject,
    pub(crate) command_id: Uuid,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Bus {
    pub(crate) jetstream: Context,
    pub(crate) client: Client,
    arrived: mpsc::UnboundedReceiver<Arrived>,
}

impl Bus {
    /// Makes the streams anew and answers commands.
    pub(crate) async fn start(url: &str) -> Self {
        let client = async_nats::connect(url).await.unwrap();
        let jetstream = jetstream::new(client.clone());
        let asking = client.clone();
        let streams = [
            (streams::COMMANDS, vec!["nsl.v1.cmd.>"], RetentionPolicy::Limits),
            (streams::RESULTS, streams::RESULTS_SUBJECTS.to_vec(), RetentionPolicy::Limits),
            (streams::JOBS, vec![streams::JOBS_SUBJECT], RetentionPolicy::WorkQueue),
            (streams::PARKED, vec![streams::PARKED_SUBJECT], RetentionPolicy::Limits),
        ];
        for (name, subjects, retention) in streams {
            let _ = jetstream.delete_stream(name).await;
            let subjects = subjects.into_iter().map(str::to_owned).collect();
            let storage = StorageType::Memory;
            let config = Config {
                name: name.into(),
                subjects,
                retention,
                storage,
                allow_direct: true,
                ..Config::default()
            };
            jetstream.create_stream(config).await.unwrap();
        }
        let mut commands = client.subscribe("nsl.v1.cmd.>").await.unwrap();
        let (sender, arrived) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut known = HashSet::new();
            while let Some(message) = commands.next().await {
                let command = read(&message);
                answer(&client, &message, &command, known.insert(command.command_id)).await;
                let _ = sender.send(command);
            }
        });
        Self { jetstream, client: asking, arrived }
    }

    pub(crate) async fn command(&mut self) -> Arrived {
        tokio::time::timeout(PATIENT, self.arrived.recv()).await.unwrap().unwrap()
    }

    pub(crate) async fn publish_job(&self, kind: &str, payload: Vec<u8>) {
        let subject = subject::job(kind, nsl_schemas::job::CLASS_STANDARD);
        self.jetstream.publish(subject, payload.into()).await.unwrap().await.unwrap();
    }

    /// Waits until `stream` holds this many messages.
    pub(crate) async fn holds(&self, stream: &str, messages: u64) {
        let reached = async {
            while self.jetstream.get_stream(stream).await.unwrap().cached_info().state.messages != messages {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENT, reached).await.unwrap();
    }
}

fn read(message: &Message) -> Arrived {
    let command_id = header(message, HEADER_COMMAND_ID).parse().unwrap();
    let subject = CommandSubject::parse(&message.subject).unwrap();
    Arrived { subject, command_id, payload: message.payload.to_vec() }
}

async fn answer(client: &Client, message: &Message, command: &Arrived, is_new: bool) {
    let Arrived { subject, command_id, payload } = command;
    if is_new {
        let answer = Answer::Accepted { version: 1 };
        let result = CommandResult { command_id: *command_id, first_position: 1, event_count: 1, answer };
        let text = canonical::to_string(&result);
        client.publish(subject::result(&subject.tenant, *command_id), text.into()).await.unwrap();
        return;
    }
    let signed = envelope::Envelope {
        command_id: *command_id,
        subject: subject.to_string(),
        issuer: PublicKey::parse(header(message, HEADER_ISSUER)).unwrap(),
        issued_at_ms: header(message, HEADER_ISSUED_AT_MS).parse().unwrap(),
        expires_at_ms: header(message, HEADER_EXPIRES_AT_MS).parse().unwrap(),
        payload_sha256: Sha256::of(payload),
        signature: nsl_schemas::bytes::Base64::default(),
    };
    let refusal = Refusal {
        command_id: Some(*command_id),
        request_sha256: Some(signed.request_sha256()),
        code: "id_reused".into(),
        message: "known".into(),
        retry_after_ms: None,
    };
    let text = canonical::to_string(&refusal);
    client.publish(subject::refusal(&subject.tenant, *command_id), text.into()).await.unwrap();
}

fn header<'a>(message: &'a Message, name: &str) -> &'a str {
    message.headers.as_ref().unwrap().get(name).unwrap().as_str()
}
