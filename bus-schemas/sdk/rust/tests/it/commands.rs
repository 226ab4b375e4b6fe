//! Sending: what counts as an answer, and what happens when none comes.

use std::time::Duration;

use futures::StreamExt as _;
use nsl_client::SendError;
use nsl_schemas::bytes::Sha256;
use nsl_schemas::envelope::{self, HEADER_COMMAND_ID, HEADER_SIGNATURE};
use nsl_schemas::result::{Answer, CommandResult, Refusal};
use nsl_schemas::subject;
use uuid::Uuid;

use crate::world::{accepted, world};

fn refusal(request_sha256: Option<Sha256>, code: &str) -> Refusal {
    Refusal {
        command_id: None,
        request_sha256,
        code: code.to_owned(),
        message: "said the service".to_owned(),
        retry_after_ms: Some(250),
    }
}

#[tokio::test]
async fn a_command_travels_with_its_signed_headers_and_returns_its_result() {
    let Some(world) = world().await else { return };
    let (prepared, mut commands) = (world.prepare(), world.commands().await);
    let serve = async {
        let command = commands.next().await.unwrap();
        let headers = command.headers.unwrap();
        assert_eq!(command.subject.as_str(), prepared.command().envelope.subject);
        assert_eq!(command.payload, prepared.command().payload);
        assert_eq!(headers.get(HEADER_COMMAND_ID).unwrap().as_str(), prepared.command_id().to_string());
        let signature = serde_json::to_value(&prepared.command().envelope.signature).unwrap();
        assert_eq!(Some(headers.get(HEADER_SIGNATURE).unwrap().as_str()), signature.as_str());
        assert!(headers.get("Nats-Msg-Id").is_none(), "the stream would swallow resends");
        world.accept(prepared.command_id(), 41).await;
    };
    let (answer, ()) = tokio::join!(world.client.send(&prepared), serve);
    assert_eq!(answer.unwrap(), accepted(prepared.command_id(), 41));
}

#[tokio::test]
async fn silence_is_answered_with_the_same_bytes_again() {
    let Some(world) = world().await else { return };
    let (prepared, mut commands) = (world.prepare(), world.commands().await);
    let serve = async {
        let first = commands.next().await.unwrap();
        let second = commands.next().await.unwrap();
        assert_eq!((first.payload, first.headers), (second.payload, second.headers));
        world.accept(prepared.command_id(), 42).await;
    };
    let (answer, ()) = tokio::join!(world.client.send(&prepared), serve);
    assert_eq!(answer.unwrap().first_position, 42);
}

#[tokio::test]
async fn only_a_refusal_of_the_same_bytes_counts() {
    let Some(world) = world().await else { return };
    let (prepared, mut commands) = (world.prepare(), world.commands().await);
    let refusals = subject::refusal(&world.tenant, prepared.command_id());
    let serve = async {
        commands.next().await.unwrap();
        world.publish(refusals.clone(), &"not a refusal").await;
        world.publish(refusals.clone(), &refusal(None, "signature_invalid")).await;
        world.publish(refusals.clone(), &refusal(Some(Sha256([9; 32])), "signature_invalid")).await;
        let foreign = accepted(Uuid::from_u128(1), 1);
        world.publish(subject::result(&world.tenant, prepared.command_id()), &foreign).await;
        world.accept(prepared.command_id(), 43).await;
    };
    let (answer, ()) = tokio::join!(world.client.send(&prepared), serve);
    assert_eq!(answer.unwrap().first_position, 43);
}

