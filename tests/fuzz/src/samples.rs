//! What mutations start from: the contract's golden vectors and events, a document, an answer, and envelopes.

use std::path::{Path, PathBuf};

use nsl_enclave_protocol::frame::{Body, Frame, Message};
use serde_json::Value;

/// Shortest text that is looked at as bytes in hex.
const HEX_DIGITS_MIN: usize = 16;

/// Every sample, for every target: one target's valid input is another's strange one.
pub fn samples() -> std::io::Result<Vec<Vec<u8>>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut samples = vec![std::fs::read(root.join("commands/cli/tests/it/samples/private-root.cose"))?];
    samples.extend(frames());
    samples
        .push(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".to_vec());
    for file in files(&root.join("enclave-worker/src/kms/cms/vectors"))? {
        samples.push(std::fs::read(file)?);
    }
    for file in files(&root.join("bus-schemas/contract/golden"))? {
        samples.push(std::fs::read(file)?);
    }
    for file in files(&root.join("bus-schemas/contract/vectors"))? {
        collect(&serde_json::from_slice(&std::fs::read(file)?)?, &mut samples);
    }
    samples.sort();
    samples.dedup();
    Ok(samples)
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}

/// Each text of a vector, and its bytes where it is hex.
fn collect(value: &Value, samples: &mut Vec<Vec<u8>>) {
    match value {
        Value::String(text) => {
            samples.push(text.clone().into_bytes());
            let bytes = hex::decode(text).ok().filter(|_| text.len() >= HEX_DIGITS_MIN);
            samples.extend(bytes);
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, samples)),
        Value::Object(fields) => {
            samples.push(value.to_string().into_bytes());
            fields.values().for_each(|field| collect(field, samples));
        }
        _ => {}
    }
}

fn frames() -> impl Iterator<Item = Vec<u8>> {
    let message =
        |request_id| Message { request_id, body: Body::Request(b"{\"request\":\"describe\"}"[..].into()) };
    let frames = [Frame::Ping, Frame::Drain, Frame::Batch(vec![message(1), message(2)])];
    frames.into_iter().map(|frame| {
        let mut bytes = Vec::new();
        // The few small messages of a sample are below every limit; a frame left out would show in the count.
        let _ = frame.encode(&mut bytes);
        bytes
    })
}
