//! The instance's metadata service (IMDSv2): a token first, then the role's name, then its credentials.

use std::time::Duration;

use nsl_enclave_protocol::http::{self, Answer, AnswerReader};
use nsl_schemas::canonical;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::credentials::Document;

/// For each of the three questions: the service is on the machine.
const LIMIT: Duration = Duration::from_secs(2);
const TOKEN_PATH: &str = "/latest/api/token";
const ROLE_PATH: &str = "/latest/meta-data/iam/security-credentials/";
/// How long the token shall be good for: for the next two questions.
const TOKEN_LIFE_S: &str = "60";
/// Longest name of a role, by IAM, and longest token.
const TEXT_BYTES_MAX: usize = 512;
/// Read at a time.
const CHUNK_BYTES: usize = 4096;

/// Why it gives none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("it is not reached")]
    Stream(#[from] std::io::Error),
    #[error("it did not answer within {} ms", LIMIT.as_millis())]
    TimedOut,
    #[error("its answer is no HTTP that is taken")]
    Http(#[from] http::Error),
    #[error("its answer ended early")]
    Ended,
    #[error("it answered {path} with status {status}")]
    Status { path: String, status: u16 },
    #[error("its answer to {path} is no name")]
    Text { path: String },
    #[error("its answer holds no credentials")]
    Credentials(#[source] canonical::Error),
}

/// The credentials of the instance's role.
pub(super) async fn credentials(address: &str) -> Result<Document, Error> {
    let life = [("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_LIFE_S)];
    let token = text(ask(address, "PUT", TOKEN_PATH, &life).await?, TOKEN_PATH)?;
    let token = [("x-aws-ec2-metadata-token", token.as_str())];
    let role = text(ask(address, "GET", ROLE_PATH, &token).await?, ROLE_PATH)?;
    let answer = ask(address, "GET", &format!("{ROLE_PATH}{role}"), &token).await?;
    canonical::from_slice(&answer.body).map_err(Error::Credentials)
}

/// One word without spaces, which can stand in a header or a path.
fn text(answer: Answer, path: &str) -> Result<String, Error> {
    let text = String::from_utf8(answer.body).ok().map(|text| text.trim().to_owned());
    let is_word = |text: &String| {
        (1..=TEXT_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    text.filter(is_word).ok_or_else(|| Error::Text { path: path.to_owned() })
}

async fn ask(address: &str, method: &str, path: &str, more: &[(&str, &str)]) -> Result<Answer, Error> {
    let headers = [&[("host", address)], more].concat();
    let request = http::request(method, path, &headers, b"");
    let answered = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(&request).await?;
        let (mut reader, mut chunk) = (AnswerReader::default(), [0; CHUNK_BYTES]);
        loop {
            let count = stream.read(&mut chunk).await?;
            if count == 0 {
                return Err(Error::Ended);
            }
            if let Some(answer) = reader.feed(chunk.get(..count).unwrap_or_default())? {
                return Ok(answer);
            }
        }
    };
    let answer = tokio::time::timeout(LIMIT, answered).await.map_err(|_| Error::TimedOut)??;
    if answer.status == 200 {
        Ok(answer)
    } else {
        Err(Error::Status { path: path.to_owned(), status: answer.status })
    }
}

#[cfg(test)]
mod tests {
    use nsl_enclave_protocol::AwsCredentials;
    use tokio::net::TcpListener;

    use super::*;

    /// Answers as the service does, and refuses whoever comes without its token.
    async fn serve(listener: TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut request, mut chunk) = (Vec::new(), [0; 1024]);
            while !request.ends_with(b"\r\n\r\n") {
                let count = stream.read(&mut chunk).await.unwrap();
                request.extend_from_slice(&chunk[..count]);
            }
            let request = String::from_utf8(request).unwrap();
            let has_token = request.contains("x-aws-ec2-metadata-token: secret-token");
            let path = request.split(' ').nth(1).unwrap();
            let (status, body) = match (path, has_token) {
                (TOKEN_PATH, _) if request.starts_with("PUT") => (200, "secret-token"),
                (ROLE_PATH, true) => (200, "nsl-host"),
                ("/latest/meta-data/iam/security-credentials/nsl-host", true) => {
                    (200, r#"{"Code":"Success","AccessKeyId":"ASIA","SecretAccessKey":"s","Token":"t"}"#)
                }
                _ => (401, ""),
            };
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_roles_credentials_are_asked_for_with_a_token() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(serve(listener));
        let found: AwsCredentials = credentials(&address).await.unwrap().into();
        assert_eq!((found.access_key_id.as_str(), found.session_token.as_deref()), ("ASIA", Some("t")));
        let refused = ask(&address, "GET", ROLE_PATH, &[]).await.unwrap_err();
        assert!(matches!(refused, Error::Status { status: 401, .. }), "{refused:?}");
    }

    #[test]
    fn what_is_no_word_is_refused() {
        for body in ["", "two words", "a\r\nb", &"a".repeat(TEXT_BYTES_MAX + 1)] {
            let answer = Answer { status: 200, body: body.into() };
            assert!(matches!(text(answer, "/"), Err(Error::Text { .. })), "{body:?}");
        }
    }
}
