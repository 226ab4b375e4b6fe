//! Sealing keys: orders, shares and documents of the parent's own, in place of those of operators, custodians and workers.

use anyhow::Result;
use nsl_enclave_protocol::{Request, Response};
use nsl_enclave_worker::nsm::AttestationRequest;
use nsl_schemas::authority::Signed;
use nsl_schemas::bytes::{Base64, HpkeKey, Sha256};
use nsl_schemas::sealing::{
    Custodian, PROVISIONING_KEY, SHARE_TO_CUSTODIAN, SHARE_TO_WORKER, SealingAnswer, SealingOrder,
    SealingRecord, SealingRequest,
};
use nsl_test_site::{OPERATOR, key};
use nsl_verify::attestation::{self, VerifyTime};
use nsl_verify::hpke;
use zeroize::Zeroizing;

use super::{ANY, attack, control, refused};
use crate::matrix::{Attack, Finding};
use crate::parent::{PARENT, Parent, STRANGER};
use crate::worker::Worker;

const FOUNDING: &str = "enclave-worker/src/sealing/founding.rs";
const PROVISIONING: &str = "enclave-worker/src/sealing/provisioning.rs";
const FORWARDING: &str = "enclave-worker/src/sealing/forwarding.rs";
const RECORD: &str = "sealing_record_invalid";
const SHARE: &str = "sealing_share_invalid";
const ATTESTATION: &str = "attestation_invalid";
/// What forwarded keys are sealed for.
const KEYS_TO_WORKER: &[u8] = b"nsl-sealing-keys-to-worker-v1";

/// An order to found a key.
macro_rules! ordered {
    ($name:literal, $alter:expr) => {
        attack!($name, ANY, refused(RECORD, FOUNDING), async |parent: &Parent, _| {
            let order = $alter(parent, order(parent));
            Ok(Finding::of_worker(&parent.worker().sealing(SealingRequest::Found { order }).await?))
        })
    };
}

/// The second share of two, carried to a worker.
macro_rules! carried {
    ($name:literal, $by:expr, $alter:expr) => {
        attack!($name, ANY, refused($by, PROVISIONING), async |parent: &Parent, _| {
            let mut carried = Carried::sound(parent).await?;
            let altered: Result<()> = $alter(parent, &mut carried).await;
            altered?;
            carried.given(parent).await
        })
    };
}

/// A document with which the parent asks a worker for its keys.
macro_rules! asked {
    ($name:literal, $document:expr) => {
        attack!($name, ANY, refused(ATTESTATION, FORWARDING), async |parent: &Parent, _| {
            let giver = provisioned(parent).await?;
            let document: Result<Base64> = $document(parent, &giver).await;
            let document = document?;
            Ok(Finding::of_worker(&giver.sealing(SealingRequest::Forward { document }).await?))
        })
    };
}

/// Keys that the parent gives to a worker: a document and a message.
macro_rules! given {
    ($name:literal, $forged:expr) => {
        attack!($name, ANY, refused(ATTESTATION, FORWARDING), async |parent: &Parent, _| {
            let (giver, taker) = (provisioned(parent).await?, parent.another_worker().await?);
            let forged: Result<(Base64, Base64)> = $forged(parent, &giver, &taker).await;
            let (document, message) = forged?;
            Ok(Finding::of_worker(&taker.sealing(SealingRequest::Accept { document, message }).await?))
        })
    };
}

