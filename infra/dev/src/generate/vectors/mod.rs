//! `vectors/`: worked examples of every byte that is hashed or signed, so that another language can test its own.
//!
//! Everything follows from seeds that are written down here: Ed25519 signatures are deterministic, so the files are.

pub(super) mod authority;
mod canonical_json;
mod commands;
mod ids;
mod outcomes;
mod policy_change;
pub(super) mod transfers;

use nsl_schemas::authority::{Quorum, Signed, Statement};
use nsl_schemas::envelope::statement_bytes;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::number::{Amount, Datoshi};
use nsl_schemas::policy::{AssetRule, Policy, Rules};
use nsl_schemas::token::Tenant;
use nsl_schemas::{canonical, command};
use serde_json::{Value, json};
use uuid::Uuid;

/// Seeds of 32 equal bytes. The keys are public: nothing of worth may ever rest on them.
const QUORUM_SEED: [u8; 32] = [1; 32];
const ROOT_SEED: [u8; 32] = [2; 32];
const ISSUER_SEED: [u8; 32] = [3; 32];
const WORKER_SEED: [u8; 32] = [4; 32];
const OWNER_SEED: [u8; 32] = [5; 32];

/// 2026-01-01T00:00:00Z, when everything here was issued.
pub(super) const ISSUED_AT_MS: u64 = 1_767_225_600_000;
/// Five minutes later.
const EXPIRES_AT_MS: u64 = ISSUED_AT_MS + 300_000;

/// A UUID of version 7 at [`ISSUED_AT_MS`].
pub(super) const COMMAND_ID: Uuid = Uuid::from_u128(0x019b_76da_a800_7000_8000_0000_0000_0001);

pub(super) const NETWORK_MAGIC: u32 = 860_833_102;
pub(super) const GAS: &str = "0xd2a4cff31913016155e38e474a2c06d08be276cf";
/// The zero script hash as an address: whom it pays, nobody can.
pub(super) const RECIPIENT: &str = "NKuyBkoGdZZSLyPbJEetheRhMjeznFZszf";

/// Every file's name and document.
pub(super) fn all() -> [(&'static str, Value); 7] {
    [
        ("authority", authority::document()),
        ("canonical-json", canonical_json::document()),
        ("commands", commands::document()),
        ("ids", ids::document()),
        ("outcomes", outcomes::document()),
        ("policy-change", policy_change::document()),
        ("transfers", transfers::document()),
    ]
}

/// A key with its seed in both texts.
fn key(seed: &[u8; 32]) -> Value {
    json!({
        "seed_hex": hex::encode(seed),
        "seed": *SigningKey::seed_text(seed),
        "public_key": SigningKey::from_seed(seed).public(),
    })
}

/// What is signed of a statement, and by whom.
fn statement<T: Statement>(signed: &Signed<T>) -> Value {
    json!({
        "tag": T::TAG,
        "canonical": canonical::to_string(&signed.statement),
        "sha256": canonical::sha256(&signed.statement),
        "signed_bytes_hex": hex::encode(statement_bytes(T::TAG, &signed.statement)),
        "signed": signed,
    })
}

fn tenant() -> Tenant {
    Tenant::parse("acme").expect("four lower-case letters are a token")
}

pub(super) fn policy() -> Policy {
    Policy {
        owners: Quorum { threshold: 1, keys: vec![SigningKey::from_seed(&OWNER_SEED).public()] },
        network_magic: NETWORK_MAGIC,
        assets: vec![AssetRule { asset: GAS.to_owned(), amount_max: Amount(1_000_000_000) }],
        recipients: None,
        fee_max_datoshi: Datoshi(20_000_000),
        rules: Rules::default(),
    }
}

pub(super) fn transfer() -> command::wallet::RequestTransfer {
    command::wallet::RequestTransfer {
        network_magic: NETWORK_MAGIC,
        asset: GAS.to_owned(),
        to: RECIPIENT.to_owned(),
        amount: Amount(150_000_000),
        system_fee_datoshi: Datoshi(997_775),
        network_fee_datoshi: Datoshi(122_862),
        valid_until_block: 5_760,
    }
}
