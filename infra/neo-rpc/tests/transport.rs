//! What the client makes of a node that is gone, slow, mad or too talkative.

#![allow(clippy::unwrap_used, reason = "in a test a failed step is the finding")]

use std::time::Duration;

use nsl_neo_rpc::{Client, Error, RESPONSE_BYTES_LIMIT};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers every question with these bytes as its body; the client's first question has id 1.
async fn node_answering(status: &'static str, body: Vec<u8>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut question = vec![0; 4096];
        let _ = stream.read(&mut question).await.unwrap();
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        // The client may hang up as soon as it has seen enough.
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(&body).await;
        let _ = stream.shutdown().await;
    });
    Client::new(&url, Duration::from_secs(10)).unwrap()
}

async fn block_count(status: &'static str, body: &str) -> Result<u32, Error> {
    node_answering(status, body.as_bytes().to_vec()).await.block_count().await
}

#[tokio::test]
async fn an_answer_is_read() {
    assert_eq!(block_count("200 OK", r#"{"jsonrpc":"2.0","id":1,"result":7}"#).await.unwrap(), 7);
}

#[tokio::test]
async fn an_error_object_is_the_nodes_refusal_whatever_the_status() {
    let long = "x".repeat(10_000);
    for status in ["200 OK", "422 Unprocessable Entity", "500 Internal Server Error"] {
        let body = format!(r#"{{"id":1,"error":{{"code":-100,"message":"{long}"}}}}"#);
        let error = block_count(status, &body).await.unwrap_err();
        assert!(!error.is_unavailable());
        match error {
            Error::Rpc { code: -100, message, .. } => assert_eq!(message.len(), 512),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_failing_gateway_is_unavailable() {
    let error = block_count("502 Bad Gateway", "<html>").await.unwrap_err();
    assert!(matches!(error, Error::HttpStatus { status: 502, .. }), "{error:?}");
    assert!(error.is_unavailable());
}

#[tokio::test]
async fn malformed_answers_are_named() {
    for body in [
        "",
        "<html>",
        "{}",
        r#"{"id":1}"#,
        r#"{"id":2,"result":7}"#,
        r#"{"id":1,"result":"7"}"#,
        r#"{"id":1,"result":-7}"#,
        r#"{"id":1,"result":7}trailing"#,
    ] {
        let error = block_count("200 OK", body).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{body}: {error:?}");
        assert!(!error.is_unavailable());
    }
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused() {
    let client = node_answering("200 OK", vec![b' '; RESPONSE_BYTES_LIMIT + 1]).await;
    let error = client.block_count().await.unwrap_err();
    assert!(matches!(error, Error::ResponseTooLarge { limit: RESPONSE_BYTES_LIMIT, .. }), "{error:?}");
}

#[tokio::test]
async fn a_node_that_is_gone_or_silent_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:secret@{}", listener.local_addr().unwrap());
    let client = Client::new(&url, Duration::from_millis(50)).unwrap();
    let silent = client.block_count().await.unwrap_err();
    assert!(silent.is_unavailable(), "{silent:?}");
    drop(listener);
    let gone = Client::new(&url, Duration::from_secs(10)).unwrap().block_count().await.unwrap_err();
    assert!(gone.is_unavailable(), "{gone:?}");
    assert!(!format!("{client:?}{gone:?}{silent:?}").contains("secret"));
}

#[test]
fn urls_of_other_schemes_are_refused() {
    for url in ["", "127.0.0.1:30333", "ftp://127.0.0.1", "file:///etc/passwd"] {
        let result = Client::new(url, Duration::from_secs(1));
        assert!(matches!(result, Err(Error::Url)), "{url}");
    }
}