pub(super) const ATTACKS: &[Attack] = &[
    control!("an order of the operators'", ANY, "an answer", FOUNDING, async |parent: &Parent, _| {
        let order = Signed::sign(order(parent), &[&key(OPERATOR)]);
        Ok(Finding::of_worker(&parent.worker().sealing(SealingRequest::Found { order }).await?))
    }),
    ordered!("an order of the parent's own", |_: &Parent, order: SealingOrder| Signed::sign(
        order,
        &[&key(PARENT)]
    )),
    ordered!("an order without signature", |_: &Parent, order: SealingOrder| Signed::sign(order, &[])),
    ordered!("an order that puts the parent among the custodians", |_: &Parent, order: SealingOrder| {
        let mut order = Signed::sign(order, &[&key(OPERATOR)]);
        order.statement.custodians[0].key = HpkeKey(custodian(9).public());
        order
    }),
    ordered!("an order for another log", |_: &Parent, order: SealingOrder| {
        Signed::sign(SealingOrder { genesis_sha256: Sha256([9; 32]), ..order }, &[&key(OPERATOR)])
    }),
    ordered!("an order whose quorum is not the present one", |_: &Parent, order: SealingOrder| {
        Signed::sign(SealingOrder { quorum_epoch: 1, ..order }, &[&key(OPERATOR)])
    }),
    control!(
        "two shares as custodians sent them",
        ANY,
        "an answer",
        PROVISIONING,
        async |parent: &Parent, _| { Carried::sound(parent).await?.given(parent).await }
    ),
    carried!("the share is altered", SHARE, async |_: &Parent, carried: &mut Carried| {
        carried.share[7] ^= 1;
        Ok(())
    }),
    carried!("the share is given another number", SHARE, async |_: &Parent, carried: &mut Carried| {
        carried.share[0] = 3;
        Ok(())
    }),
    carried!("one custodian's share in another's name", SHARE, async |_: &Parent, carried: &mut Carried| {
        carried.custodian = 3;
        Ok(())
    }),
    carried!(
        "a share in the name of nobody in the record",
        SHARE,
        async |_: &Parent, carried: &mut Carried| {
            carried.custodian = 9;
            Ok(())
        }
    ),
    carried!("a share of another key", SHARE, async |parent: &Parent, carried: &mut Carried| {
        carried.share = share_of(&found(parent).await?, 2)?;
        Ok(())
    }),
    carried!(
        "a share that was sealed to another worker",
        SHARE,
        async |parent: &Parent, carried: &mut Carried| {
            carried.recipient = Some(proven_key(parent, &parent.workers[1]).await?);
            Ok(())
        }
    ),
    carried!("a record that lowers the threshold", RECORD, async |_: &Parent, carried: &mut Carried| {
        carried.record.statement.order.statement.threshold = 1;
        Ok(())
    }),
    carried!("a record that names another key", ATTESTATION, async |_: &Parent, carried: &mut Carried| {
        carried.record.statement.key_id = "0123456789abcdef".into();
        Ok(())
    }),
    carried!(
        "a record with another record's document",
        ATTESTATION,
        async |parent: &Parent, carried: &mut Carried| {
            carried.record.document = found(parent).await?.document;
            Ok(())
        }
    ),
    carried!(
        "a record that the parent's program attested",
        ATTESTATION,
        async |parent: &Parent, carried: &mut Carried| {
            let user_data = Some(carried.record.statement.user_data().0.to_vec());
            let request = AttestationRequest { user_data, ..AttestationRequest::default() };
            carried.record.document = parent.document(STRANGER, parent.site.sha256(), request)?;
            Ok(())
        }
    ),
    control!(
        "a worker that answers the giver's challenge",
        ANY,
        "an answer",
        FORWARDING,
        async |parent: &Parent, _| {
            let (giver, taker) = (provisioned(parent).await?, parent.another_worker().await?);
            let document = attested(&taker, challenge(&giver).await?).await?;
            Ok(Finding::of_worker(&giver.sealing(SealingRequest::Forward { document }).await?))
        }
    ),
    asked!("a worker's document that answers another challenge", async |parent: &Parent, _: &Worker| {
        attested(parent.worker(), Base64(vec![1; 32])).await
    }),
    asked!("an answer that was used before", async |parent: &Parent, giver: &Worker| {
        let document = attested(parent.worker(), challenge(giver).await?).await?;
        giver.sealing_answer(SealingRequest::Forward { document: document.clone() }).await?;
        Ok(document)
    }),
    asked!("a worker's document for another purpose", async |parent: &Parent, giver: &Worker| {
        let nonce = challenge(giver).await?;
        match parent.worker().ask(&Request::Register { nonce }).await? {
            Response::Registration { attestation, .. } => Ok(attestation),
            other => anyhow::bail!("{other:?}"),
        }
    }),
    asked!("the parent's program on the same hardware", async |parent: &Parent, giver: &Worker| {
        parent.document(STRANGER, parent.site.sha256(), of_parent(challenge(giver).await?))
    }),
    asked!("an allowed build that obeys the parent's manifest", async |parent: &Parent, giver: &Worker| {
        parent.document(parent.build(), Sha256([9; 32]), of_parent(challenge(giver).await?))
    }),
    control!("keys that a worker forwarded", ANY, "an answer", FORWARDING, async |parent: &Parent, _| {
        let (giver, taker) = (provisioned(parent).await?, parent.another_worker().await?);
        let (document, message) = forwarded(&giver, &taker).await?;
        Ok(Finding::of_worker(&taker.sealing(SealingRequest::Accept { document, message }).await?))
    }),
    given!(
        "a key of the parent's, with the giver's document",
        async |parent: &Parent, giver: &Worker, taker: &Worker| {
            let (document, _) = forwarded(giver, taker).await?;
            Ok((document, own_key(parent, taker).await?))
        }
    ),
    given!(
        "a key of the parent's, with a document that the giver made for others",
        async |parent: &Parent, giver: &Worker, taker: &Worker| {
            let recipient = proven_key(parent, taker).await?;
            let document = attested(giver, Base64(recipient.to_vec())).await?;
            Ok((document, own_key(parent, taker).await?))
        }
    ),
    given!(
        "a key of the parent's, attested by its own program",
        async |parent: &Parent, _: &Worker, taker: &Worker| {
            let (message, recipient) = (own_key(parent, taker).await?, proven_key(parent, taker).await?);
            let tagged = [b"nsl-sealing-keys-v1".as_slice(), &message.0].concat();
            let request = AttestationRequest {
                user_data: Some(Sha256::of(&tagged).0.to_vec()),
                nonce: Some(recipient.to_vec()),
                ..AttestationRequest::default()
            };
            Ok((parent.document(STRANGER, parent.site.sha256(), request)?, message))
        }
    ),
    given!(
        "keys that were forwarded to another worker",
        async |parent: &Parent, giver: &Worker, _: &Worker| { forwarded(giver, &parent.workers[1]).await }
    ),
    given!(
        "keys for this worker, with a document for another",
        async |parent: &Parent, giver: &Worker, taker: &Worker| {
            let (_, message) = forwarded(giver, taker).await?;
            Ok((forwarded(giver, &parent.workers[1]).await?.0, message))
        }
    ),
];

