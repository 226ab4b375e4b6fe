//! What custodians of a sealing key do: have one founded, see that it was, and give their shares to workers that prove to
//! be of an allowed build. Host and bus carry only what is sealed to a proven worker.

use std::collections::BTreeMap;

use aws_lc_rs::rand;
use futures::StreamExt as _;
use nsl_schemas::authority::{Build, GenesisManifest, Operators, Signed};
use nsl_schemas::bytes::{Base64, HpkeKey};
use nsl_schemas::errors;
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::query::{Page, PageRequest, name};
use nsl_schemas::sealing::{
    PROVISIONING_KEY, RecordError, SHARE_BYTES, SHARE_TO_CUSTODIAN, SHARE_TO_WORKER, SealingAnswer,
    SealingOrder, SealingQuestion, SealingRecord, SealingReply, SealingRequest, SealingWorker,
    share_commitment,
};
use nsl_schemas::subject::{self, CommandSubject};
use nsl_schemas::token::{AggregateType, EventName, Tenant};
use nsl_verify::attestation::{self, AttestationDocument, Expectation, TrustRoot, VerifyTime};
use nsl_verify::hpke::{self, PrivateKey};
use zeroize::Zeroizing;

use crate::events::{self, EventFilter, FIRST_POSITION};
use crate::prepared::unix_now_ms;
use crate::{Client, QueryError, operators};

/// Records of one question: an answer holds at most a megabyte, a record 44 KiB.
const RECORDS_PER_PAGE: u32 = 16;
/// Most records that are taken in: a key a day for ten years, and an end to what a service can make a client hold.
const RECORDS_MAX: usize = 4096;
/// Times that a worker is asked for by name: of several hosts any may take the question, and only one has the worker.
const TRIES_MAX: usize = 16;

