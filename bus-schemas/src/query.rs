//! Questions by request-reply on `nsl.v1.qry.<tenant>.<name>` and their answers.

mod secret;
mod workers;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bytes::{Base64, Sha256};
use crate::command::wallet::RequestTransfer;
use crate::nkey::PublicKey;
use crate::number::{Amount, Datoshi, PriceE8, UnixMs};
use crate::policy::Policy;
use crate::token::{AggregateId, AggregateType, EventName, Pair, Tenant, Venue};

pub use secret::Secret;
pub use workers::{HostStatus, PoolViewStatus, Rollout, WorkerState, WorkerStatus};

/// Most rows of one answer.
pub const ROWS_MAX: u32 = 100;

/// Most events of one page of the log.
pub const EVENTS_MAX: u32 = 500;

/// Declares the questions, each with what is asked and what is answered.
macro_rules! questions {
    ($($(#[doc = $doc:literal])+ $constant:ident = $name:literal, $question:ty => $answer:ty;)+) => {
        /// Names of the questions.
        pub mod name {
            $($(#[doc = $doc])+ pub const $constant: &str = $name;)+
        }

        /// Every question with the schemas of what is asked and answered.
        #[cfg(feature = "schema")]
        pub fn schemas() -> Vec<crate::schema::DescribedQuestion> {
            vec![$(crate::schema::DescribedQuestion {
                name: $name,
                summary: concat!($($doc),+).trim_start(),
                question: crate::schema::accepted::<$question>(),
                reply: crate::schema::published::<Reply<$answer>>(),
            }),+]
        }
    };
}

questions! {
    /// One wallet.
    WALLET = "wallet", ById => Wallet;
    /// Wallets in order of their ids.
    WALLETS = "wallets", PageRequest => Page<Wallet>;
    /// One signing request.
    SIGNING_REQUEST = "signing-request", ById => SigningRequest;
    /// Signing requests, newest first.
    SIGNING_REQUESTS = "signing-requests", PageRequest => Page<SigningRequest>;
    /// Transactions, newest first.
    TRANSACTIONS = "transactions", PageRequest => Page<Transaction>;
    /// The latest price of a pair.
    PRICE = "price", ById => Price;
    /// The latest prices.
    PRICES = "prices", PageRequest => Page<Price>;
    /// A page of the log. A tenant is answered with its own events; the tenant `system` is the operators' and is
    /// answered with everybody's.
    EVENTS = "events", EventsRequest => EventPage;
    /// The operators' acts in their order; `after` is a sequence. Each is proven by its signatures and those before it.
    OPERATOR_ACTS = "operator-acts", PageRequest => Page<crate::authority::Signed<crate::authority::OperatorStatement>>;
    /// A worker's attestation document that carries the asker's challenge. The enclave's host answers.
    ATTESTATION = "attestation", AttestationRequest => Attestation;
    /// One secret: who may read it and its version, never what it is.
    SECRET = "secret", ById => Secret;
    /// Secrets in order of their ids.
    SECRETS = "secrets", PageRequest => Page<Secret>;
    /// The key that secrets are encrypted to, attested with the asker's challenge. The enclave's host answers.
    SECRET_POOL_KEY = "secret-pool-key", AttestationRequest => crate::secret::PoolKey;
    /// How far the read models are; whatever the question holds is not looked at.
    PROJECTIONS = "projections", serde_json::Value => Page<ProjectionStatus>;
    /// The enclave workers of a host. Every host answers for its own, so whoever asks waits for several answers; the
    /// tenant `system` alone is answered.
    WORKERS = "workers", serde_json::Value => HostStatus;
    /// Fees and last block for a transfer.
    TRANSFER_QUOTE = "transfer-quote", QuoteRequest => Quote;
    /// Balances of an address, read from the node.
    BALANCES = "balances", BalancesRequest => Vec<Balance>;
    /// A request about sealing keys to one enclave worker; only for the tenant `system`.
    SEALING = "sealing", crate::sealing::SealingQuestion => crate::sealing::SealingReply;
    /// The enclave workers of one host with their sealing keys; only for the tenant `system`. Whatever the question holds
    /// is not looked at.
    SEALING_WORKERS = "sealing-workers", serde_json::Value => Page<crate::sealing::SealingWorker>;
    /// The log's sealing keys, oldest first; `after` is an epoch. Each is attested by the worker that founded it; only for
    /// the tenant `system`.
    SEALING_RECORDS = "sealing-records", PageRequest => Page<crate::sealing::SealingRecord>;
}

/// An answer, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Reply<T> {
    /// The answer.
    Ok(T),
    /// A stable code and what happened.
    Error {
        /// See [`crate::errors`].
        code: String,
        /// What happened.
        message: String,
    },
}

/// Asks for one thing by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ById {
    /// The id.
    pub id: String,
    /// Answer only from a state that holds this position, waiting a little for it: a client reads its own writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_position: Option<u64>,
}

/// Asks for a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PageRequest {
    /// 1 to [`ROWS_MAX`].
    pub limit: u32,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Shortest challenge: nobody guesses it.
pub const NONCE_BYTES_MIN: usize = 16;
/// Longest challenge.
pub const NONCE_BYTES_MAX: usize = 64;

/// Challenges a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AttestationRequest {
    /// [`NONCE_BYTES_MIN`] to [`NONCE_BYTES_MAX`] random bytes.
    pub nonce: Base64,
}

/// What a worker proves of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Attestation {
    /// A COSE_Sign1 attestation document with the challenge, the key as `public_key`, and PCR16 that commits to the manifest.
    pub document: Base64,
    /// The key that signs its outcomes.
    pub key: PublicKey,
}

