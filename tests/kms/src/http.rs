//! One request of HTTP/1.1.

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Longest request.
const BYTES_MAX: usize = 1 << 20;

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case, in the order that they came in.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads one; none where there is none.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 || bytes.len() > BYTES_MAX {
                return None;
            }
        };
        let head = String::from_utf8(bytes.get(..end)?.to_vec()).ok()?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
        let mut body = bytes.split_off(end + 4);
        while body.len() < length {
            if stream.read_buf(&mut body).await.ok()? == 0 || body.len() > BYTES_MAX {
                return None;
            }
        }
        Some(Self { method, path, headers, body })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