fn custodian(number: u8) -> hpke::PrivateKey {
    hpke::PrivateKey::from_secret(Zeroizing::new([100 + number; 32])).expect("32 bytes that are a key")
}

/// Two of three custodians, 1 to 3.
fn order(parent: &Parent) -> SealingOrder {
    let named = |number: u8| Custodian {
        key: HpkeKey(custodian(number).public()),
        name: format!("custodian {number}"),
    };
    SealingOrder {
        custodians: (1..=3).map(named).collect(),
        epoch: 1,
        genesis_sha256: parent.site.sha256(),
        issued_at_ms: 1,
        quorum_epoch: 0,
        threshold: 2,
    }
}

async fn found(parent: &Parent) -> Result<SealingRecord> {
    let order = Signed::sign(order(parent), &[&key(OPERATOR)]);
    match parent.worker().sealing_answer(SealingRequest::Found { order }).await? {
        SealingAnswer::Founded { record } => Ok(record),
        other => anyhow::bail!("{other:?}"),
    }
}

/// The share as its custodian decrypts it.
fn share_of(record: &SealingRecord, number: u8) -> Result<Zeroizing<Vec<u8>>> {
    let (order, place) = (&record.statement.order.statement, usize::from(number) - 1);
    let message = &record.statement.shares[place].message;
    Ok(custodian(number).open(SHARE_TO_CUSTODIAN, &order.sha256().0, &message.0)?)
}

