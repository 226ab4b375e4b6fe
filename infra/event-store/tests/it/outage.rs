//! Sessions are killed and replies are lost while they append: every answer given is true.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nsl_event_store::{AppendError, EventStore, Fence, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use uuid::Uuid;

use crate::support::{Database, command, take, with_log};

const TASKS: u64 = 4;
const COMMANDS: u64 = 40;
/// After so many more acknowledgements all sessions are killed again.
const KILL_EVERY: u64 = 5;

/// Appends one command after the other to a stream of its own, each until it is recorded; answers their positions.
async fn append_through(
    store: EventStore,
    fence: Fence,
    task: u64,
    acknowledged: watch::Sender<u64>,
) -> HashMap<Uuid, u64> {
    let mut positions = HashMap::new();
    for version in 0..COMMANDS {
        let next = command(fence, &format!("acme.{task}"), version, 1);
        loop {
            match store.append(std::slice::from_ref(&next)).await {
                Ok(appended) => {
                    positions.insert(next.command_id, appended.first_position);
                    break;
                }
                // Said to be not recorded: then it must be appendable, not known.
                Err(AppendError::Unavailable { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        acknowledged.send_modify(|count| *count += 1);
    }
    positions
}

async fn kill_sessions(database: &Database, mut acknowledged: watch::Receiver<u64>) -> u64 {
    let mut session = database.session().await;
    let mut killed = 0;
    let mut next = KILL_EVERY;
    while acknowledged.wait_for(|count| *count >= next).await.is_ok() {
        const KILL: &str = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity \
                            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let count: i64 = sqlx::query_scalar(KILL).fetch_one(&mut session).await.unwrap();
        killed += u64::try_from(count).unwrap();
        next = *acknowledged.borrow() + KILL_EVERY;
    }
    killed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_answer_is_true_while_sessions_are_killed() {
    with_log(async |database| {
        let store = database.store().await;
        let fence = take(&store, 1).await;
        let (count, acknowledged) = watch::channel(0);
        let mut appending = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            appending.spawn(append_through(store.clone(), fence, task, count.clone()));
        }
        drop(count);
        let (killed, positions) = tokio::join!(kill_sessions(database, acknowledged), appending.join_all());
        assert!(killed > 0, "nothing was killed, so nothing was shown");

        let positions: HashMap<Uuid, u64> = positions.into_iter().flatten().collect();
        let ids: Vec<_> = positions.keys().copied().collect();
        let store = database.store().await;
        let receipts = store.receipts(&ids).await.unwrap();
        let recorded: HashMap<_, _> =
            receipts.iter().map(|(id, receipt)| (*id, receipt.first_position)).collect();
        assert_eq!(recorded, positions);
        assert_eq!(store.head().await.unwrap(), TASKS * COMMANDS);
    })
    .await;
}

/// Text in a request whose reply the proxy loses; only an append's arguments hold it.
const LOST: &str = "acme.lost";

/// Passes connections on to the server. The first connection whose request holds [`LOST`] is cut when the reply
/// arrives; Postgres sends a reply after the commit.
async fn lossy_proxy(listener: TcpListener, server: (String, u16), lost: Arc<AtomicBool>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let lost = Arc::clone(&lost);
        let mut server = TcpStream::connect(&server).await.unwrap();
        tokio::spawn(async move {
            let (mut request, mut reply) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
            let mut losing = false;
            loop {
                tokio::select! {
                    Ok(length @ 1..) = client.read(&mut request) => {
                        let request = &request[..length];
                        let marked = request.windows(LOST.len()).any(|text| text == LOST.as_bytes());
                        losing |= marked && !lost.swap(true, Ordering::SeqCst);
                        server.write_all(request).await.unwrap();
                    }
                    Ok(length @ 1..) = server.read(&mut reply) => {
                        if losing || client.write_all(&reply[..length]).await.is_err() {
                            return;
                        }
                    }
                    else => return,
                }
            }
        });
    }
}

#[tokio::test]
async fn an_append_whose_reply_is_lost_is_answered_from_its_receipts() {
    with_log(async |database| {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = database.url_through(listener.local_addr().unwrap().port());
        let lost = Arc::new(AtomicBool::new(false));
        let proxy = tokio::spawn(lossy_proxy(listener, database.address(), Arc::clone(&lost)));
        let store = EventStore::connect(&url, Options::default()).await.unwrap();
        let fence = take(&store, 1).await;
        store.append(&[command(fence, "acme.one", 0, 1)]).await.unwrap();

        let batch = [command(fence, "acme.one", 1, 2), command(fence, LOST, 0, 1)];
        let appended = store.append(&batch).await.unwrap();
        assert!(lost.load(Ordering::SeqCst), "no reply was lost, so nothing was shown");
        assert_eq!(appended.first_position, 2);
        let event = &store.load_stream("account", LOST, 0).await.unwrap()[0];
        assert_eq!((event.position, event.recorded_at_ms), (4, appended.recorded_at_ms));
        proxy.abort();
    })
    .await;
}
