//! The admin endpoints of a process: `/livez`, `/readyz`, `/healthz`, `/metrics`, `/version`. Read-only.

use std::net::SocketAddr;

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::readiness::CheckOutcome;
use crate::{Identity, Metrics, Readiness};

/// An admin server that cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be bound.
    #[error("cannot listen on the admin address {address}")]
    Bind {
        /// The address of the configuration.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server stopped of itself.
    #[error("the admin server stopped")]
    Serve(#[source] std::io::Error),
}

/// A bound admin server, not yet serving.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

#[derive(Clone)]
struct AdminState {
    identity: Identity,
    readiness: Readiness,
    metrics: Metrics,
}

impl AdminServer {
    /// Binds `address`; port 0 takes a free one.
    pub async fn bind(
        address: SocketAddr,
        identity: Identity,
        readiness: Readiness,
        metrics: Metrics,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            // Kept beside /readyz because load balancers ask for it by this name.
            .route("/healthz", get(readyz))
            .route("/metrics", get(metrics_text))
            .route("/version", get(version));
        #[cfg(feature = "failpoints")]
        let router = router.merge(crate::failpoint::router());
        let router = router.with_state(AdminState { identity, readiness, metrics });
        Ok(Self { listener, address, router })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled; requests in flight are answered.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), Error> {
        axum::serve(self.listener, self.router)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
            .map_err(Error::Serve)
    }
}

async fn readyz(State(state): State<AdminState>, RawQuery(query): RawQuery) -> Response {
    let outcomes = state.readiness.check().await;
    let ready = outcomes.iter().all(|outcome| outcome.result.is_ok());
    let verbose =
        query.is_some_and(|query| query.split('&').any(|part| part.split('=').next() == Some("verbose")));
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // Without `?verbose` a ready process says one word; one that is not always says why.
    let lines = outcomes.iter().filter(|outcome| verbose || outcome.result.is_err()).map(line);
    let verdict = if ready { "ok\n" } else { "not ready\n" };
    (status, lines.chain([verdict.to_owned()]).collect::<String>()).into_response()
}

fn line(outcome: &CheckOutcome) -> String {
    match &outcome.result {
        Ok(()) => format!("[+] {} ok\n", outcome.name),
        Err(reason) => format!("[-] {} failed: {reason}\n", outcome.name),
    }
}

async fn metrics_text(State(state): State<AdminState>) -> Response {
    match state.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, Metrics::content_type())], text).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "metrics cannot be shown");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        }
    }
}

async fn version(State(state): State<AdminState>) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "name": state.identity.name, "version": state.identity.version }))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn fetch(address: SocketAddr, target: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn endpoints_report_life_readiness_metrics_and_version() {
        let readiness = Readiness::default();
        let gate = readiness.gate("bus", "not connected");
        let metrics = Metrics::new().unwrap();
        metrics.counter("jobs_total", "Jobs.", &[]).unwrap().with_label_values(&[] as &[&str]).inc();
        let identity = Identity { name: "nsl-test", version: "1.2.3", defaults: "" };
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = AdminServer::bind(loopback, identity, readiness, metrics).await.unwrap();
        let address = server.address();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.serve(stop.clone()));

        assert!(fetch(address, "/livez").await.starts_with("HTTP/1.1 200"));
        let closed = fetch(address, "/readyz").await;
        assert!(
            closed.starts_with("HTTP/1.1 503") && closed.contains("[-] bus failed: not connected"),
            "{closed}"
        );
        gate.open();
        let brief = fetch(address, "/readyz").await;
        assert!(brief.starts_with("HTTP/1.1 200") && !brief.contains("[+]"), "{brief}");
        assert!(fetch(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(fetch(address, "/readyz?verbose").await.contains("[+] bus ok"));
        assert!(fetch(address, "/metrics").await.contains("nsl_jobs_total 1"));
        let version = fetch(address, "/version").await;
        assert!(version.contains(r#"{"name":"nsl-test","version":"1.2.3"}"#), "{version}");
        assert!(fetch(address, "/secrets").await.starts_with("HTTP/1.1 404"));

        stop.cancel();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let identity = Identity { name: "nsl-test", version: "0", defaults: "" };
        let error = AdminServer::bind(address, identity, Readiness::default(), Metrics::new().unwrap())
            .await
            .unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
