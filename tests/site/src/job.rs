//! Commands of [`ISSUER`]'s, and the jobs that the service makes of them.

use nsl_schemas::authority::{SERVICE_VERBS, Signed};
use nsl_schemas::canonical;
use nsl_schemas::command::wallet::{Create, RequestTransfer, ResealKey, SetPolicy};
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::ids;
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::policy::{Policy, PolicyChange};
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::Tenant;
use serde::Serialize;
use uuid::Uuid;

use crate::{ISSUER, Site, acme, key};

/// The id of a command that was given no other.
pub const COMMAND_ID: Uuid = Uuid::from_u128(7);
/// How long commands may be new, ms.
const LIFE_MS: u64 = 60_000;

/// A command to a wallet, before it is signed.
#[derive(Debug, Clone)]
pub struct Order {
    /// Whose wallet.
    pub tenant: Tenant,
    /// Which.
    pub wallet: String,
    /// What shall be done.
    pub verb: &'static str,
    /// The payload's text.
    pub payload: String,
    /// The command's id.
    pub command_id: Uuid,
    /// When it is signed, Unix ms.
    pub issued_at_ms: u64,
}

impl Order {
    fn new(verb: &'static str, payload: &impl Serialize, issued_at_ms: u64) -> Self {
        Self {
            tenant: acme(),
            wallet: "main".into(),
            verb,
            payload: canonical::to_string(payload),
            command_id: COMMAND_ID,
            issued_at_ms,
        }
    }

    /// A wallet under this policy.
    pub fn create(policy: Policy, issued_at_ms: u64) -> Self {
        Self::new("create", &Create { policy }, issued_at_ms)
    }

    /// A transfer.
    pub fn transfer(transfer: &RequestTransfer, issued_at_ms: u64) -> Self {
        Self::new("request-transfer", transfer, issued_at_ms)
    }

    /// Another policy.
    pub fn set_policy(change: Signed<PolicyChange>, issued_at_ms: u64) -> Self {
        Self::new("set-policy", &SetPolicy { change }, issued_at_ms)
    }

    /// Another sealing key.
    pub fn reseal(sealing_key_id: &str, issued_at_ms: u64) -> Self {
        Self::new("reseal-key", &ResealKey { sealing_key_id: sealing_key_id.into() }, issued_at_ms)
    }

    /// The same for another wallet.
    #[must_use]
    pub fn of_wallet(self, wallet: &str) -> Self {
        Self { wallet: wallet.into(), ..self }
    }

    /// The same as a command of its own.
    #[must_use]
    pub fn with_id(self, command_id: Uuid) -> Self {
        Self { command_id, ..self }
    }

    /// As its issuer signs it.
    pub fn signed(self) -> SignedCommand {
        let subject = self.subject();
        signed(self.command_id, self.issued_at_ms, &subject, self.payload)
    }

    /// Where it is published.
    fn subject(&self) -> CommandSubject {
        let Self { tenant, wallet, verb, .. } = self;
        CommandSubject::parse(&format!("nsl.v1.cmd.{tenant}.wallet.{wallet}.{verb}")).unwrap()
    }
}

impl Site {
    /// The job of an order: what the reactor makes of it.
    pub fn job(&self, order: Order, task: EnclaveTask) -> EnclaveJob {
        let subject = order.subject();
        self.job_of(order.command_id, order.issued_at_ms, &subject, order.payload, task)
    }

    /// The job of any command of [`ISSUER`]'s.
    pub fn job_of(
        &self,
        command_id: Uuid,
        issued_at_ms: u64,
        subject: &CommandSubject,
        payload: String,
        task: EnclaveTask,
    ) -> EnclaveJob {
        // Only grants of the service's own tenant allow its verbs.
        let is_service_verb = SERVICE_VERBS.contains(&subject.verb.as_str());
        let granting = if is_service_verb { Tenant::system() } else { subject.tenant.clone() };
        let command = signed(command_id, issued_at_ms, subject, payload);
        let job_id = task.job_id(ids::event_id(command_id, 0));
        EnclaveJob { job_id, command, authority: self.chain(granting), task }
    }
}

fn signed(command_id: Uuid, issued_at_ms: u64, subject: &CommandSubject, payload: String) -> SignedCommand {
    SignedCommand::sign(&key(ISSUER), subject, command_id, issued_at_ms, issued_at_ms + LIFE_MS, payload)
}
