//! The targets. A new decoder of untrusted bytes adds its line to [`TARGETS`].

use nsl_enclave_protocol::frame::Decoder;
use nsl_enclave_protocol::http::AnswerReader;
use nsl_enclave_protocol::{Request, Response};
use nsl_enclave_worker::kms::cms::Envelope;
use nsl_neo::nep2::{self, ScryptParameters};
use nsl_neo::nep6::Wallet;
use nsl_neo::{Address, Nep17Transfer, PublicKey, Transaction, UnsignedTransaction, amount, wif};
use nsl_schemas::authority::{GrantChain, IssuerGrant, Signed, TenantRoot};
use nsl_schemas::canonical;
use nsl_schemas::command::Command;
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::event::{Event, Stored, VERSION};
use nsl_schemas::outcome::{SealedKey, SignedOutcome};
use nsl_schemas::policy::Policy;
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::{genesis, nkey};
use nsl_verify::attestation::{Expectation, TrustRoot, VerifyTime, examine, verify};

/// One decoder, or a family that reads the same bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// As `cargo dev fuzz` takes it.
    pub name: &'static str,
    /// Reads the input; returning is all that is asked.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: [Target; 12] = [
    Target { name: "attestation", run: attestation },
    Target { name: "frames", run: frames },
    Target { name: "worker-messages", run: worker_messages },
    Target { name: "commands", run: commands },
    Target { name: "authority", run: authority },
    Target { name: "events", run: events },
    Target { name: "sealed-keys", run: sealed_keys },
    Target { name: "transactions", run: transactions },
    Target { name: "scripts", run: scripts },
    Target { name: "keys", run: keys },
    Target { name: "http-answers", run: http_answers },
    Target { name: "kms-envelopes", run: kms_envelopes },
];

/// The target of this name.
pub fn find(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}

fn attestation(input: &[u8]) {
    let (none, aws) = (Expectation::default(), TrustRoot::aws_nitro());
    assert!(verify(input, &none, &aws, VerifyTime::Document).is_err(), "no build is allowed");
    let _ = examine(input, &none, &aws, VerifyTime::At(0));
}

fn frames(input: &[u8]) {
    let (mut whole, mut rest) = (Decoder::default(), input);
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = whole.feed(&mut rest) {
        frames.push(frame);
    }
    // The same bytes one at a time are the same frames, and a frame is written as it was read.
    let mut torn = Decoder::default();
    let pieces = input.chunks(1).map_while(|mut piece| torn.feed(&mut piece).ok()).flatten();
    assert!(pieces.eq(frames.iter().cloned()), "torn and whole input differ");
    let mut written = Vec::new();
    for frame in frames {
        frame.encode(&mut written).expect("what was read is within the limits");
    }
    assert!(input.starts_with(&written), "a frame is not written as it was read");
}

fn worker_messages(input: &[u8]) {
    let _ = Request::from_bytes(input);
    let _ = Response::from_bytes(input);
}

/// A subject in the first line, a payload after it; and an envelope.
fn commands(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let (subject, payload) = (parts.next().unwrap_or_default(), parts.next().unwrap_or(input));
    let subject = str::from_utf8(subject).ok();
    if let Some(subject) = subject.and_then(|subject| CommandSubject::parse(subject).ok()) {
        let _ = Command::parse(&subject, payload);
    }
    for known in KNOWN_SUBJECTS {
        let subject = CommandSubject::parse(known).expect("a subject of this table");
        let _ = Command::parse(&subject, payload);
    }
    if let Ok(command) = canonical::from_slice::<SignedCommand>(input) {
        let _ = command.envelope.is_signed_by_issuer();
    }
    let _ = canonical::from_slice::<Policy>(input);
}

/// Subjects whose payloads are tried on every input.
const KNOWN_SUBJECTS: [&str; 4] = [
    "nsl.v1.cmd.acme.wallet.main.create",
    "nsl.v1.cmd.acme.wallet.main.request-transfer",
    "nsl.v1.cmd.acme.wallet.main.record-outcome",
    "nsl.v1.cmd.acme.authority.main.grant",
];

fn authority(input: &[u8]) {
    let _ = genesis::parse(input);
    let _ = canonical::from_slice::<Signed<TenantRoot>>(input);
    let _ = canonical::from_slice::<Signed<IssuerGrant>>(input);
    let _ = canonical::from_slice::<GrantChain>(input);
}

fn events(input: &[u8]) {
    let Ok(payload) = str::from_utf8(input) else { return };
    for (aggregate_type, event_type) in KNOWN_EVENTS {
        let stored = Stored { aggregate_type, event_type, event_version: VERSION, payload };
        let _: Result<Event, _> = stored.decode_any();
    }
}

/// Events whose payloads are tried on every input.
const KNOWN_EVENTS: [(&str, &str); 5] = [
    ("authority", "genesis-recorded"),
    ("wallet", "transfer-requested"),
    ("wallet", "key-created"),
    ("worker", "worker-registered"),
    ("price-feed", "round-recorded"),
];

fn sealed_keys(input: &[u8]) {
    let _ = canonical::from_slice::<SealedKey>(input);
    let _ = canonical::from_slice::<SignedOutcome>(input);
}

fn transactions(input: &[u8]) {
    if let Ok(transaction) = UnsignedTransaction::from_bytes(input) {
        assert_eq!(transaction.to_bytes(), input, "a transaction is not written as it was read");
        let _ = transaction.hash();
    }
    if let Ok(transaction) = Transaction::from_bytes(input) {
        assert_eq!(transaction.to_bytes(), input, "a transaction is not written as it was read");
    }
}

fn scripts(input: &[u8]) {
    if let Ok(transfer) = Nep17Transfer::parse_script(input) {
        let script = transfer.script().expect("what was read can be written");
        assert_eq!(script, input, "a script is not written as it was read");
    }
}

fn keys(input: &[u8]) {
    let _ = Wallet::from_json(input);
    let _ = PublicKey::from_bytes(input);
    let Ok(text) = str::from_utf8(input) else { return };
    let _ = nep2::decrypt(text, "", ScryptParameters::WEAK);
    let _ = wif::decode(text);
    let _ = nkey::PublicKey::parse(text);
    let _ = nkey::SigningKey::parse_seed(text);
    let _ = text.parse::<Address>();
    let _ = amount::parse(text, 8);
}

fn http_answers(input: &[u8]) {
    let whole = AnswerReader::default().feed(input).ok().flatten();
    // The same bytes one at a time are the same answer.
    let mut torn = AnswerReader::default();
    let fed = input.chunks(1).map_while(|piece| torn.feed(piece).ok());
    let last = fed.take(TORN_BYTES_MAX).last().flatten();
    if whole.is_some() && input.len() <= TORN_BYTES_MAX {
        assert!(whole == last, "torn and whole answer differ");
    }
}

/// Most bytes that are fed one at a time: an answer's head and the beginning of its body.
const TORN_BYTES_MAX: usize = 2048;

fn kms_envelopes(input: &[u8]) {
    let _ = Envelope::parse(input);
}
