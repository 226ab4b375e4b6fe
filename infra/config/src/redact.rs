//! What `--print-config` may show: secrets by the name of their key, and credentials inside URLs, are hidden.

use toml::Value;

/// Stands where a secret was.
const HIDDEN: &str = "<hidden>";
/// A key whose last part ends so is a secret; a key that names a *file* with a secret ends in `_file` and is shown.
const SECRET_ENDINGS: [&str; 3] = ["secret", "password", "seed"];

/// Whether the value of the dotted `key` must never be shown.
pub(crate) fn is_secret(key: &str) -> bool {
    key.split('.').any(ends_as_secret)
}

/// The value as TOML without its secrets.
pub(crate) fn shown(key: &str, value: &Value) -> String {
    if is_secret(key) { Value::String(HIDDEN.to_owned()).to_string() } else { cleaned(value).to_string() }
}

fn ends_as_secret(name: &str) -> bool {
    SECRET_ENDINGS.iter().any(|ending| name.to_ascii_lowercase().ends_with(ending))
}

fn cleaned(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_credentials(text)),
        Value::Array(items) => Value::Array(items.iter().map(cleaned).collect()),
        Value::Table(table) => Value::Table(
            table
                .iter()
                .map(|(name, inner)| {
                    let inner =
                        if ends_as_secret(name) { Value::String(HIDDEN.to_owned()) } else { cleaned(inner) };
                    (name.clone(), inner)
                })
                .collect(),
        ),
        plain => plain.clone(),
    }
}

/// Hides userinfo and password parameters of each URL of a comma-separated list.
fn without_credentials(text: &str) -> String {
    let mut urls: Vec<String> = Vec::new();
    for part in text.split(',') {
        match urls.last_mut() {
            // A comma inside a password must not let its second half through as a part of its own.
            Some(url) if !part.contains("://") => {
                url.push(',');
                url.push_str(part);
            }
            _ => urls.push(part.to_owned()),
        }
    }
    urls.iter().map(|url| clean_url(url)).collect::<Vec<_>>().join(",")
}

fn clean_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // The last '@' ends the userinfo even where somebody forgot to escape a '/' or '@' of the password: hiding too
    // much is harmless. A userinfo without ':' is hidden as well, since NATS takes a bare token there.
    let rest = match rest.rsplit_once('@') {
        Some((userinfo, host)) => match userinfo.split_once(':') {
            Some((user, _)) => format!("{user}:{HIDDEN}@{host}"),
            None => format!("{HIDDEN}@{host}"),
        },
        None => rest.to_owned(),
    };
    let rest = match rest.split_once('?') {
        Some((path, query)) => {
            format!("{path}?{}", query.split('&').map(clean_parameter).collect::<Vec<_>>().join("&"))
        }
        None => rest,
    };
    format!("{scheme}://{rest}")
}

fn clean_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if ends_as_secret(name) => format!("{name}={HIDDEN}"),
        _ => parameter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_never_survive() {
        let table = [
            ("bus.password", "hunter2", r#""<hidden>""#),
            ("worker.root_seed", "hunter2", r#""<hidden>""#),
            ("client_secret.value", "hunter2", r#""<hidden>""#),
            ("bus.nkey_seed_file", "/etc/nsl/seed", r#""/etc/nsl/seed""#),
            ("bus.url", "nats://127.0.0.1:4222", r#""nats://127.0.0.1:4222""#),
            ("bus.url", "nats://app:hunter2@bus:4222", r#""nats://app:<hidden>@bus:4222""#),
            ("bus.url", "nats://hunter2@bus", r#""nats://<hidden>@bus""#),
            ("bus.url", "nats://app:hun/ter2@x@bus", r#""nats://app:<hidden>@bus""#),
            (
                "bus.url",
                "nats://a:hunt,er2@b,nats://c:hunter2@d",
                r#""nats://a:<hidden>@b,nats://c:<hidden>@d""#,
            ),
            (
                "database.url",
                "postgres://h/db?password=hunter2&a=b",
                r#""postgres://h/db?password=<hidden>&a=b""#,
            ),
            ("log.filter", "info,nsl_bus=debug", r#""info,nsl_bus=debug""#),
        ];
        for (key, value, expected) in table {
            assert_eq!(shown(key, &Value::String(value.to_owned())), expected, "{key} {value}");
        }
    }

    #[test]
    fn secrets_inside_inline_tables_and_arrays_are_hidden() {
        let value: Value = toml::from_str::<toml::Table>(
            r#"peers = [{ user = "a", password = "hunter2" }, { url = "nats://u:hunter2@h" }]"#,
        )
        .unwrap()["peers"]
            .clone();
        let text = shown("bus.peers", &value);
        assert!(!text.contains("hunter2") && text.contains("user"), "{text}");
    }
}
