//! The server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nsl_verify::attestation::{self, Expectation, Pcr, TrustRoot, VerifyTime};
use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::conduct::Conduct;
use crate::envelope;
use crate::http::Request;
use crate::keys::MasterKey;
use crate::refusal::Refusal;
use crate::signature::{self, Caller};

/// Whom the key serves, by the conditions `kms:RecipientAttestation:ImageSha384` and `:PCR16`.
#[derive(Debug, Clone, Default)]
pub struct KeyPolicy {
    /// PCR0 of the allowed images.
    pub image_sha384: Vec<Pcr>,
    /// The manifest's register, where it is demanded.
    pub pcr16: Option<Pcr>,
}

/// What a server is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its only key.
    pub key_arn: String,
    /// Where attestation documents come from.
    pub root: TrustRoot,
    /// Who may ask.
    pub caller: Caller,
    /// Whom the key serves.
    pub policy: KeyPolicy,
}

struct State {
    settings: Mutex<Settings>,
    conduct: Mutex<Conduct>,
    master: MasterKey,
    /// Targets of the requests that came, in their order.
    asked: Mutex<Vec<String>>,
}

/// A running server; ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Listens on a port of its own, with a certificate for `host`.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub async fn start(authority: &Authority, host: &str, settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let acceptor = TlsAcceptor::from(authority.server(host));
        let state = Arc::new(State {
            settings: Mutex::new(settings),
            conduct: Mutex::default(),
            master: MasterKey::generate(),
            asked: Mutex::default(),
        });
        let serving = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(acceptor.clone(), stream, Arc::clone(&serving)));
            }
        });
        Self { address, state, task }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Behaves so from now on.
    pub fn behave(&self, conduct: Conduct) {
        *whole(&self.state.conduct) = conduct;
    }

    /// Serves by another policy from now on.
    pub fn set_policy(&self, policy: KeyPolicy) {
        whole(&self.state.settings).policy = policy;
    }

    /// Targets of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        whole(&self.state.asked).clone()
    }

    /// What anybody with the permission `kms:Encrypt` can have: a key of his own, wrapped.
    pub fn encrypt(&self, key: &[u8], context: &Value) -> Vec<u8> {
        self.state.master.wrap(key, context)
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, state: Arc<State>) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let Some(request) = Request::read(&mut stream).await else { return };
    let (status, body) = match answer(&request, &state) {
        Ok(body) => (200, body),
        Err(refusal) => (Refusal::STATUS, refusal.body()),
    };
    let conduct = *whole(&state.conduct);
    let _ = write(&mut stream, conduct, status, body.to_string()).await;
    let _ = stream.shutdown().await;
}

