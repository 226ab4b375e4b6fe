//! Signed outcomes of a worker, and what a birth certificate's document carries.

use nsl_schemas::authority::Quorum;
use nsl_schemas::bytes::Base64;
use nsl_schemas::envelope::statement_bytes;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::outcome::{
    BIRTH_TAG, BirthStatement, JobResult, OUTCOME_TAG, SealedKey, SignedOutcome, post_state_sha256,
};
use nsl_schemas::token::AggregateId;
use nsl_schemas::{canonical, ids};
use serde_json::{Value, json};

use super::{COMMAND_ID, OWNER_SEED, WORKER_SEED, authority, commands, key, policy, tenant, transfers};

pub(super) fn document() -> Value {
    let sealed_key = SealedKey {
        sealing_key_id: "vectors".to_owned(),
        version: 1,
        nonce: Base64(vec![7; 12]),
        ciphertext: Base64(vec![8; 48]),
    };
    let signed = JobResult::TransferSigned {
        tx_hash: transfers::unsigned().hash().to_string(),
        signature: Base64(vec![9; 64]),
    };
    let refused = JobResult::Refused {
        code: "worker_policy_denied".to_owned(),
        message: "amount is above the bound".to_owned(),
    };
    json!({
        "about": "Signed bytes are 0xFF, the tag behind its length as a big-endian u32, then the statement's \
            canonical JSON. The delivering command's id is the UUID of version 5 from namespace job id and, as name, the \
            32 bytes of the SHA-256 of the outcome's canonical JSON. The sealed key and the transaction's signature are placeholders.",
        "worker": key(&WORKER_SEED),
        "cases": [case(signed, Some(&sealed_key)), case(refused, None)],
        "birth": birth(),
    })
}

fn case(result: JobResult, sealed_key: Option<&SealedKey>) -> Value {
    let request_sha256 = commands::request_transfer().envelope.request_sha256();
    let job_id = ids::job_id(ids::event_id(COMMAND_ID, 0));
    let worker = SigningKey::from_seed(&WORKER_SEED);
    let outcome = SignedOutcome::sign(&worker, job_id, request_sha256, result, sealed_key);
    json!({
        "tag": OUTCOME_TAG,
        "sealed_key": sealed_key,
        "post_state_sha256": post_state_sha256(sealed_key),
        "result_canonical": canonical::to_string(&outcome.result),
        "statement_canonical": canonical::to_string(&outcome.statement),
        "signed_bytes_hex": hex::encode(statement_bytes(OUTCOME_TAG, &outcome.statement)),
        "command_id": ids::outcome_command_id(job_id, &outcome),
        "outcome": outcome,
    })
}

fn birth() -> Value {
    let statement = BirthStatement {
        genesis_sha256: authority::manifest().statement.sha256(),
        tenant: tenant(),
        wallet: AggregateId::parse("main").expect("four lower-case letters are a token"),
        command_id: COMMAND_ID,
        public_key: transfers::PUBLIC_KEY.to_owned(),
        policy_sha256: policy().sha256(),
        owners: Quorum { threshold: 1, keys: vec![SigningKey::from_seed(&OWNER_SEED).public()] },
    };
    json!({
        "tag": BIRTH_TAG,
        "statement": statement,
        "canonical": canonical::to_string(&statement),
        "hashed_bytes_hex": hex::encode(statement_bytes(BIRTH_TAG, &statement)),
        "user_data": statement.user_data(),
    })
}
