//! Questions and the ways in which an answer can fail.

use futures::StreamExt as _;
use nsl_client::QueryError;
use nsl_schemas::query::{ById, Reply, name};
use nsl_schemas::subject;

use crate::world::world;

#[tokio::test]
async fn answers_errors_and_garbage_are_told_apart() {
    let Some(world) = world().await else { return };
    let question = ById { id: "main".into(), at_position: None };
    let ask = || world.client.query::<_, u32>(&world.tenant, name::WALLET, &question);
    let nobody = ask().await;
    assert!(matches!(nobody, Err(QueryError::Unavailable { .. })), "{nobody:?}");

    let mut questions = world.service.subscribe(subject::query(&world.tenant, name::WALLET)).await.unwrap();
    crate::world::subscribed(&world.service).await;
    let replies = [
        serde_json::to_vec(&Reply::Ok(7_u32)).unwrap(),
        serde_json::to_vec(&Reply::<u32>::Error { code: "not_found".into(), message: "none".into() })
            .unwrap(),
        b"garbage".to_vec(),
    ];
    let serve = async {
        for reply in replies {
            let question = questions.next().await.unwrap();
            assert_eq!(question.payload, "{\"id\":\"main\"}");
            world.service.publish(question.reply.unwrap(), reply.into()).await.unwrap();
        }
    };
    let ask_all = async { (ask().await, ask().await, ask().await) };
    let ((answered, refused, garbled), ()) = tokio::join!(ask_all, serve);
    assert_eq!(answered.unwrap(), 7);
    assert!(matches!(refused, Err(QueryError::Answered { code, .. }) if code == "not_found"));
    assert!(matches!(garbled, Err(QueryError::Malformed { .. })));
}

#[tokio::test]
async fn a_question_to_several_has_the_answers_of_all() {
    let Some(world) = world().await else { return };
    let question = serde_json::json!({});
    let ask = || world.client.query_all::<_, u32>(&world.tenant, name::WORKERS, &question);
    let nobody = ask().await;
    assert!(matches!(nobody, Err(QueryError::Unavailable { .. })), "{nobody:?}");

    let mut questions = world.service.subscribe(subject::query(&world.tenant, name::WORKERS)).await.unwrap();
    crate::world::subscribed(&world.service).await;
    let serve = async {
        let question = questions.next().await.unwrap();
        let inbox = question.reply.unwrap();
        for number in 1..=3_u32 {
            let reply = serde_json::to_vec(&Reply::Ok(number)).unwrap();
            world.service.publish(inbox.clone(), reply.into()).await.unwrap();
        }
    };
    let (answers, ()) = tokio::join!(ask(), serve);
    assert_eq!(answers.unwrap(), [1, 2, 3]);
}
