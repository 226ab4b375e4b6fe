//! Wallets that transfer and are created without a pause, by clients that keep every command until its result arrived.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use nsl_client::prepared::Prepared;
use nsl_client::wallet::BornWallet;
use nsl_client::{Client, SendError};
use nsl_neo::Address;
use nsl_schemas::errors::{self, Family};
use nsl_schemas::query::Quote;
use nsl_schemas::result::CommandResult;
use nsl_schemas::token::Tenant;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::patience::Wait;
use crate::system::{System, TENANT};
use crate::wallets;

/// Wallets, each with a connection of its own.
const SENDERS: usize = 6;
/// What each wallet gets, in GAS.
const FUNDS_GAS: u32 = 100;
/// The same in datoshi.
pub(crate) const FUNDS_DATOSHI: u128 = FUNDS_GAS as u128 * 1_0000_0000;
/// What each transfer moves.
pub(crate) const SENT_DATOSHI: u128 = 100_0000;
/// Transfers of one wallet that may be under way; the chain takes a block's time for each.
const OPEN_MAX: u64 = 4;
/// Every so many transfers a wallet is created too.
const TRANSFERS_A_CREATION: usize = 4;
/// Blocks that a transfer may wait for while processes are killed: far more than the whole test takes.
const VALID_FOR_BLOCKS: u32 = 5_000;

/// What clients were told.
#[derive(Clone, Default)]
pub(crate) struct Heard {
    pub(crate) transfers: Vec<CommandResult>,
    pub(crate) creations: Vec<CommandResult>,
}

/// A wallet that transfers.
pub(crate) struct Sender {
    pub(crate) wallet: BornWallet,
    pub(crate) quote: Quote,
    client: Client,
}

/// The running load.
pub(crate) struct Load {
    pub(crate) senders: Vec<Arc<Sender>>,
    pub(crate) recipient: Address,
    heard: Arc<Mutex<Heard>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// Makes and funds the wallets, then lets them transfer.
    pub(crate) async fn start(system: &System) -> Self {
        let recipient = wallets::stranger("load");
        let senders = join_all((0..SENDERS).map(|_| sender(system, recipient))).await;
        let mut load = Self {
            senders: senders.into_iter().map(Arc::new).collect(),
            recipient,
            heard: Arc::default(),
            stop: Arc::default(),
            tasks: Vec::new(),
        };
        for sender in &load.senders {
            let (sender, database) = (Arc::clone(sender), system.database());
            let (heard, stop) = (Arc::clone(&load.heard), Arc::clone(&load.stop));
            load.tasks
                .push(tokio::spawn(async move { sender.run(recipient, &database, &heard, &stop).await }));
        }
        load
    }

    /// How many commands were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        let heard = self.heard.lock().unwrap();
        heard.transfers.len() + heard.creations.len()
    }

    /// What the clients were told so far.
    pub(crate) fn heard(&self) -> Heard {
        self.heard.lock().unwrap().clone()
    }

    /// Whether some wallet gave up.
    pub(crate) fn has_failed(&self) -> bool {
        self.tasks.iter().any(JoinHandle::is_finished)
    }

    /// Ends the load and returns what the clients were told.
    pub(crate) async fn stop(&mut self) -> Heard {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

async fn sender(system: &System, recipient: Address) -> Sender {
    let client = system.client().await;
    let wallet = wallets::create(&client, &system.genesis()).await;
    system.fund(wallets::address(&wallet), FUNDS_GAS);
    let transfer = wallets::gas_transfer(recipient, SENT_DATOSHI);
    let tenant = Tenant::parse(TENANT).unwrap();
    let quote = client.quote_transfer(&tenant, &wallet.public_key, &transfer).await.unwrap();
    let valid_until_block = quote.block_count + VALID_FOR_BLOCKS;
    Sender { wallet, quote: Quote { valid_until_block, ..quote }, client }
}

impl Sender {
    async fn run(&self, recipient: Address, database: &PgPool, heard: &Mutex<Heard>, stop: &AtomicBool) {
        let transfer = wallets::gas_transfer(recipient, SENT_DATOSHI);
        let policy = wallets::policy(&self.client);
        for round in 1.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let prepared = self
                .client
                .prepare_transfer(Uuid::now_v7(), &self.wallet.wallet, &transfer, &self.quote)
                .unwrap();
            let result = self.send(&prepared).await;
            heard.lock().unwrap().transfers.push(result);
            if round % TRANSFERS_A_CREATION == 0 {
                let id = wallets::fresh_id();
                let prepared = self.client.prepare_create_wallet(Uuid::now_v7(), &id, &policy).unwrap();
                let result = self.send(&prepared).await;
                heard.lock().unwrap().creations.push(result);
            }
            let sent = u64::try_from(round).unwrap();
            let wait = Wait::begin("earlier transfers of the wallet are confirmed");
            while self.confirmed(database).await.is_none_or(|confirmed| confirmed + OPEN_MAX < sent) {
                wait.pause().await;
            }
        }
    }

    /// Transfers that the log has as confirmed; `None` while the database is away.
    async fn confirmed(&self, database: &PgPool) -> Option<u64> {
        let query = "SELECT count(*) FROM events WHERE aggregate_type = 'wallet' AND aggregate_id = $1 \
                     AND event_type = 'transfer-confirmed'";
        let id = format!("{TENANT}.{}", self.wallet.wallet);
        let count: i64 = sqlx::query_scalar(query).bind(id).fetch_one(database).await.ok()?;
        u64::try_from(count).ok()
    }

    /// Sends the same bytes until they are answered, as D1 asks of clients.
    async fn send(&self, prepared: &Prepared) -> CommandResult {
        let wait = Wait::begin("a command is answered");
        loop {
            let error = match self.client.send(prepared).await {
                Ok(result) => return result,
                Err(error) => error,
            };
            let may_be_repeated = match &error {
                SendError::OutcomeUnknown { .. } | SendError::Unavailable { .. } => true,
                SendError::Refused { code, .. } => {
                    errors::find(code).is_some_and(|code| code.family == Family::Unavailable)
                }
                _ => false,
            };
            assert!(may_be_repeated, "{error:?}");
            wait.pause().await;
        }
    }
}
