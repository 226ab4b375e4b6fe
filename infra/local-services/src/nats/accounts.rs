//! The server's accounts: one for the service, which holds every stream, and one for each tenant. A tenant's account
//! has no JetStream; it sees of the service what is exported to it, and nothing of another tenant.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::users::{USERS, User};

/// The account of the service itself.
const SERVICE_ACCOUNT: &str = "NSL";
/// Connections of one tenant: many processes of an application, and far from what the server bears.
const TENANT_CONNECTIONS_MAX: u32 = 1_000;
/// Subscriptions of one connection of a tenant: a command under way needs two.
const TENANT_SUBSCRIPTIONS_MAX: u32 = 100_000;
/// Bytes of one message of a tenant: the largest command payload with its headers has room four times over.
const TENANT_MESSAGE_BYTES_MAX: u32 = 1024 * 1024;

/// What a tenant asks of the service: exported as services, so that acknowledgements and answers find back.
fn asked(tenant: &str) -> [String; 4] {
    [
        format!("nsl.v1.cmd.{tenant}.>"),
        format!("nsl.v1.qry.{tenant}.>"),
        format!("$JS.API.DIRECT.GET.NSL_RES.nsl.v1.res.{tenant}.*"),
        format!("$JS.API.DIRECT.GET.NSL_RES.nsl.v1.ref.{tenant}.*"),
    ]
}

/// What a tenant alone hears.
fn heard(tenant: &str) -> [String; 3] {
    ["res", "ref", "evt"].map(|kind| format!("nsl.v1.{kind}.{tenant}.>"))
}

/// What every tenant asks.
const ASKED_BY_ALL: &str = "$JS.API.DIRECT.GET.NSL_PRICE.nsl.v1.price.*";
/// What every tenant hears.
const HEARD_BY_ALL: &str = "nsl.v1.price.>";

/// The account of a tenant.
fn account(tenant: &str) -> String {
    format!("TENANT-{tenant}")
}

/// The user of a tenant's account.
pub(super) fn tenant_user(tenant: &str) -> String {
    format!("tenant-{tenant}")
}

/// The accounts with their users.
pub(super) fn accounts(tenants: &[String], passwords: &BTreeMap<String, String>) -> Value {
    let mut accounts = Map::new();
    accounts.insert(SERVICE_ACCOUNT.into(), service_account(tenants, passwords));
    for tenant in tenants {
        accounts.insert(account(tenant), tenant_account(tenant, passwords));
    }
    accounts.into()
}

fn service_account(tenants: &[String], passwords: &BTreeMap<String, String>) -> Value {
    let mut exports = vec![json!({ "service": ASKED_BY_ALL }), json!({ "stream": HEARD_BY_ALL })];
    for tenant in tenants {
        let only = [account(tenant)];
        exports.extend(asked(tenant).map(|subject| json!({ "service": subject, "accounts": only })));
        exports.extend(heard(tenant).map(|subject| json!({ "stream": subject, "accounts": only })));
    }
    let users: Vec<Value> = USERS
        .iter()
        .map(|user| service_user(user, passwords.get(user.name).map_or("", String::as_str)))
        .collect();
    json!({ "jetstream": "enabled", "users": users, "exports": exports })
}

fn service_user(user: &User, password: &str) -> Value {
    // An inbox of its own: with a shared one, each service could read what the others are answered.
    let inbox = format!("_INBOX.{}.>", user.name);
    let subscribe: Vec<&str> = user.subscribe.iter().copied().chain([inbox.as_str()]).collect();
    let keeping =
        |stream: &&str| ["INFO", "CREATE", "UPDATE"].map(|verb| format!("$JS.API.STREAM.{verb}.{stream}"));
    let publish: Vec<String> =
        user.publish.iter().map(ToString::to_string).chain(user.keeps.iter().flat_map(keeping)).collect();
    json!({
        "user": user.name,
        "password": password,
        "permissions": {
            "publish": { "allow": publish },
            "subscribe": { "allow": subscribe },
            "allow_responses": user.answers,
        },
    })
}

fn tenant_account(tenant: &str, passwords: &BTreeMap<String, String>) -> Value {
    let user = tenant_user(tenant);
    let import =
        |kind: &str, subject: &str| json!({ kind: { "account": SERVICE_ACCOUNT, "subject": subject } });
    let asked: Vec<String> = asked(tenant).into_iter().chain([ASKED_BY_ALL.to_owned()]).collect();
    let heard: Vec<String> = heard(tenant).into_iter().chain([HEARD_BY_ALL.to_owned()]).collect();
    let services = asked.iter().map(|subject| import("service", subject));
    let imports: Vec<Value> = services.chain(heard.iter().map(|subject| import("stream", subject))).collect();
    // Any inbox: the account has nobody else's.
    let subscribe: Vec<&str> = heard.iter().map(String::as_str).chain(["_INBOX.>"]).collect();
    json!({
        "users": [{
            "user": user,
            "password": passwords.get(&user),
            "permissions": { "publish": { "allow": asked }, "subscribe": { "allow": subscribe } },
        }],
        "imports": imports,
        "limits": {
            "max_connections": TENANT_CONNECTIONS_MAX,
            "max_subscriptions": TENANT_SUBSCRIPTIONS_MAX,
            "max_payload": TENANT_MESSAGE_BYTES_MAX,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exported_to_a_tenant_names_that_tenant() {
        let tenants = ["acme".to_owned(), "other".to_owned()];
        let accounts = accounts(&tenants, &BTreeMap::new());
        for export in accounts[SERVICE_ACCOUNT]["exports"].as_array().unwrap() {
            let subject = export["service"].as_str().or(export["stream"].as_str()).unwrap();
            match export["accounts"].as_array() {
                Some(only) => {
                    assert_eq!(only.len(), 1);
                    let tenant = only[0].as_str().unwrap().strip_prefix("TENANT-").unwrap();
                    assert!(subject.contains(&format!(".{tenant}.")), "{subject} to {tenant}");
                }
                None => assert!([ASKED_BY_ALL, HEARD_BY_ALL].contains(&subject), "{subject} to all"),
            }
        }
        for tenant in ["acme", "other"] {
            assert!(accounts[account(tenant)].get("jetstream").is_none());
        }
    }
}
