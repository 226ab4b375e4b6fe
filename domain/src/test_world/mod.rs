//! One log, one tenant and their keys, for the tests of every aggregate.

mod life;

use std::sync::Arc;

use nsl_schemas::authority::{GenesisManifest, Operators, Quorum, SealingProvider};
use nsl_schemas::bytes::Sha256;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::token::{AggregateId, Tenant};
use nsl_verify::attestation::TrustRoot;
use uuid::Uuid;

use crate::decision::{Facts, Genesis, Order};

pub(crate) use life::{
    CHANGE, CREATE, Life, TRANSFER, birth, neo_key, next_policy, outcome_of, policy, policy_change, refused,
    sealed, sign, transfer, worker_key,
};

/// When everything is decided.
pub(crate) const NOW_MS: u64 = 1_750_000_000_000;

/// How long workers have to sign a transfer.
pub(crate) const SIGNING_MS: u64 = 3_600_000;

/// Makes one thing wrong in what is right otherwise.
pub(crate) type Alter<T> = fn(&mut T);

/// The signing key of this number.
pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

/// The public keys of these numbers, of which `threshold` must sign.
pub(crate) fn quorum(threshold: u8, numbers: &[u8]) -> Quorum {
    Quorum { threshold, keys: numbers.iter().map(|number| key(*number).public()).collect() }
}

/// A log whose quorum is two of the keys 1, 2 and 3.
pub(crate) fn genesis() -> Arc<Genesis> {
    let manifest = GenesisManifest {
        log_origin: "test".into(),
        quorum: quorum(2, &[1, 2, 3]),
        attestation_root_sha256: Sha256(TrustRoot::aws_nitro().sha256()),
        builds: vec![],
        sealing_provider: SealingProvider::Development,
        created_at_ms: 1,
    };
    Arc::new(Genesis { sha256: manifest.sha256(), manifest, trust_root: TrustRoot::aws_nitro() })
}

/// The tenant of the tests.
pub(crate) fn acme() -> Tenant {
    Tenant::parse("acme").unwrap()
}

/// The aggregate of this id.
pub(crate) fn id(text: &str) -> AggregateId {
    AggregateId::parse(text).unwrap()
}

/// What stands for the hash of a signed request.
pub(crate) fn request_sha256(command_id: Uuid) -> Sha256 {
    Sha256::of(command_id.as_bytes())
}

/// A command to an aggregate of the tenant; outcomes in it are a registered worker's.
pub(crate) fn order<C>(id: AggregateId, command_id: Uuid, body: C) -> Order<C> {
    Order {
        tenant: acme(),
        id,
        command_id,
        request_sha256: request_sha256(command_id),
        issued_at_ms: NOW_MS,
        now_ms: NOW_MS,
        body,
        facts: Facts {
            operators: Arc::new(Operators::of_genesis(&genesis().manifest)),
            genesis: genesis(),
            worker_is_registered: true,
            signing_ms: SIGNING_MS,
        },
    }
}
