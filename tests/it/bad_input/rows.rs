//! The table: what is wrong, and what the service must say to it.

use nsl_client::prepared::unix_now_ms;
use nsl_schemas::canonical::DEPTH_MAX;
use nsl_schemas::envelope::{
    CLOCK_SKEW_MS_MAX, HEADER_COMMAND_ID, HEADER_EXPIRES_AT_MS, HEADER_ISSUED_AT_MS, HEADER_ISSUER,
    HEADER_SIGNATURE, LIFETIME_MS_MAX, PAYLOAD_BYTES_MAX,
};
use nsl_schemas::nkey::SigningKey;
use uuid::Uuid;

use super::message::{Draft, Message};

/// The keys that the rows sign with.
pub(super) struct Keys {
    /// Has a grant for everything of the tenant.
    pub(super) issuer: SigningKey,
    /// Has a grant for wallets only.
    pub(super) wallets_only: SigningKey,
    /// Has none.
    pub(super) stranger: SigningKey,
}

/// One thing that is wrong.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) message: Message,
    /// The code of the refusal.
    pub(super) code: &'static str,
}

const HEADERS: [&str; 5] =
    [HEADER_COMMAND_ID, HEADER_ISSUER, HEADER_ISSUED_AT_MS, HEADER_EXPIRES_AT_MS, HEADER_SIGNATURE];
/// Longer than any header that is read.
const LONG: usize = 257;

/// All rows, each a good command with one thing changed.
pub(super) fn all(keys: &Keys, good: &dyn Fn() -> Draft) -> Vec<Row> {
    let mut rows = headers(keys, good);
    rows.extend(identities(keys, good));
    rows.extend(subjects(keys, good));
    rows.extend(payloads(keys, good));
    rows
}

fn row(name: impl Into<String>, message: Message, code: &'static str) -> Row {
    Row { name: name.into(), message, code }
}

/// Headers that cannot be read; changed after signing.
fn headers(keys: &Keys, good: &dyn Fn() -> Draft) -> Vec<Row> {
    let signed = || good().sign(&keys.issuer);
    let mut rows = Vec::new();
    for header in HEADERS {
        rows.push(row(format!("{header} missing"), signed().with_copies(header, 0), "header_missing"));
        rows.push(row(format!("{header} repeated"), signed().with_copies(header, 2), "header_invalid"));
        rows.push(row(
            format!("{header} too long"),
            signed().set(header, &"7".repeat(LONG)),
            "header_invalid",
        ));
        let empty = if header == HEADER_COMMAND_ID { "command_id_invalid" } else { "header_invalid" };
        rows.push(row(format!("{header} empty"), signed().set(header, ""), empty));
    }
    rows.push(row(
        "no header at all",
        Message { headers: async_nats::HeaderMap::new(), ..signed() },
        "header_missing",
    ));
    let id = Uuid::now_v7();
    for (name, value) in [
        ("a word", "create".to_owned()),
        ("upper case", id.hyphenated().to_string().to_uppercase()),
        ("without hyphens", id.simple().to_string()),
        ("in braces", id.braced().to_string()),
    ] {
        let message = signed().set(HEADER_COMMAND_ID, &value);
        rows.push(row(format!("command id {name}"), message, "command_id_invalid"));
    }
    let now_ms = unix_now_ms();
    let far = (now_ms + LIFETIME_MS_MAX + 60_000).to_string();
    let public = keys.issuer.public().to_string();
    for (header, name, value) in [
        (HEADER_ISSUER, "a word", "somebody"),
        (HEADER_ISSUER, "of another kind", "ACRF3VGTLQVKBJSFS3QFMKHLDHVGPDQSFU4SGJLHNXYIWHB4C6GV3P6K"),
        (HEADER_ISSUER, "mistyped", &public.replace(&public[9..11], "77")),
        (HEADER_ISSUED_AT_MS, "a word", "now"),
        (HEADER_ISSUED_AT_MS, "negative", "-1"),
        (HEADER_ISSUED_AT_MS, "with a sign", "+1795377600000"),
        (HEADER_ISSUED_AT_MS, "a fraction", "1795377600000.5"),
        (HEADER_ISSUED_AT_MS, "with a leading zero", "01795377600000"),
        (HEADER_ISSUED_AT_MS, "above 2^53", "9007199254740993"),
        (HEADER_ISSUED_AT_MS, "above 2^64", "18446744073709551616"),
        (HEADER_EXPIRES_AT_MS, "a word", "never"),
        (HEADER_EXPIRES_AT_MS, "before the issue", "1"),
        (HEADER_EXPIRES_AT_MS, "more than a day after the issue", &far),
        (HEADER_SIGNATURE, "not base64", &"!".repeat(88)),
        (HEADER_SIGNATURE, "too short", "c2hvcnQ="),
        (HEADER_SIGNATURE, "of 66 bytes", &"A".repeat(88)),
    ] {
        rows.push(row(format!("{header} {name}"), signed().set(header, value), "header_invalid"));
    }
    rows
}