/// A page of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Asks for the events after a position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventsRequest {
    /// 0 begins with the log.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub after: u64,
    /// 1 to [`EVENTS_MAX`]; a page with large events has fewer.
    pub limit: u32,
    /// Only this tenant's; of another tenant only operators may ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Tenant>,
    /// Only of this aggregate type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<AggregateType>,
    /// Only of the aggregate with this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<AggregateId>,
    /// Only of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<EventName>,
}

/// A stretch of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventPage {
    /// The matching events in position order.
    pub data: Vec<LoggedEvent>,
    /// How far the page reaches: it has every matching event from the asked position to this one. The next page is
    /// asked for after it.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub position: u64,
    /// The position of the log's last event when the page was read.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub head: u64,
}

/// An event of the log, with the attributes of the CloudEvent that it is published as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoggedEvent {
    /// Its place in the log.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub position: u64,
    /// `nsl.v1.evt.<tenant>.<aggregate>.<id>.<event>`.
    pub subject: String,
    /// `ce-id`.
    pub id: Uuid,
    /// `ce-type`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of its schema.
    pub schema_version: String,
    /// `ce-time`, RFC 3339.
    pub time: String,
    /// Its number in its aggregate.
    #[serde(deserialize_with = "crate::number::below_2_pow_53")]
    pub version: u64,
    /// The payload as the log holds it, byte for byte: JSON text, which is what its hash covers.
    pub payload: String,
}

/// A wallet as the read model shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Wallet {
    /// Its id.
    pub id: AggregateId,
    /// `creating`, `open` or `refused`.
    pub status: String,
    /// Once open.
    pub address: Option<String>,
    /// Once open, 66 hex digits.
    pub public_key: Option<String>,
    /// In force, or asked for while creating.
    pub policy: Policy,
    /// The aggregate's version.
    pub version: u64,
    /// The command that asked for it.
    pub request_id: Uuid,
    /// Position of its last event.
    pub position: u64,
}

