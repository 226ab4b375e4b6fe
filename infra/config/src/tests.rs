//! The layers together, as a service uses them.

use std::ffi::OsString;
use std::io::Write;

use serde::Deserialize;

use super::*;

const DEFAULTS: &str = r#"
# The bus
[bus]
url = "nats://127.0.0.1:4222" # where it listens
retries = 3
verbose = false
topics = ["a"]
[log]
format = "text"
"#;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Config {
    bus: Bus,
    log: Log,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Bus {
    url: String,
    retries: u8,
    verbose: bool,
    topics: Vec<String>,
    password: Option<Secret>,
    limit: Option<u64>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Log {
    format: Format,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Format {
    Text,
    Json,
}

fn load_with(
    file: Option<&str>,
    variables: &[(&str, &str)],
    flags: &[&str],
) -> Result<Loaded<Config>, Error> {
    let mut stored = tempfile::NamedTempFile::new().unwrap();
    stored.write_all(file.unwrap_or_default().as_bytes()).unwrap();
    let args = ConfigArgs {
        config: file.map(|_| stored.path().to_owned()),
        set: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        print_config: false,
    };
    let environment = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    load(DEFAULTS, &args, environment)
}

fn origin_of<'a>(loaded: &'a Loaded<Config>, key: &str) -> &'a Origin {
    &loaded.settings.iter().find(|setting| setting.key == key).unwrap().origin
}

#[test]
fn each_layer_overrides_the_one_below_and_is_named_as_origin() {
    let file = Some("[bus]\nretries = 4\nverbose = true\ntopics = [\"b\", \"c\"]");
    let variables = [("NSL__BUS__RETRIES", "5"), ("NSL__LOG__FORMAT", "json"), ("PATH", "ignored")];
    let loaded = load_with(file, &variables, &["bus.retries=6"]).unwrap();

    assert_eq!((loaded.config.bus.retries, loaded.config.bus.verbose), (6, true));
    assert_eq!(loaded.config.bus.topics, ["b", "c"]);
    assert_eq!(loaded.config.log.format, Format::Json);
    assert_eq!(*origin_of(&loaded, "bus.url"), Origin::Default);
    assert!(matches!(origin_of(&loaded, "bus.verbose"), Origin::File(_)));
    assert_eq!(*origin_of(&loaded, "log.format"), Origin::Variable("NSL__LOG__FORMAT".to_owned()));
    assert_eq!(*origin_of(&loaded, "bus.retries"), Origin::Flag);
}

#[test]
fn text_is_typed_by_the_default_or_else_by_the_field_that_asks() {
    for (flag, expected) in [
        ("bus.password=12345", "12345"),
        ("bus.password=\"quoted\"", "\"quoted\""),
        ("bus.password=true", "true"),
        ("bus.password=a=b", "a=b"),
    ] {
        let loaded = load_with(None, &[], &[flag]).unwrap();
        assert_eq!(loaded.config.bus.password.unwrap().expose(), expected, "{flag}");
    }
    let loaded = load_with(None, &[("NSL__BUS__URL", "42")], &["bus.limit=9", "bus.topics=[\"x\"]"]).unwrap();
    assert_eq!((loaded.config.bus.url.as_str(), loaded.config.bus.limit), ("42", Some(9)));
    assert_eq!(loaded.config.bus.topics, ["x"]);
}

/// File, variables, flags, and the words that the error must have.
type Mistake = (
    Option<&'static str>,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
    &'static [&'static str],
);

