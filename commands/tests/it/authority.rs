//! Operators who hand over to a quorum of two of three, and what counts then.

use nsl_client::SendError;
use nsl_client::authority::{self, GrantTerms};
use nsl_client::statement::{Delivery, Unsigned};
use nsl_schemas::authority::{GrantRevocation, OperatorAct, Operators, Quorum};
use nsl_schemas::errors;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::number::PriceE8;
use nsl_schemas::price::FeedRules;
use nsl_schemas::token::Tenant;
use serde_json::Value;
use uuid::Uuid;

use crate::world::{World, acme, app_key, key, until, with_world};

/// 2100-01-01.
const FAR_MS: u64 = 4_102_444_800_000;
const TENANT_ROOT: u8 = 3;

/// Delivers a statement with the signatures of these keys; the code of a no.
async fn deliver(
    world: &World,
    operators: &Operators,
    statement: &Unsigned,
    signers: &[u8],
) -> Result<(), String> {
    let signatures = signers.iter().map(|number| statement.sign(&key(*number))).collect();
    // What is not signed as it must be is not sent by an honest client; here it is.
    let payload = match statement.clone().deliver(signatures, operators) {
        Ok(Delivery { payload, .. }) => payload,
        Err(_) => forced(statement, signers),
    };
    let payload: Value = serde_json::from_str(&payload).unwrap();
    let subject = statement.subject().to_string();
    code(world.send(&world.client(app_key()), Uuid::now_v7(), &subject, &payload).await.map(drop))
}

/// The payload that an honest client would not send.
fn forced(statement: &Unsigned, signers: &[u8]) -> String {
    let signatures: Vec<_> = signers.iter().map(|number| statement.sign(&key(*number))).collect();
    let (member, statement) = match statement {
        Unsigned::TenantRoot(statement) => ("root", serde_json::to_value(statement).unwrap()),
        Unsigned::OperatorAct(statement) => ("act", serde_json::to_value(statement).unwrap()),
        other => panic!("{other:?}"),
    };
    serde_json::json!({ member: { "statement": statement, "signatures": signatures } }).to_string()
}

fn code(sent: Result<(), SendError>) -> Result<(), String> {
    match sent {
        Ok(()) => Ok(()),
        Err(SendError::Rejected { code, .. } | SendError::Refused { code, .. }) => Err(code),
        Err(error) => panic!("{error}"),
    }
}

fn act(operators: &Operators, act: OperatorAct) -> Unsigned {
    Unsigned::OperatorAct(operators.next(act, 1))
}

fn root(operators: &Operators) -> Unsigned {
    Unsigned::TenantRoot(authority::tenant_root(operators, &acme(), key(TENANT_ROOT).public(), 1))
}

fn keys(numbers: &[u8]) -> Vec<nsl_schemas::nkey::PublicKey> {
    numbers.iter().map(|number| key(*number).public()).collect()
}

/// Anything that only a grant allows.
async fn register_feed(world: &World, issuer: SigningKey) -> Result<(), String> {
    let rules = FeedRules {
        sources_min: 1,
        age_max_ms: 10_000,
        deviation_floor_bps: 100,
        price_min_e8: PriceE8(1),
        price_max_e8: PriceE8(1_000_000),
    };
    let subject = format!("nsl.v1.cmd.acme.price-feed.{}.register", Uuid::now_v7().simple());
    let payload = serde_json::json!({ "rules": rules });
    code(world.send(&world.client(issuer), Uuid::now_v7(), &subject, &payload).await.map(drop))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_operators_act_and_one_alone_or_a_former_one_does_not() {
    with_world(async |world| {
        let _service = world.start(FAR_MS);
        let denied = || Err(errors::NOT_AUTHORISED.code.to_owned());
        let mut operators = Operators::of_genesis(world.manifest());
        let handover = act(
            &operators,
            OperatorAct::ReplaceQuorum {
                quorum: Quorum { threshold: 2, keys: keys(&[11, 12, 13]) },
                voids_roots: false,
            },
        );
        assert_eq!(deliver(world, &operators, &handover, &[11, 12]).await, denied());
        let without_the_new = deliver(world, &operators, &handover, &[1]).await;
        assert_eq!(without_the_new, Err(errors::STATEMENT_INVALID.code.to_owned()));
        let stale_root = root(&operators);
        deliver(world, &operators, &handover, &[1, 11, 13]).await.unwrap();
        let Unsigned::OperatorAct(statement) = &handover else { panic!() };
        operators.apply(statement);

        let repeated = deliver(world, &operators, &handover, &[1, 11, 13]).await;
        assert_eq!(repeated, Err(errors::STATEMENT_INVALID.code.to_owned()), "an act is done once");
        assert_eq!(deliver(world, &operators, &stale_root, &[1]).await, denied(), "the former quorum");
        let named = root(&operators);
        for signers in [&[1][..], &[11], &[11, 11], &[11, 1]] {
            assert_eq!(deliver(world, &operators, &named, signers).await, denied(), "{signers:?}");
        }
        deliver(world, &operators, &named, &[12, 13]).await.unwrap();
        let revoke = act(&operators, OperatorAct::RevokeWorker { key: key(8).public() });
        assert_eq!(deliver(world, &operators, &revoke, &[13]).await, denied());
        deliver(world, &operators, &revoke, &[13, 11]).await.unwrap();
        assert_eq!(world.events("worker-revoked").await, 1);
        assert_eq!(world.events("quorum-replaced").await, 1);

        granted_then_revoked(world, &operators).await;
    })
    .await;
}

/// The tenant's root lets a key issue commands and takes that back.
async fn granted_then_revoked(world: &World, operators: &Operators) {
    let tenant: Tenant = acme();
    assert_eq!(register_feed(world, app_key()).await, Err(errors::NOT_AUTHORISED.code.to_owned()));
    let terms = GrantTerms {
        key: app_key().public(),
        label: "test".into(),
        scopes: vec![authority::parse_scope("price-feed/*/register").unwrap()],
        not_before_ms: 1,
        expires_at_ms: FAR_MS,
    };
    let grant = Unsigned::IssuerGrant(authority::issuer_grant(world.manifest(), &tenant, terms).unwrap());
    deliver(world, operators, &grant, &[TENANT_ROOT]).await.unwrap();
    register_feed(world, app_key()).await.unwrap();
    let revocation = Unsigned::GrantRevocation(GrantRevocation {
        genesis_sha256: operators.genesis_sha256(),
        key: app_key().public(),
        revoked_at_ms: 2,
        tenant,
    });
    deliver(world, operators, &revocation, &[TENANT_ROOT]).await.unwrap();
    until("the revocation counts", async || {
        (register_feed(world, app_key()).await == Err(errors::NOT_AUTHORISED.code.to_owned())).then_some(())
    })
    .await;
    let again = deliver(world, operators, &grant, &[TENANT_ROOT]).await;
    assert_eq!(again, Err(errors::STATEMENT_INVALID.code.to_owned()), "what was revoked stays so");
}
