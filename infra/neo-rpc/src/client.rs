//! The transport: one JSON-RPC question over HTTP, one bounded answer.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::error::Error;

/// Most bytes of one answer. The largest wanted one is a full block (512 transactions, under 1 MiB in binary)
/// as JSON with base64 scripts.
pub const RESPONSE_BYTES_LIMIT: usize = 16 << 20;

/// Most characters kept of a node's error message, which goes into logs and events.
const MESSAGE_CHARS_LIMIT: usize = 512;

/// A client of one node. Cheap to share by reference; connections are pooled.
pub struct Client {
    http: reqwest::Client,
    url: Url,
    next_id: AtomicU64,
}

#[derive(Deserialize)]
struct Answer<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
    message: String,
}

impl Client {
    /// A client of the node at `url` that waits at most `timeout` for each answer.
    pub fn new(url: &str, timeout: Duration) -> Result<Self, Error> {
        let url =
            Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or(Error::Url)?;
        // No proxy and no redirect: the configured URL is the whole route, whatever the environment says.
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .no_proxy()
            .redirect(Policy::none())
            .build()
            .map_err(Error::Client)?;
        Ok(Self { http, url, next_id: AtomicU64::new(1) })
    }

    /// Asks one question and reads its answer as `T`.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, Error> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let question = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let response = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(question.to_string())
            .send()
            .await
            .map_err(|source| unreachable(method, source))?;
        let status = response.status();
        let body = read_body(method, response).await?;
        // Nodes send their error objects with various statuses, so the body decides when it is one.
        match serde_json::from_slice::<Answer<'_>>(&body) {
            Ok(answer) => read_answer(method, id, answer),
            Err(_) if !status.is_success() => Err(Error::HttpStatus { method, status: status.as_u16() }),
            Err(source) => Err(Error::Malformed { method, source }),
        }
    }
}

impl fmt::Debug for Client {
    /// Shows the host only: the rest of the URL may hold a password or a key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

async fn read_body(method: &'static str, mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|source| unreachable(method, source))? {
        if chunk.len() > RESPONSE_BYTES_LIMIT - body.len() {
            return Err(Error::ResponseTooLarge { method, limit: RESPONSE_BYTES_LIMIT });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn read_answer<T: DeserializeOwned>(method: &'static str, id: u64, answer: Answer<'_>) -> Result<T, Error> {
    if let Some(Refusal { code, message }) = answer.error {
        let message = message.chars().take(MESSAGE_CHARS_LIMIT).collect();
        return Err(Error::Rpc { method, code, message });
    }
    if answer.id != Some(id) {
        return Err(Error::malformed(method, "the answer is to another question"));
    }
    let result = answer.result.ok_or_else(|| Error::malformed(method, "neither result nor error"))?;
    serde_json::from_str(result.get()).map_err(|source| Error::Malformed { method, source })
}

/// The URL may hold a password, so it is kept out of messages.
fn unreachable(method: &'static str, source: reqwest::Error) -> Error {
    Error::Unreachable { method, source: source.without_url() }
}
