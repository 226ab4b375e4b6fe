//! Every way in which a command can succeed. The variant's name is the `reason` that scripts read: renaming one breaks
//! them.

mod attestation;
mod authority;
mod human;
mod secrets;
mod workers;

use std::path::PathBuf;

use nsl_schemas::authority::{GenesisManifest, Signed};
use nsl_schemas::bytes::{HpkeKey, Sha256};
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::number::{Amount, Datoshi};
use nsl_schemas::query::{Balance, HostStatus, Page, Price, Secret, SigningRequest, Transaction, Wallet};
use nsl_schemas::result::{Answer, CommandResult};
use nsl_schemas::sealing::{SealingStatus, SealingWorker};
use nsl_schemas::token::AggregateId;
use serde::Serialize;
use uuid::Uuid;

pub(crate) use self::attestation::ExaminedAttestation;
pub(crate) use self::authority::{OperatorsShown, StatementShown};
pub(crate) use self::secrets::{SecretRead, SecretSealed};
use crate::contexts::Context;

/// How a command ended well.
#[derive(Debug, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub(crate) enum Outcome {
    ContextAdded {
        name: String,
        is_selected: bool,
    },
    ContextsListed {
        contexts: Vec<NamedContext>,
    },
    ContextSelected {
        name: String,
    },
    ContextShown {
        name: String,
        context: Context,
    },
    ContextRemoved {
        name: String,
    },
    KeyGenerated {
        public_key: PublicKey,
        seed_file: PathBuf,
    },
    GenesisShown {
        sha256: Sha256,
        manifest: Signed<GenesisManifest>,
    },
    AuthorityShown(OperatorsShown),
    WorkerAttested {
        key: PublicKey,
        build: String,
        module_id: String,
        attested_at_ms: u64,
    },
    StatementWritten {
        file: PathBuf,
        statement: StatementShown,
    },
    StatementSigned {
        file: PathBuf,
        key: PublicKey,
        statement: StatementShown,
    },
    StatementRecorded {
        statement: StatementShown,
        command: Recorded,
    },
    CustodianKeyGenerated {
        public_key: HpkeKey,
        key_file: PathBuf,
    },
    SealingKeyFounded {
        epoch: u32,
        key_id: String,
        command: Recorded,
    },
    ShareProvided {
        worker: String,
        status: SealingStatus,
    },
    ResealRequested {
        sealing_key_id: String,
        /// Wallets that were asked now.
        asked: u64,
        /// Wallets that were asked before and are not done.
        pending: u64,
    },
    SealingStatusShown {
        workers: Vec<SealingWorker>,
    },
    WalletCreated(CheckedWallet),
    WalletVerified(CheckedWallet),
    WalletsListed(Page<Wallet>),
    WalletShown(Box<Wallet>),
    PolicyChanged {
        wallet: AggregateId,
        policy_sha256: Sha256,
        position: u64,
        command: Recorded,
    },
    TransferAccepted {
        transfer: TransferFacts,
        command: Recorded,
    },
    TransferSigned {
        transfer: TransferFacts,
        tx_hash: String,
        valid_until_block: u32,
        command: Recorded,
    },
    TransferConfirmed {
        transfer: TransferFacts,
        tx_hash: String,
        block_index: u32,
        gas_consumed_datoshi: Datoshi,
        command: Recorded,
    },
    BalancesShown {
        wallet: AggregateId,
        address: String,
        balances: Vec<Balance>,
    },
    RequestsListed(Page<SigningRequest>),
    RequestShown(SigningRequest),
    TransactionsListed(Page<Transaction>),
    SecretStored(SecretSealed),
    SecretReadersChanged(SecretSealed),
    SecretRead(SecretRead),
    SecretsListed(Page<Secret>),
    SecretShown(Box<Secret>),
    SecretDestroyed {
        secret: AggregateId,
        command: Recorded,
    },
    PriceShown(Price),
    PricesListed(Page<Price>),
    WorkersListed {
        hosts: Vec<HostStatus>,
    },
    CommandAccepted {
        command: Recorded,
    },
    AttestationExamined(Box<ExaminedAttestation>),
    ResultShown {
        result: CommandResult,
    },
    PageShown {
        code: String,
        page: String,
    },
    CompletionsWritten {
        script: String,
    },
    ExitCodesShown {
        exit_codes: Vec<ExitCodeMeaning>,
    },
    /// Everything was told line by line already.
    Streamed,
}

/// A context with its name.
#[derive(Debug, Serialize)]
pub(crate) struct NamedContext {
    pub(crate) name: String,
    pub(crate) is_selected: bool,
    #[serde(flatten)]
    pub(crate) context: Context,
}

/// Where the log has an accepted command.
#[derive(Debug, Serialize)]
pub(crate) struct Recorded {
    pub(crate) command_id: Uuid,
    pub(crate) first_position: u64,
    pub(crate) event_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<u64>,
}

impl From<CommandResult> for Recorded {
    fn from(result: CommandResult) -> Self {
        let CommandResult { command_id, first_position, event_count, answer } = result;
        let version = match answer {
            Answer::Accepted { version } => Some(version),
            Answer::Rejected { .. } => None,
        };
        Self { command_id, first_position, event_count, version }
    }
}

/// A wallet whose birth certificate holds; the address is derived from the attested key.
#[derive(Debug, Serialize)]
pub(crate) struct CheckedWallet {
    pub(crate) wallet: AggregateId,
    pub(crate) address: String,
    pub(crate) public_key: String,
    pub(crate) policy_sha256: Sha256,
    pub(crate) command_id: Uuid,
    pub(crate) position: u64,
}

/// What a transfer moves and costs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TransferFacts {
    pub(crate) wallet: AggregateId,
    pub(crate) asset: String,
    pub(crate) to: String,
    pub(crate) amount: Amount,
    pub(crate) system_fee_datoshi: Datoshi,
    pub(crate) network_fee_datoshi: Datoshi,
    pub(crate) valid_until_block: u32,
}

/// One exit code.
#[derive(Debug, Serialize)]
pub(crate) struct ExitCodeMeaning {
    pub(crate) exit_code: u8,
    pub(crate) meaning: &'static str,
}