async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    conduct: Conduct,
    status: u16,
    mut body: String,
) -> std::io::Result<()> {
    if conduct == Conduct::Garbage {
        "<html>".clone_into(&mut body);
    }
    let length = match conduct {
        Conduct::CutBody => body.len() + 1,
        Conduct::HugeBody => 100_000_000,
        _ => body.len(),
    };
    let mut head = format!("HTTP/1.1 {status} Any\r\nContent-Type: application/x-amz-json-1.1\r\n");
    match conduct {
        Conduct::Chunked => {
            head.push_str("Transfer-Encoding: chunked\r\n\r\n");
            body = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        }
        Conduct::EndlessHead => {
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(b"X-More: and more of it\r\n").await?;
            }
        }
        _ => head.extend(["Content-Length: ", &length.to_string(), "\r\n\r\n"]),
    }
    head.push_str(&body);
    if conduct != Conduct::Slow {
        return stream.write_all(head.as_bytes()).await;
    }
    for byte in head.bytes() {
        stream.write_all(&[byte]).await?;
        stream.flush().await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

fn answer(request: &Request, state: &State) -> Result<Value, Refusal> {
    let settings = whole(&state.settings).clone();
    let region = settings.key_arn.split(':').nth(3).unwrap_or_default();
    signature::check(request, &settings.caller, region)?;
    let target = request.header("x-amz-target").unwrap_or_default().to_owned();
    whole(&state.asked).push(target.clone());
    let invalid = |what: &str| Refusal::new("ValidationException", format!("{what} is missing or malformed"));
    let asked: Value = serde_json::from_slice(&request.body).map_err(|_| invalid("body"))?;
    if asked["KeyId"] != settings.key_arn.as_str() {
        return Err(Refusal::new("NotFoundException", format!("Key {} does not exist", asked["KeyId"])));
    }
    let recipient = check_recipient(&asked["Recipient"], &settings)?;
    let context = &asked["EncryptionContext"];
    let (mut key, wrapped) = match target.as_str() {
        "TrentService.GenerateDataKey" if asked["KeySpec"] == "AES_256" => {
            let (key, wrapped) = state.master.generate_data_key(context);
            (key.to_vec(), Some(wrapped))
        }
        "TrentService.Decrypt" => {
            let wrapped = bytes(&asked["CiphertextBlob"]).ok_or_else(|| invalid("CiphertextBlob"))?;
            (state.master.unwrap(&wrapped, context)?, None)
        }
        _ => return Err(Refusal::new("UnknownOperationException", target)),
    };
    let conduct = *whole(&state.conduct);
    if conduct == Conduct::ShortKey {
        key.truncate(16);
    }
    let envelope = close(&key, &recipient, conduct).ok_or_else(|| invalid("PublicKey"))?;
    let mut body = json!({ "KeyId": settings.key_arn, "KeyMaterialId": "0", "Plaintext": null });
    if conduct != Conduct::NoEnvelope {
        body["CiphertextForRecipient"] = STANDARD.encode(envelope).into();
    }
    match wrapped {
        Some(wrapped) => body["CiphertextBlob"] = STANDARD.encode(wrapped).into(),
        None => body["EncryptionAlgorithm"] = "SYMMETRIC_DEFAULT".into(),
    }
    match conduct {
        Conduct::OtherArn => body["KeyId"] = "arn:aws:kms:eu-central-1:111122223333:key/other".into(),
        Conduct::TellsPlaintext => body["Plaintext"] = STANDARD.encode(&key).into(),
        _ => {}
    }
    Ok(body)
}

/// The recipient's public key, if its document is genuine, fresh and of an image that the policy allows.
fn check_recipient(recipient: &Value, settings: &Settings) -> Result<Vec<u8>, Refusal> {
    let denied = |message: &str| Refusal::new("AccessDeniedException", message);
    let policy = &settings.policy;
    if recipient["KeyEncryptionAlgorithm"] != "RSAES_OAEP_SHA_256" {
        return Err(denied(
            "no identity-based policy allows the action: kms:RecipientAttestation is not met",
        ));
    }
    let document = bytes(&recipient["AttestationDocument"]).unwrap_or_default();
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = VerifyTime::At(u64::try_from(now_ms).unwrap_or_default());
    let expectation = Expectation {
        builds: policy.image_sha384.iter().map(|pcr| [(0, *pcr)].into()).collect(),
        pcrs: policy.pcr16.iter().map(|pcr| (16, *pcr)).collect(),
        ..Expectation::default()
    };
    match attestation::verify(&document, &expectation, &settings.root, now) {
        Ok(document) => document.public_key.ok_or_else(|| denied("the document has no public key")),
        Err(
            error @ (attestation::Error::BuildNotAllowed { .. } | attestation::Error::PcrMismatch { .. }),
        ) => Err(denied(&format!("kms:RecipientAttestation is not met: {error}"))),
        Err(error) => Err(Refusal::new("ValidationException", format!("attestation document: {error}"))),
    }
}

fn close(key: &[u8], recipient: &[u8], conduct: Conduct) -> Option<Vec<u8>> {
    let is_for_other = conduct == Conduct::OtherRecipient;
    let other = is_for_other.then(|| PrivateDecryptingKey::generate(KeySize::Rsa2048)).and_then(Result::ok);
    let other = other.and_then(|other| other.public_key().as_der().ok());
    let recipient = other.as_ref().map_or(recipient, |other| other.as_ref());
    let (forges_key, forges_content) = (conduct == Conduct::ForgedKey, conduct == Conduct::ForgedContent);
    let mut envelope = envelope::close(key, recipient, forges_key, forges_content)?;
    if conduct == Conduct::CutEnvelope {
        envelope.truncate(envelope.len() / 2);
    }
    Some(envelope)
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    STANDARD.decode(value.as_str()?).ok()
}
