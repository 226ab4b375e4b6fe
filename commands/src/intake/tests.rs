use std::collections::HashMap;

use nsl_schemas::nkey::SigningKey;

use super::*;

const NOW_MS: u64 = 1_700_000_000_000;
const PAYLOAD: &str = "{\"a\":1}";

struct Message {
    subject: CommandSubject,
    headers: HashMap<&'static str, String>,
    payload: Vec<u8>,
}

fn message() -> Message {
    let subject = CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.create").unwrap();
    let key = SigningKey::from_seed(&[1; 32]);
    let signed =
        SignedCommand::sign(&key, &subject, Uuid::from_u128(7), NOW_MS, NOW_MS + 60_000, PAYLOAD.to_owned());
    let envelope = signed.envelope;
    let signature = serde_json::to_value(&envelope.signature).unwrap().as_str().unwrap().to_owned();
    let headers = HashMap::from([
        (HEADER_COMMAND_ID, envelope.command_id.to_string()),
        (HEADER_ISSUER, envelope.issuer.to_string()),
        (HEADER_ISSUED_AT_MS, envelope.issued_at_ms.to_string()),
        (HEADER_EXPIRES_AT_MS, envelope.expires_at_ms.to_string()),
        (HEADER_SIGNATURE, signature),
    ]);
    Message { subject, headers, payload: PAYLOAD.as_bytes().to_vec() }
}

fn judge(message: &Message) -> Result<Incoming, Refused> {
    read(message.subject.clone(), |name| Ok(message.headers.get(name).map(String::as_str)), &message.payload)
}

#[test]
fn a_signed_message_is_read_as_it_was_signed() {
    let incoming = judge(&message()).unwrap();
    assert_eq!(incoming.signed.payload, PAYLOAD);
    assert!(incoming.signed.verify().is_ok());
    assert_eq!(incoming.request_sha256, incoming.signed.envelope.request_sha256());
}

#[test]
fn each_wrong_field_has_its_code() {
    type Change = fn(&mut Message);
    let cases: [(&str, Change, ErrorCode); 19] = [
        ("no id", |m| drop(m.headers.remove(HEADER_COMMAND_ID)), errors::HEADER_MISSING),
        ("id", |m| set(m, HEADER_COMMAND_ID, "7"), errors::COMMAND_ID_INVALID),
        (
            "id in braces",
            |m| set(m, HEADER_COMMAND_ID, &format!("{{{}}}", Uuid::from_u128(7))),
            errors::COMMAND_ID_INVALID,
        ),
        ("no issuer", |m| drop(m.headers.remove(HEADER_ISSUER)), errors::HEADER_MISSING),
        ("issuer", |m| set(m, HEADER_ISSUER, "UAAA"), errors::HEADER_INVALID),
        (
            "other issuer",
            |m| {
                let other = SigningKey::from_seed(&[2; 32]).public().to_string();
                set(m, HEADER_ISSUER, &other);
            },
            errors::SIGNATURE_INVALID,
        ),
        ("no issue time", |m| drop(m.headers.remove(HEADER_ISSUED_AT_MS)), errors::HEADER_MISSING),
        ("issue time", |m| set(m, HEADER_ISSUED_AT_MS, "yesterday"), errors::HEADER_INVALID),
        (
            "issue time spelt otherwise",
            |m| set(m, HEADER_ISSUED_AT_MS, "01700000000000"),
            errors::HEADER_INVALID,
        ),
        (
            "other issue time",
            |m| set(m, HEADER_ISSUED_AT_MS, &(NOW_MS + 1).to_string()),
            errors::SIGNATURE_INVALID,
        ),
        (
            "expiry before issue",
            |m| set(m, HEADER_EXPIRES_AT_MS, &NOW_MS.to_string()),
            errors::HEADER_INVALID,
        ),
        (
            "expiry after more than a day",
            |m| set(m, HEADER_EXPIRES_AT_MS, &(NOW_MS + LIFETIME_MS_MAX + 1).to_string()),
            errors::HEADER_INVALID,
        ),
        ("number beyond JSON", |m| set(m, HEADER_EXPIRES_AT_MS, "9007199254740992"), errors::HEADER_INVALID),
        ("no signature", |m| drop(m.headers.remove(HEADER_SIGNATURE)), errors::HEADER_MISSING),
        ("short signature", |m| set(m, HEADER_SIGNATURE, "AAAA"), errors::HEADER_INVALID),
        (
            "other signature",
            |m| set(m, HEADER_SIGNATURE, &format!("{}==", "A".repeat(86))),
            errors::SIGNATURE_INVALID,
        ),
        ("other payload", |m| m.payload.push(b' '), errors::SIGNATURE_INVALID),
        ("large payload", |m| m.payload = vec![b' '; PAYLOAD_BYTES_MAX + 1], errors::PAYLOAD_TOO_LARGE),
        (
            "other subject",
            |m| {
                m.subject = CommandSubject::parse("nsl.v1.cmd.other.wallet.main.create").unwrap();
            },
            errors::SIGNATURE_INVALID,
        ),
    ];
    for (what, change, expected) in cases {
        let mut message = message();
        change(&mut message);
        assert_eq!(judge(&message).unwrap_err().code, expected, "{what}");
    }
}

fn set(message: &mut Message, name: &'static str, value: &str) {
    message.headers.insert(name, value.to_owned());
}

#[test]
fn times_are_judged_by_the_clock_given() {
    let incoming = judge(&message()).unwrap();
    assert!(incoming.check_times(NOW_MS).is_ok());
    assert!(incoming.check_times(NOW_MS - CLOCK_SKEW_MS_MAX).is_ok());
    let code = |now_ms| incoming.check_times(now_ms).unwrap_err().code;
    assert_eq!(code(NOW_MS - CLOCK_SKEW_MS_MAX - 1), errors::COMMAND_FROM_FUTURE);
    assert_eq!(code(NOW_MS + 60_000), errors::COMMAND_EXPIRED);
}

#[test]
fn payloads_are_judged_by_their_subject() {
    let parse = |subject: &str, payload: &str| {
        let mut incoming = judge(&message()).unwrap();
        incoming.subject = CommandSubject::parse(subject).unwrap();
        payload.clone_into(&mut incoming.signed.payload);
        incoming.command().unwrap_err().code
    };
    let deep = format!("{}{}", "[".repeat(17), "]".repeat(17));
    assert_eq!(parse("nsl.v1.cmd.acme.safe.main.create", "{}"), errors::AGGREGATE_UNKNOWN);
    assert_eq!(parse("nsl.v1.cmd.acme.wallet.main.burn", "{}"), errors::VERB_UNKNOWN);
    assert_eq!(parse("nsl.v1.cmd.acme.wallet.main.create", "{}"), errors::PAYLOAD_INVALID);
    assert_eq!(parse("nsl.v1.cmd.acme.wallet.main.create", "not JSON"), errors::PAYLOAD_INVALID);
    assert_eq!(parse("nsl.v1.cmd.acme.wallet.main.create", &deep), errors::PAYLOAD_TOO_DEEP);
}