/// Who signed what, and when.
fn identities(keys: &Keys, good: &dyn Fn() -> Draft) -> Vec<Row> {
    let signed = || good().sign(&keys.issuer);
    let now_ms = unix_now_ms();
    let altered = |change: &dyn Fn(&mut Message)| {
        let mut message = signed();
        change(&mut message);
        message
    };
    let other_id = Uuid::now_v7();
    let lifetime =
        |issued_at_ms, expires_at_ms| Draft { issued_at_ms, expires_at_ms, ..good() }.sign(&keys.issuer);
    vec![
        row(
            "payload changed after signing",
            altered(&|message| message.payload.push(b' ')),
            "signature_invalid",
        ),
        row(
            "subject changed after signing",
            altered(&|message| message.subject = message.subject.replace(".create", ".set-policy")),
            "signature_invalid",
        ),
        row(
            "command id changed after signing",
            altered(&|message| {
                message.headers.insert(HEADER_COMMAND_ID, other_id.to_string());
                message.command_id = other_id;
            }),
            "signature_invalid",
        ),
        row(
            "expiry changed after signing",
            signed().set(HEADER_EXPIRES_AT_MS, &(now_ms + 90_000).to_string()),
            "signature_invalid",
        ),
        row(
            "signed by another key than the named one",
            good().sign(&keys.stranger).set(HEADER_ISSUER, &keys.issuer.public().to_string()),
            "signature_invalid",
        ),
        row(
            "signature of zeros",
            signed().set(HEADER_SIGNATURE, &format!("{}==", "A".repeat(86))),
            "signature_invalid",
        ),
        row("an issuer without a grant", good().sign(&keys.stranger), "not_authorised"),
        row("expired", lifetime(now_ms - 60_000, now_ms - 1), "command_expired"),
        row(
            "from the future",
            lifetime(now_ms + CLOCK_SKEW_MS_MAX + 60_000, now_ms + CLOCK_SKEW_MS_MAX + 120_000),
            "command_from_future",
        ),
    ]
}

