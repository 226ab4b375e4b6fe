//! The admin endpoints of a process, asked over a bare connection.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A process that is stopped accepts a connection and says nothing.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// What a page says; `None` when nobody answers with success.
pub(crate) async fn get(address: &str, page: &str) -> Option<String> {
    exchange(address, &format!("GET {page} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")).await
}

/// Arms a failpoint, or changes what it does; panics when the process refuses.
pub(crate) async fn arm(address: &str, failpoint: &str, action: &str) {
    let length = action.len();
    let request = format!(
        "PUT /failpoints/{failpoint} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\
         Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{action}"
    );
    exchange(address, &request)
        .await
        .unwrap_or_else(|| panic!("{address} does not take {failpoint}={action}"));
}

/// A metric's value, the sum over the series whose labels contain `labels`.
pub(crate) async fn metric(address: &str, name: &str, labels: &str) -> Option<u64> {
    let page = get(address, "/metrics").await?;
    let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    let lines = page.lines().filter(of_name).filter(|line| line.contains(labels));
    Some(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
}

async fn exchange(address: &str, request: &str) -> Option<String> {
    let mut answer = String::new();
    let exchanged = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        stream.read_to_string(&mut answer).await.ok()
    };
    tokio::time::timeout(TIMEOUT, exchanged).await.ok()??;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 20").then(|| body.to_owned())
}