#[test]
fn every_mistake_names_its_key_and_its_origin() {
    let table: [Mistake; 12] = [
        (Some("[bus]\nretries = \"x\""), &[], &[], &["`bus.retries`", "from file", "u8"]),
        (Some("[bus]\nretris = 1"), &[], &[], &["bus", "unknown field `retris`", "`retries`"]),
        (Some("[bus"), &[], &[], &["not valid TOML", "line 1"]),
        (None, &[("NSL__BUS__RETRIES", "300")], &[], &["`bus.retries`", "NSL__BUS__RETRIES", "300"]),
        (None, &[("NSL__BUS__NOPE", "1")], &[], &["nope", "NSL__BUS__NOPE", "unknown field"]),
        (None, &[("NSL__BUS____URL", "1")], &[], &["NSL__BUS____URL", "NSL__SECTION__KEY"]),
        (None, &[("NSL__", "1")], &[], &["NSL__SECTION__KEY"]),
        (None, &[], &["bus.retries"], &["--set argument 1", "section.key=value"]),
        (None, &[], &["log.format=xml"], &["`log.format`", "flag --set", "`text`", "`json`"]),
        (None, &[], &["bus=1"], &["`bus`", "flag --set"]),
        (None, &[], &["bus.limit=many"], &["`bus.limit`", "flag --set", "u64"]),
        (None, &[], &["bus.retries=1\nx=2"], &["`bus.retries`", "flag --set"]),
    ];
    for (file, variables, flags, words) in table {
        let text = load_with(file, variables, flags).unwrap_err().to_string();
        for word in words {
            assert!(text.contains(word), "{text:?} should contain {word:?}");
        }
    }
}

#[test]
fn a_missing_key_names_itself_and_its_section() {
    #[derive(Debug, Deserialize)]
    struct Needs {
        #[serde(rename = "bus")]
        _bus: Inner,
    }
    #[derive(Debug, Deserialize)]
    struct Inner {
        #[serde(rename = "token")]
        _token: String,
    }
    let error = load::<Needs>("[bus]\nurl = 1", &ConfigArgs::default(), []).unwrap_err().to_string();
    assert!(error.contains("`bus`") && error.contains("missing field `token`"), "{error}");
}

#[test]
fn a_secret_of_the_wrong_type_is_not_repeated() {
    let error = load_with(Some("[bus]\npassword = 918273"), &[], &[]).unwrap_err().to_string();
    assert!(error.contains("`bus.password`") && !error.contains("918273"), "{error}");
    let error = load_with(Some("[bus]\npassword = \"918273"), &[], &[]).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("918273"), "{error:?}");
}

#[test]
fn a_file_over_the_limit_is_refused_by_name() {
    let huge = format!("# {}\n", "x".repeat(1024 * 1024));
    assert!(matches!(load_with(Some(&huge), &[], &[]), Err(Error::FileTooLarge { .. })));
}

#[test]
fn a_file_that_is_missing_is_an_error() {
    let args = ConfigArgs { config: Some("/nonexistent/nsl.toml".into()), ..ConfigArgs::default() };
    assert!(matches!(load::<Config>(DEFAULTS, &args, []), Err(Error::ReadFile { .. })));
}

#[test]
fn the_printed_configuration_loads_again_to_the_same_values() {
    let first = load_with(None, &[("NSL__BUS__RETRIES", "5")], &["bus.topics=[\"x\", \"y\"]"]).unwrap();
    let again = load_with(Some(&first.print()), &[], &[]).unwrap();
    assert_eq!(first.config, again.config);
    assert!(first.print().contains("bus.retries = 5 # environment NSL__BUS__RETRIES\n"), "{}", first.print());
}

#[test]
fn the_printed_configuration_hides_secrets() {
    let loaded =
        load_with(None, &[("NSL__BUS__PASSWORD", "hunter2")], &["bus.url=nats://u:hunter2@h"]).unwrap();
    assert!(!loaded.print().contains("hunter2"), "{}", loaded.print());
    assert!(!format!("{loaded:?}").contains("Secret(\"hunter2"));
}

#[test]
fn an_empty_section_exists_and_replaces_nothing() {
    #[derive(Debug, Deserialize)]
    struct Only {
        empty: std::collections::BTreeMap<String, u8>,
    }
    assert!(load::<Only>("[empty]", &ConfigArgs::default(), []).unwrap().config.empty.is_empty());
    assert_eq!(load_with(Some("[bus]"), &[], &[]).unwrap().config.bus.retries, 3);
}
