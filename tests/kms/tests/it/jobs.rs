//! Jobs of one wallet.

use nsl_enclave_protocol::{Request, Response};
use nsl_enclave_worker::Worker;
use nsl_enclave_worker::nsm::software::system_time_ms;
use nsl_schemas::authority::{GrantChain, IssuerGrant, Quorum, Scope, Signed, TenantRoot};
use nsl_schemas::canonical;
use nsl_schemas::command::wallet::{Create, RequestTransfer};
use nsl_schemas::envelope::SignedCommand;
use nsl_schemas::ids;
use nsl_schemas::job::{EnclaveJob, EnclaveTask};
use nsl_schemas::number::{Amount, Datoshi};
use nsl_schemas::outcome::{JobResult, SealedKey};
use nsl_schemas::policy::{AssetRule, Policy, Rules};
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::token::Tenant;
use uuid::Uuid;

use crate::site::{Site, ask, key};

const GAS: &str = "0xd2a4cff31913016155e38e474a2c06d08be276cf";
const RECIPIENT: &str = "NfgHwwTi3wHAS8aFAN243C5vGbkYDpqLHP";

fn policy() -> Policy {
    Policy {
        owners: Quorum { threshold: 1, keys: vec![key(9).public()] },
        network_magic: 1,
        assets: vec![AssetRule { asset: GAS.into(), amount_max: Amount(100) }],
        recipients: None,
        fee_max_datoshi: Datoshi(10),
        rules: Rules::default(),
    }
}

impl Site {
    fn job(&self, verb: &str, payload: String, task: EnclaveTask) -> EnclaveJob {
        let (genesis_sha256, tenant) = (self.genesis_sha256(), Tenant::parse("acme").unwrap());
        let root = TenantRoot {
            genesis_sha256,
            tenant: tenant.clone(),
            key: key(2).public(),
            issued_at_ms: 1,
            epoch: 0,
        };
        let any = || "*".to_owned();
        let now_ms = system_time_ms();
        let grant = IssuerGrant {
            genesis_sha256,
            tenant,
            key: key(3).public(),
            label: "test".into(),
            scopes: vec![Scope { aggregate: any(), id: any(), verb: any() }],
            not_before_ms: 0,
            expires_at_ms: now_ms + 3_600_000,
        };
        let (root, grant) = (Signed::sign(root, &[&key(1)]), Signed::sign(grant, &[&key(2)]));
        let authority = GrantChain { root, grant, revocation: None };
        let subject = CommandSubject::parse(&format!("nsl.v1.cmd.acme.wallet.main.{verb}")).unwrap();
        let command_id = Uuid::from_u128(7);
        let command = SignedCommand::sign(&key(3), &subject, command_id, now_ms, now_ms + 1000, payload);
        EnclaveJob { job_id: ids::job_id(ids::event_id(command_id, 0)), command, authority, task }
    }

    /// Has the worker bear a wallet's key.
    pub(crate) async fn create(&self, worker: &Worker) -> Result<SealedKey, String> {
        let payload = canonical::to_string(&Create { policy: policy() });
        match perform(worker, self.job("create", payload, EnclaveTask::CreateKey)).await? {
            JobResult::KeyCreated { sealed_key, .. } => Ok(sealed_key),
            other => panic!("{other:?}"),
        }
    }

    /// Has the worker sign with that key.
    pub(crate) async fn sign(&self, worker: &Worker, sealed_key: &SealedKey) -> JobResult {
        let transfer = RequestTransfer {
            network_magic: 1,
            asset: GAS.into(),
            to: RECIPIENT.into(),
            amount: Amount(100),
            system_fee_datoshi: Datoshi(6),
            network_fee_datoshi: Datoshi(4),
            valid_until_block: 100,
        };
        let task = EnclaveTask::SignTransfer {
            approvals: vec![],
            reservation: None,
            sealed_key: sealed_key.clone(),
            policy: policy(),
        };
        let job = self.job("request-transfer", canonical::to_string(&transfer), task);
        perform(worker, job).await.unwrap()
    }
}

async fn perform(worker: &Worker, job: EnclaveJob) -> Result<JobResult, String> {
    match ask(worker, &Request::Perform { certificate: None, job: Box::new(job) }).await {
        Response::Outcome { outcome } => Ok(outcome.result),
        Response::Error { code, .. } => Err(code),
        other => panic!("{other:?}"),
    }
}