/// The key that a worker proves to be its own, as a custodian checks it.
async fn proven_key(parent: &Parent, worker: &Worker) -> Result<[u8; 32]> {
    let document = attested(worker, Base64(vec![5; 32])).await?;
    let builds = [parent.build()];
    let expectation = attestation::Expectation::of_manifest(builds, parent.site.sha256().0);
    let expectation = expectation.answering(vec![5; 32]);
    let document = attestation::verify(&document.0, &expectation, &parent.trust, VerifyTime::Document)?;
    let key = document.public_key.and_then(|key| key.try_into().ok());
    key.ok_or_else(|| anyhow::anyhow!("the document carries no key"))
}

/// A share on its way to a worker that has the one before.
struct Carried {
    worker: Worker,
    record: SealingRecord,
    custodian: u8,
    share: Zeroizing<Vec<u8>>,
    /// Whom it is sealed to, if that is not the worker.
    recipient: Option<[u8; 32]>,
}

impl Carried {
    async fn sound(parent: &Parent) -> Result<Self> {
        let (worker, record) = (parent.another_worker().await?, found(parent).await?);
        let share = share_of(&record, 2)?;
        let first = Self { worker, custodian: 1, share: share_of(&record, 1)?, record, recipient: None };
        let taken = first.request(parent).await?;
        first.worker.sealing_answer(taken).await?;
        Ok(Self { custodian: 2, share, ..first })
    }

    async fn request(&self, parent: &Parent) -> Result<SealingRequest> {
        let recipient = match self.recipient {
            Some(recipient) => recipient,
            None => proven_key(parent, &self.worker).await?,
        };
        let aad = self.record.statement.user_data().0;
        let ephemeral = Zeroizing::new([self.custodian; 32]);
        let message = Base64(hpke::seal(&recipient, SHARE_TO_WORKER, &aad, &self.share, ephemeral)?);
        let custodian = HpkeKey(custodian(self.custodian).public());
        Ok(SealingRequest::TakeShare { custodian, message, record: self.record.clone() })
    }

    async fn given(&self, parent: &Parent) -> Result<Finding> {
        Ok(Finding::of_worker(&self.worker.sealing(self.request(parent).await?).await?))
    }
}

/// A worker whose custodians gave it a key.
async fn provisioned(parent: &Parent) -> Result<Worker> {
    let carried = Carried::sound(parent).await?;
    let request = carried.request(parent).await?;
    carried.worker.sealing_answer(request).await?;
    Ok(carried.worker)
}

async fn challenge(giver: &Worker) -> Result<Base64> {
    match giver.sealing_answer(SealingRequest::Challenge).await? {
        SealingAnswer::Challenge { nonce } => Ok(nonce),
        other => anyhow::bail!("{other:?}"),
    }
}

async fn attested(worker: &Worker, nonce: Base64) -> Result<Base64> {
    match worker.sealing_answer(SealingRequest::Attest { nonce }).await? {
        SealingAnswer::Attested { document } => Ok(document),
        other => anyhow::bail!("{other:?}"),
    }
}

/// What `giver` forwards to `taker`: its document and the message.
async fn forwarded(giver: &Worker, taker: &Worker) -> Result<(Base64, Base64)> {
    let document = attested(taker, challenge(giver).await?).await?;
    match giver.sealing_answer(SealingRequest::Forward { document }).await? {
        SealingAnswer::Forwarded { document, message } => Ok((document, message)),
        other => anyhow::bail!("{other:?}"),
    }
}

/// What a document must say for a key of the parent's.
fn of_parent(nonce: Base64) -> AttestationRequest {
    AttestationRequest {
        public_key: Some(custodian(9).public().to_vec()),
        user_data: Some(PROVISIONING_KEY.to_vec()),
        nonce: Some(nonce.0),
    }
}

/// A key of the parent's, sealed to the one that `taker` proved.
async fn own_key(parent: &Parent, taker: &Worker) -> Result<Base64> {
    let recipient = proven_key(parent, taker).await?;
    let plaintext = [&1_u32.to_be_bytes()[..], &[7; 32]].concat();
    let aad = parent.site.sha256().0;
    Ok(Base64(hpke::seal(&recipient, KEYS_TO_WORKER, &aad, &plaintext, Zeroizing::new([3; 32]))?))
}