/// A signing request as the read model shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SigningRequest {
    /// The command that asked.
    pub id: Uuid,
    /// Whose wallet.
    pub wallet: AggregateId,
    /// `awaiting-approvals`, `requested`, `reserved` (under a policy that counts), `signed`, `refused`, `cancelled` or
    /// `expired`: no worker signed it in time.
    pub status: String,
    /// How many more approvers must approve; null where none ever had to.
    #[serde(default)]
    pub approvals_missing: Option<u8>,
    /// Until then a time lock holds it back, Unix ms; null where none does.
    #[serde(default)]
    pub not_before_ms: Option<UnixMs>,
    /// The hash of the command, as approvers sign it; null while an older read model answers.
    #[serde(default)]
    pub request_sha256: Option<Sha256>,
    /// All that was asked, as approvers sign it; null while an older read model answers.
    #[serde(default)]
    pub transfer: Option<RequestTransfer>,
    /// The asset, `0x…`.
    pub asset: String,
    /// The receiver.
    pub to: String,
    /// How much.
    pub amount: Amount,
    /// The transaction, `0x…`.
    pub tx_hash: String,
    /// Why it was refused.
    pub refusal_code: Option<String>,
    /// Position of its last event.
    pub position: u64,
}

/// A transaction as the read model shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Transaction {
    /// `0x…`.
    pub tx_hash: String,
    /// The command that asked.
    pub request_id: Uuid,
    /// Whose wallet.
    pub wallet: AggregateId,
    /// `signed`, `confirmed`, `faulted` or `expired`.
    pub status: String,
    /// The last block that may hold it.
    pub valid_until_block: u32,
    /// Once confirmed.
    pub block_index: Option<u32>,
    /// Once confirmed.
    pub gas_consumed_datoshi: Option<Datoshi>,
    /// Why it faulted or expired.
    pub reason: Option<String>,
    /// Position of its last event.
    pub position: u64,
}

/// A price as the read model shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Price {
    /// The pair.
    pub pair: Pair,
    /// Its round.
    pub round: u64,
    /// The price.
    pub price_e8: PriceE8,
    /// Its confidence.
    pub confidence_e8: PriceE8,
    /// The time for which it holds, Unix ms.
    pub as_of_ms: u64,
    /// How long a reader may trust it after that.
    pub age_max_ms: u64,
    /// The venues that counted.
    pub sources: Vec<Venue>,
    /// Position of its event.
    pub position: u64,
}

/// How a projection gets on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ProjectionState {
    /// It has not begun.
    #[default]
    Starting,
    /// It follows the log.
    Running,
    /// Its version is being built; questions are answered from an earlier one, if there is one.
    Building,
    /// A database or the bus does not answer; it is tried again.
    Waiting,
    /// An event cannot be applied. It stays before that event.
    Failed,
    /// An event was written by a newer build. It stays before that event.
    Parked,
}

/// How far a projection is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProjectionStatus {
    /// Its name.
    pub name: String,
    /// The version of its read model that this process follows.
    pub version: u32,
    /// How it gets on.
    pub state: ProjectionState,
    /// The last position it holds.
    pub position: u64,
    /// The log's head.
    pub head: u64,
    /// Age of the oldest event that it does not hold.
    pub seconds_behind: u64,
    /// Events applied lately.
    pub events_per_second: u64,
    /// The position of the build that will take its place, while there is one.
    pub building: Option<u64>,
    /// The code of what stopped it; see [`crate::errors`].
    pub code: Option<String>,
    /// Why it does not get on, if so.
    pub error: Option<String>,
}

/// Asks what a transfer will cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QuoteRequest {
    /// The sender's compressed P-256 key, 66 hex digits.
    pub public_key: String,
    /// The NEP-17 contract, as `0x…`.
    pub asset: String,
    /// The receiving address.
    pub to: String,
    /// In the token's smallest unit.
    pub amount: Amount,
}

/// What a transfer costs and how long the answer holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Quote {
    /// The network.
    pub network_magic: u32,
    /// From a dry run.
    pub system_fee_datoshi: Datoshi,
    /// Computed from the network's policy values.
    pub network_fee_datoshi: Datoshi,
    /// The last block that should hold it.
    pub valid_until_block: u32,
    /// The height at which this was said.
    pub block_count: u32,
}

/// Asks for the balances of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BalancesRequest {
    /// The address.
    pub address: String,
}

/// The balance of one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Balance {
    /// The NEP-17 contract, as `0x…`.
    pub asset: String,
    /// Its symbol.
    pub symbol: String,
    /// Digits behind the point.
    pub decimals: u8,
    /// In the smallest unit.
    pub amount: Amount,
}
