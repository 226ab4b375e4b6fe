//! The life of a secret.

use nsl_schemas::bytes::HpkeKey;
use nsl_schemas::event::secret::{
    Destroyed, EndCause, ReadersChangeRequested, RequestEnded, RequestRefused, RevealRequested, Revealed,
    Sealed, SecretEvent, StoreRequested,
};
use nsl_schemas::number::UnixMs;
use nsl_schemas::secret::{SecretDestruction, SecretPolicy, SecretReading};
use nsl_schemas::token::AggregateId;

use super::lives::{outcome, quorum, refusal, sealed_key, signed, tenant};
use super::values::Extent;

/// Stored, given to other readers, read, and destroyed.
pub(super) fn secret(extent: Extent) -> [SecretEvent; 8] {
    let (request_id, request_sha256) = (extent.uuid(), extent.sha256("request"));
    let answer_by_ms = UnixMs(extent.u64(1_750_000_000_000));
    let policy = || SecretPolicy { owners: quorum(extent), readers: quorum(extent) };
    let version = extent.u32(1);
    [
        StoreRequested { answer_by_ms, policy: policy(), request_id, request_sha256, version }.into(),
        ReadersChangeRequested { answer_by_ms, policy: policy(), request_id, request_sha256, version }.into(),
        Sealed { outcome: outcome(extent), policy: policy(), request_id, sealed_secret: sealed_key(extent) }
            .into(),
        RevealRequested {
            answer_by_ms,
            reading: signed(extent, reading(extent, &policy())),
            request_id,
            request_sha256,
        }
        .into(),
        Revealed {
            document: extent.bytes(b"a COSE_Sign1 document"),
            message: extent.bytes(&[8; 112]),
            outcome: outcome(extent),
            request_id,
        }
        .into(),
        RequestRefused { refusal: refusal(extent), request_id }.into(),
        RequestEnded {
            cause: extent.of(EndCause::Expired, EndCause::Expired, EndCause::Destroyed),
            request_id,
        }
        .into(),
        Destroyed { destruction: signed(extent, destruction(extent)), request_id }.into(),
    ]
}

fn name(extent: Extent) -> AggregateId {
    AggregateId::parse(&extent.token("api-key")).expect("tokens of samples are tokens")
}

fn reading(extent: Extent, policy: &SecretPolicy) -> SecretReading {
    SecretReading {
        expires_at_ms: extent.time_ms(),
        genesis_sha256: extent.sha256("genesis"),
        policy_sha256: policy.sha256(),
        recipient: HpkeKey(extent.sha256("recipient").0),
        request_id: extent.uuid(),
        secret: name(extent),
        tenant: tenant(extent),
        version: extent.u32(1),
    }
}

fn destruction(extent: Extent) -> SecretDestruction {
    SecretDestruction {
        genesis_sha256: extent.sha256("genesis"),
        secret: name(extent),
        tenant: tenant(extent),
    }
}