/// Why a custodian's work was not done; nothing was given away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The order or the record does not hold.
    #[error("sealing order or record does not hold")]
    Record(#[from] RecordError),
    /// The manifest names a trust root that this build does not admit, or a document does not hold.
    #[error("attestation document of the worker is not accepted")]
    Attestation(#[from] attestation::Error),
    /// A document of a worker about something else.
    #[error("the worker attested something else")]
    OtherStatement,
    /// The key is no custodian's.
    #[error("the record names no custodian with the key {key}")]
    NoCustodian {
        /// The public key.
        key: HpkeKey,
    },
    /// The record's share does not open, or is not the one that it commits to.
    #[error("the record's share for this custodian does not hold")]
    Share,
    /// No randomness, or a key that cannot be sealed to.
    #[error("the share cannot be sealed to the worker")]
    Seal(#[from] hpke::Error),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Randomness,
    /// The host's answer is not to the question.
    #[error("the worker answered with something else")]
    Unexpected,
    /// What the operators decided is not told, or does not follow from the manifest.
    #[error(transparent)]
    Operators(#[from] operators::Error),
    /// A worker or its host said no.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// An event of the log has another subject than a wallet's.
    #[error("subject of a wallet's event")]
    Subject(#[from] subject::Error),
    /// The log cannot be read.
    #[error(transparent)]
    Events(#[from] events::Error),
}

/// A worker's own proof, and the log that it obeys, as a custodian checks both.
#[derive(Debug)]
struct Judge {
    operators: Operators,
    root: TrustRoot,
    expectation: Expectation,
}

impl Judge {
    /// By what the operators decided until now.
    async fn new(client: &Client, genesis: &GenesisManifest) -> Result<Self, Error> {
        let operators = client.operators(genesis).await?;
        let builds = operators.builds().iter().map(Build::measurements);
        let expectation = Expectation::of_manifest(builds, operators.genesis_sha256().0);
        let root = TrustRoot::from_sha256(genesis.attestation_root_sha256.0)?;
        Ok(Self { operators, root, expectation })
    }

    /// Whether a worker of an allowed build founded the key by order of the operators' quorum.
    fn check_record(&self, record: &SealingRecord) -> Result<(), Error> {
        record.statement.check(&self.operators)?;
        let document = &record.document.0;
        let document = attestation::verify(document, &self.expectation, &self.root, VerifyTime::Document)?;
        let is_of_statement = document.user_data.as_deref() == Some(&record.statement.user_data().0[..]);
        if is_of_statement { Ok(()) } else { Err(Error::OtherStatement) }
    }

    /// A worker of an allowed build that answers `nonce` now.
    fn check_worker(&self, document: &[u8], nonce: &[u8]) -> Result<AttestationDocument, Error> {
        let expectation = self.expectation.clone().answering(nonce.to_vec());
        let now = VerifyTime::At(unix_now_ms());
        let document = attestation::verify(document, &expectation, &self.root, now)?;
        let is_for_shares = document.user_data.as_deref() == Some(PROVISIONING_KEY);
        if is_for_shares { Ok(document) } else { Err(Error::OtherStatement) }
    }
}

/// Signs the order for a key as the operators' present quorum.
pub fn order(
    operators: &Operators,
    order: SealingOrder,
    quorum_keys: &[&SigningKey],
) -> Result<Signed<SealingOrder>, Error> {
    let signed = Signed::sign(order, quorum_keys);
    signed.check_new(operators)?;
    Ok(signed)
}

/// Decrypts the share of the custodian with `key`, which the record must commit to.
fn open_share(record: &SealingRecord, key: &PrivateKey) -> Result<Zeroizing<[u8; SHARE_BYTES]>, Error> {
    let (statement, public) = (&record.statement, HpkeKey(key.public()));
    let place = statement.place(&public).ok_or(Error::NoCustodian { key: public })?;
    let encrypted = statement.shares.get(place).ok_or(Error::Share)?;
    let aad = statement.order.statement.sha256().0;
    let opened = key.open(SHARE_TO_CUSTODIAN, &aad, &encrypted.message.0).map_err(|_| Error::Share)?;
    let share = Zeroizing::new(opened.as_slice().try_into().map_err(|_| Error::Share)?);
    if share_commitment(&share) == encrypted.commitment { Ok(share) } else { Err(Error::Share) }
}

fn draw() -> Result<Zeroizing<[u8; 32]>, Error> {
    let mut drawn = Zeroizing::new([0; 32]);
    rand::fill(drawn.as_mut_slice()).map_err(|_| Error::Randomness)?;
    Ok(drawn)
}

/// A wallet's events of this name, whoever's.
fn filter(name: &str) -> EventFilter {
    let literal = "callers give literals of permitted characters";
    EventFilter {
        tenant: None,
        aggregate: Some(AggregateType::parse("wallet").expect(literal)),
        id: None,
        name: Some(EventName::parse(name).expect(literal)),
    }
}

fn sealing_key_of(event: WalletEvent) -> Option<String> {
    match event {
        WalletEvent::KeyCreated(event) => Some(event.sealed_key.sealing_key_id),
        WalletEvent::PolicyChanged(event) => Some(event.sealed_key.sealing_key_id),
        WalletEvent::KeyResealed(event) => Some(event.sealed_key.sealing_key_id),
        _ => None,
    }
}

/// The command that asks for a wallet's key anew, from the subject of its events without their name.
fn reseal_subject(events: &str) -> Result<CommandSubject, Error> {
    let wallet = events.strip_prefix("nsl.v1.evt.").unwrap_or_default();
    Ok(CommandSubject::parse(&format!("nsl.v1.cmd.{wallet}.reseal-key"))?)
}

impl Client {
    /// Has a worker found a key; the record is checked, and belongs into the log next.
    pub async fn found_sealing_key(
        &self,
        genesis: &GenesisManifest,
        worker: Option<String>,
        order: Signed<SealingOrder>,
    ) -> Result<SealingRecord, Error> {
        let judge = Judge::new(self, genesis).await?;
        let ordered = order.statement.sha256();
        let reply = self.ask_worker(worker, SealingRequest::Found { order }).await?;
        let SealingAnswer::Founded { record } = reply.answer else { return Err(Error::Unexpected) };
        judge.check_record(&record)?;
        if record.statement.order.statement.sha256() != ordered {
            return Err(Error::OtherStatement);
        }
        Ok(record)
    }

    /// Gives the share of the custodian with `key` to a worker, after that has proven what it is.
    pub async fn provision(
        &self,
        genesis: &GenesisManifest,
        worker: Option<String>,
        record: &SealingRecord,
        key: &PrivateKey,
    ) -> Result<SealingReply, Error> {
        let judge = Judge::new(self, genesis).await?;
        judge.check_record(record)?;
        let share = open_share(record, key)?;
        let nonce = draw()?.to_vec();
        let reply = self.ask_worker(worker, SealingRequest::Attest { nonce: Base64(nonce.clone()) }).await?;
        let SealingAnswer::Attested { document } = reply.answer else { return Err(Error::Unexpected) };
        let document = judge.check_worker(&document.0, &nonce)?;
        let recipient: [u8; hpke::KEY_BYTES] =
            document.public_key.and_then(|key| key.try_into().ok()).ok_or(Error::OtherStatement)?;
        let aad = record.statement.user_data().0;
        let message = hpke::seal(&recipient, SHARE_TO_WORKER, &aad, share.as_slice(), draw()?)?;
        let about = SealingRequest::TakeShare {
            custodian: HpkeKey(key.public()),
            message: Base64(message),
            record: record.clone(),
        };
        self.ask_worker(Some(document.module_id), about).await
    }

    /// The log's sealing keys, oldest first.
    pub async fn sealing_records(&self) -> Result<Vec<SealingRecord>, Error> {
        let mut records = Vec::new();
        let mut after = None;
        loop {
            let question = PageRequest { limit: RECORDS_PER_PAGE, after };
            let page: Page<SealingRecord> =
                self.query(&Tenant::system(), name::SEALING_RECORDS, &question).await?;
            records.extend(page.data);
            if page.next.is_none() || records.len() >= RECORDS_MAX {
                return Ok(records);
            }
            after = page.next;
        }
    }

    /// The workers of a host with their sealing keys, as they say themselves.
    pub async fn sealing_workers(&self) -> Result<Vec<SealingWorker>, Error> {
        let nothing = serde_json::json!({});
        let page: Page<SealingWorker> =
            self.query(&Tenant::system(), name::SEALING_WORKERS, &nothing).await?;
        Ok(page.data)
    }

    /// The wallets of all tenants whose keys another sealing key sealed than the one of this name.
    pub async fn wallets_sealed_otherwise(&self, key_id: &str) -> Result<Vec<CommandSubject>, Error> {
        // By subject: the position and the sealing key of the last event that tells one.
        let mut sealed: BTreeMap<String, (u64, String)> = BTreeMap::new();
        for event_name in ["key-created", "policy-changed", "key-resealed"] {
            let mut events = self.events_to_head(&filter(event_name), FIRST_POSITION).await?;
            while let Some(event) = events.next().await {
                let event = event?;
                let Some(found) = sealing_key_of(event.decode()?) else { continue };
                let subject = event.subject.rsplit_once('.').map_or("", |(wallet, _)| wallet).to_owned();
                let last = sealed.entry(subject).or_default();
                if event.position > last.0 {
                    *last = (event.position, found);
                }
            }
        }
        let others = sealed.into_iter().filter(|(_, (_, found))| found != key_id);
        others.map(|(wallet, _)| reseal_subject(&wallet)).collect()
    }

    async fn ask_worker(&self, worker: Option<String>, about: SealingRequest) -> Result<SealingReply, Error> {
        let is_named = worker.is_some();
        let question = SealingQuestion { about, worker };
        let mut tries = 0;
        loop {
            tries += 1;
            match self.query(&Tenant::system(), name::SEALING, &question).await {
                Err(QueryError::Answered { code, .. })
                    if is_named && code == errors::NOT_FOUND.code && tries < TRIES_MAX => {}
                answered => return Ok(answered?),
            }
        }
    }
}