/// What is addressed.
fn subjects(keys: &Keys, good: &dyn Fn() -> Draft) -> Vec<Row> {
    let to = |subject: &str| Draft { subject: subject.to_owned(), ..good() };
    let long = format!("nsl.v1.cmd.demo.wallet.{}.create", "x".repeat(65));
    let mut rows = vec![
        row(
            "unknown aggregate",
            to("nsl.v1.cmd.demo.purse.x.create").sign(&keys.issuer),
            "aggregate_unknown",
        ),
        row("unknown verb", to("nsl.v1.cmd.demo.wallet.x.explode").sign(&keys.issuer), "verb_unknown"),
        row("verb in upper case", to("nsl.v1.cmd.demo.wallet.x.CREATE").sign(&keys.issuer), "verb_unknown"),
        row(
            "aggregate outside the grant",
            to("nsl.v1.cmd.demo.price-feed.x.register").sign(&keys.wallets_only),
            "not_authorised",
        ),
        row("another tenant", to("nsl.v1.cmd.other.wallet.x.create").sign(&keys.issuer), "not_authorised"),
        row(
            "the service's tenant",
            to("nsl.v1.cmd.system.worker.x.register").sign(&keys.issuer),
            "not_authorised",
        ),
    ];
    for verb in ["record-outcome", "record-confirmation", "record-expiry", "expire-request"] {
        let message = to(&format!("nsl.v1.cmd.demo.wallet.x.{verb}")).sign(&keys.issuer);
        rows.push(row(format!("a verb of services: {verb}"), message, "not_authorised"));
    }
    for (name, subject) in [
        ("tenant", "nsl.v1.cmd.de$mo.wallet.x.create"),
        ("aggregate", "nsl.v1.cmd.demo.wal~let.x.create"),
        ("id", "nsl.v1.cmd.demo.wallet.x/y.create"),
        ("verb", "nsl.v1.cmd.demo.wallet.x.cre@te"),
        ("id not ASCII", "nsl.v1.cmd.demo.wallet.é.create"),
        ("id too long", &long),
    ] {
        rows.push(row(
            format!("malformed subject: {name}"),
            to(subject).sign(&keys.issuer),
            "subject_invalid",
        ));
    }
    rows
}

/// What is asked.
fn payloads(keys: &Keys, good: &dyn Fn() -> Draft) -> Vec<Row> {
    let with = |payload: Vec<u8>| Draft { payload, ..good() }.sign(&keys.issuer);
    let text = String::from_utf8(good().payload).unwrap();
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels)).into_bytes();
    let mut rows = Vec::new();
    for (name, payload) in [
        ("empty", String::new()),
        ("not JSON", "create a wallet".into()),
        ("cut off", text[..text.len() - 1].into()),
        ("with something behind it", format!("{text}{text}")),
        ("null", "null".into()),
        ("a list", format!("[{text}]")),
        ("without a field", "{}".into()),
        ("with an unknown field", text.replacen('{', "{\"colour\":1,", 1)),
        ("with a repeated field", text.replacen("\"policy\":", "\"policy\":null,\"policy\":", 1)),
        ("a list for a text", text.replace("\"amount_max\":\"1\"", "\"amount_max\":[]")),
        ("a text for a number", text.replace("\"threshold\":1", "\"threshold\":\"1\"")),
        ("a negative number", text.replace("\"threshold\":1", "\"threshold\":-1")),
        ("a fraction", text.replace("\"threshold\":1", "\"threshold\":1.5")),
        ("a number out of range", text.replace("\"network_magic\":", "\"network_magic\":99999")),
        ("an amount as a number", text.replace("\"fee_max_datoshi\":\"1\"", "\"fee_max_datoshi\":1")),
        ("an amount out of range", text.replace("\"1\"", "\"99999999999999999999999999999999999999999\"")),
        ("a lone surrogate", text.replace("\"1\"", "\"\\ud800\"")),
    ] {
        assert_ne!(payload, text, "{name} changes something");
        rows.push(row(format!("payload {name}"), with(payload.into_bytes()), "payload_invalid"));
    }
    rows.push(row("payload not UTF-8", with(vec![b'{', 0xFF, 0xFE, b'}']), "payload_invalid"));
    rows.push(row("payload with a zero byte", with([text.as_bytes(), b"\0"].concat()), "payload_invalid"));
    rows.push(row("payload one level too deep", with(nested(DEPTH_MAX + 1)), "payload_too_deep"));
    rows.push(row("payload 30,000 levels deep", with(nested(30_000)), "payload_too_deep"));
    for bytes in [PAYLOAD_BYTES_MAX + 1, 100 * 1024, 900 * 1024] {
        rows.push(row(format!("payload of {bytes} bytes"), with(vec![b' '; bytes]), "payload_too_large"));
    }
    rows
}