#[tokio::test]
async fn refusals_and_rejections_keep_their_code() {
    let Some(world) = world().await else { return };
    let (refused, rejected) = (world.prepare(), world.prepare());
    let mut commands = world.commands().await;
    let serve = async {
        commands.next().await.unwrap();
        let own = refused.command().envelope.request_sha256();
        let subject = subject::refusal(&world.tenant, refused.command_id());
        world.publish(subject, &refusal(Some(own), "rate_limited")).await;
    };
    let (answer, ()) = tokio::join!(world.client.send(&refused), serve);
    match answer {
        Err(SendError::Refused { code, retry_after, .. }) => {
            assert_eq!((code.as_str(), retry_after), ("rate_limited", Some(Duration::from_millis(250))));
        }
        other => panic!("{other:?}"),
    }
    let serve = async {
        commands.next().await.unwrap();
        let answer = Answer::Rejected { code: "wallet_exists".into(), message: "there is one".into() };
        let command_id = rejected.command_id();
        let result = CommandResult { command_id, first_position: 44, event_count: 1, answer };
        world.publish(subject::result(&world.tenant, command_id), &result).await;
    };
    let (answer, ()) = tokio::join!(world.client.send(&rejected), serve);
    match answer {
        Err(SendError::Rejected { code, position, .. }) => {
            assert_eq!((code.as_str(), position), ("wallet_exists", 44));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_any_answer_the_outcome_is_unknown() {
    let Some(world) = world().await else { return };
    let (prepared, commands) = (world.prepare(), world.commands().await);
    let answer = world.client.send(&prepared).await;
    assert!(matches!(answer, Err(SendError::OutcomeUnknown { attempts: 3, .. })), "{answer:?}");
    assert_eq!(commands.take(3).count().await, 3);
}

#[tokio::test]
async fn a_missed_result_is_read_from_the_result_stream() {
    let Some(world) = world().await else { return };
    let prepared = world.prepare();
    world.accept(prepared.command_id(), 45).await;
    assert_eq!(world.client.send(&prepared).await.unwrap().first_position, 45);
    let recorded = world.client.recorded_result(&world.tenant, prepared.command_id()).await.unwrap();
    assert_eq!(recorded.unwrap().first_position, 45);
    assert_eq!(world.client.recorded_result(&world.tenant, Uuid::now_v7()).await.unwrap(), None);
}

#[tokio::test]
async fn the_result_of_another_command_under_the_same_id_is_not_taken_for_ours() {
    let Some(world) = world().await else { return };
    let prepared = world.prepare();
    world.accept(prepared.command_id(), 46).await;
    let own = prepared.command().envelope.request_sha256();
    let refusals = subject::refusal(&world.tenant, prepared.command_id());
    world.publish(refusals, &refusal(Some(own), "id_reused")).await;
    match world.client.send(&prepared).await {
        Err(SendError::Refused { code, .. }) => assert_eq!(code, "id_reused"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn many_commands_share_one_connection_and_leave_no_task() {
    const COMMANDS: usize = 64;
    let Some(world) = world().await else { return };
    let mut commands = world.commands().await;
    let tasks = tokio::runtime::Handle::current().metrics();
    let before = tasks.num_alive_tasks();
    let prepared: Vec<_> = (0..COMMANDS).map(|_| world.prepare()).collect();
    let serve = async {
        let mut received = Vec::new();
        while received.len() < COMMANDS {
            let headers = commands.next().await.unwrap().headers.unwrap();
            let command_id = Uuid::parse_str(headers.get(HEADER_COMMAND_ID).unwrap().as_str()).unwrap();
            // On a slow machine a command may be sent again before all have come.
            if !received.contains(&command_id) {
                received.push(command_id);
            }
        }
        // Answered in another order than sent: each sender must find its own.
        for (position, command_id) in (1..).zip(received.into_iter().rev()) {
            world.accept(command_id, position).await;
        }
    };
    let sends = futures::future::join_all(prepared.iter().map(|one| world.client.send(one)));
    let (answers, ()) = tokio::join!(sends, serve);
    for (one, answer) in prepared.iter().zip(answers) {
        assert_eq!(answer.unwrap().command_id, one.command_id());
    }
    assert_eq!(tasks.num_alive_tasks(), before);
}

#[tokio::test]
async fn payloads_over_the_limit_are_refused_before_they_are_sent() {
    let Some(world) = world().await else { return };
    let prepared = world.prepare();
    let too_large = "x".repeat(envelope::PAYLOAD_BYTES_MAX + 1);
    let made = world.client.prepare_text(Uuid::now_v7(), prepared.subject(), too_large);
    assert!(matches!(made, Err(nsl_client::prepared::Error::PayloadTooLarge { .. })));
}
