//! A processor's notice wakes whoever waits for the log.

use nsl_projections::wake;
use nsl_schemas::subject::HEAD;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::world::{until, with_bus};

#[tokio::test]
async fn a_notice_of_a_new_head_wakes_and_anything_else_does_not() {
    with_bus(async |_, bus| {
        let heads = watch::Sender::new(0);
        let (mut woken, stop) = (heads.subscribe(), CancellationToken::new());
        let listening = tokio::spawn(wake::listen(bus.clone(), heads, stop.clone()));
        until("the subscription", async || {
            bus.client().publish(HEAD, "41".into()).await.unwrap();
            *woken.borrow_and_update() == 41
        })
        .await;
        bus.client().publish(HEAD, "not a position".into()).await.unwrap();
        bus.client().publish(HEAD, "42".into()).await.unwrap();
        until("the notice", async || *woken.borrow_and_update() == 42).await;
        stop.cancel();
        listening.await.unwrap().unwrap();
    })
    .await;
}
