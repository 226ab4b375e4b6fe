//! The log's side: what `decide` makes of what a parent reports. Commands are decided by the shipped aggregates, on facts
//! that are true.

use std::sync::Arc;

use anyhow::Context as _;
use nsl_domain::decision::{Facts, Genesis, Order, Rejection};
use nsl_domain::wallet::Wallet;
use nsl_domain::worker::{self, worker_id};
use nsl_schemas::authority::Operators;
use nsl_schemas::bytes::Base64;
use nsl_schemas::command::Command;
use nsl_schemas::command::wallet::{RecordOutcome, WalletCommand};
use nsl_schemas::command::worker::{Register, WorkerCommand};
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::event::worker::WorkerEvent;
use nsl_schemas::nkey::PublicKey;
use nsl_schemas::outcome::SignedOutcome;
use nsl_schemas::token::{AggregateId, Tenant};
use nsl_test_site::acme;
use uuid::Uuid;

use crate::parent::Parent;

/// How long workers have for a transfer, ms.
const SIGNING_MS: u64 = 3_600_000;

/// One wallet's stream, and the workers that registered.
pub(crate) struct Ledger {
    facts: Facts,
    id: AggregateId,
    now_ms: u64,
    wallet: Wallet,
    registered: Vec<PublicKey>,
}

impl Ledger {
    /// An empty one of the parent's site, for the wallet of this name.
    pub(crate) fn of(parent: &Parent, name: &str) -> anyhow::Result<Self> {
        let manifest = parent.site.genesis.statement.clone();
        let facts = Facts {
            operators: Arc::new(Operators::of_genesis(&manifest)),
            genesis: Arc::new(Genesis { sha256: manifest.sha256(), manifest, trust_root: parent.trust }),
            worker_is_registered: false,
            signing_ms: SIGNING_MS,
        };
        let (id, now_ms) = (AggregateId::parse(name)?, parent.now_ms);
        Ok(Self { facts, id, now_ms, wallet: Wallet::default(), registered: Vec::new() })
    }

    /// Lets the worker of this key report outcomes, if its document proves that it may.
    pub(crate) fn register(&mut self, key: PublicKey, attestation: Base64) -> Result<(), Rejection> {
        let body = WorkerCommand::Register(Register { key, attestation });
        // Later than the document, whose clock runs on while attacks are tried.
        let now_ms = nsl_enclave_worker::nsm::software::system_time_ms();
        let order = Order { now_ms, ..self.order(Tenant::system(), worker_id(&key), Uuid::nil(), body) };
        let events = worker::Worker::default().decide(&order)?;
        self.registered.extend(events.iter().map(|WorkerEvent::WorkerRegistered(event)| event.key));
        Ok(())
    }

    /// What the operators decide.
    pub(crate) fn follow(&mut self, operators: Operators) {
        self.facts.operators = Arc::new(operators);
    }

    /// Records an honest client's command.
    pub(crate) fn record(&mut self, command: &SignedCommand) -> anyhow::Result<()> {
        let subject = command.verify()?;
        let Command::Wallet(body) = Command::parse(&subject, command.payload.as_bytes())? else {
            anyhow::bail!("no command of a wallet: {subject}");
        };
        let envelope = &command.envelope;
        let order = Order {
            request_sha256: envelope.request_sha256(),
            ..self.order(subject.tenant, self.id.clone(), envelope.command_id, *body)
        };
        let events = self.wallet.decide(&order).context("an honest command is not recorded")?;
        for event in events {
            self.wallet.evolve(event);
        }
        Ok(())
    }

    /// What becomes of an outcome that the parent reports.
    pub(crate) fn report(&self, outcome: &SignedOutcome) -> Result<Vec<WalletEvent>, Rejection> {
        let body = WalletCommand::RecordOutcome(RecordOutcome { outcome: outcome.clone() });
        let mut order = self.order(acme(), self.id.clone(), Uuid::from_u128(u128::MAX), body);
        let is_revoked = self.facts.operators.is_revoked(&outcome.worker);
        order.facts.worker_is_registered = self.registered.contains(&outcome.worker) && !is_revoked;
        self.wallet.decide(&order)
    }

    /// Records an honest parent's report.
    pub(crate) fn take(&mut self, outcome: &SignedOutcome) -> anyhow::Result<()> {
        let events = self.report(outcome).context("an honest outcome is not recorded")?;
        for event in events {
            self.wallet.evolve(event);
        }
        Ok(())
    }

    fn order<C>(&self, tenant: Tenant, id: AggregateId, command_id: Uuid, body: C) -> Order<C> {
        Order {
            tenant,
            id,
            command_id,
            request_sha256: nsl_schemas::bytes::Sha256::of(command_id.as_bytes()),
            issued_at_ms: self.now_ms,
            now_ms: self.now_ms,
            body,
            facts: self.facts.clone(),
        }
    }
}
