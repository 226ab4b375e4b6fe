//! The same command id gives the same answer for ever, however often and by whatever way it comes.

use futures::future::join_all;
use nsl_client::Client;
use nsl_client::prepared::Prepared;
use nsl_schemas::result::CommandResult;
use uuid::Uuid;

use crate::system::System;
use crate::{log, wallets};

const CONNECTIONS: usize = 5;
const COPIES_A_CONNECTION: usize = 10;
/// Far more copies than a partition may have unacknowledged commands.
const FLOOD: usize = 1_000;

fn create_wallet(client: &Client) -> Prepared {
    client.prepare_create_wallet(Uuid::now_v7(), &wallets::fresh_id(), &wallets::policy(client)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_copies_at_once_are_one_event_and_one_answer() {
    let Some(system) = System::start().await else { return };
    let clients: Vec<Client> = join_all((0..CONNECTIONS).map(|_| system.client())).await;
    let command = create_wallet(&clients[0]);
    let copies = clients.iter().flat_map(|client| std::iter::repeat_n(client, COPIES_A_CONNECTION));
    let answers: Vec<CommandResult> =
        join_all(copies.map(|client| client.send(&command))).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.len(), CONNECTIONS * COPIES_A_CONNECTION);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(log::traces(&system.database(), command.command_id()).await, [1, 1, 1]);
    assert_eq!(log::faults(&system.database()).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_copies_does_not_hold_up_the_next_command() {
    let Some(system) = System::start().await else { return };
    let client = system.client().await;
    let command = create_wallet(&client);
    let bus = system.bus().await;
    let envelope = &command.command().envelope;
    for _ in 0..FLOOD {
        let headers = crate::bad_input::message::headers_of(envelope);
        let payload = command.command().payload.clone().into();
        bus.publish_with_headers(envelope.subject.clone(), headers, payload).await.unwrap();
    }
    bus.flush().await.unwrap();
    // Of the same wallet, so of the same partition, and behind all copies.
    let again = client.subject("wallet", &command.subject().id, "create").unwrap();
    let again = client.prepare_text(Uuid::now_v7(), &again, command.command().payload.clone()).unwrap();
    match client.send(&again).await {
        Err(nsl_client::SendError::Rejected { code, .. }) => assert_eq!(code, "wallet_exists"),
        other => panic!("the wallet exists by now: {other:?}"),
    }
    assert_eq!(log::traces(&system.database(), command.command_id()).await, [1, 1, 1]);
    log::await_empty_queue(&async_nats::jetstream::new(bus)).await;
}
