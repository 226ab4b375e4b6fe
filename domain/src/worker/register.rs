//! `register`: judge the attestation document and remember the key that it carries.

use nsl_schemas::bytes::Pcr;
use nsl_schemas::command::worker::{Register, WorkerCommand};
use nsl_schemas::errors;
use nsl_schemas::event::worker::{WorkerEvent, WorkerRegistered};
use nsl_verify::attestation::{self, VerifyTime};

use super::{Worker, worker_id};
use crate::decision::{Facts, Order, Rejection};

impl Worker {
    pub(super) fn register(
        &self,
        order: &Order<WorkerCommand>,
        command: &Register,
    ) -> Result<Vec<WorkerEvent>, Rejection> {
        let invalid = |message: String| Err(Rejection::new(errors::ATTESTATION_INVALID, message));
        if self.key.is_some() {
            return Err(Rejection::new(errors::WORKER_EXISTS, "the worker is registered"));
        }
        if order.id != worker_id(&command.key) || !order.tenant.is_system() {
            return invalid(format!("the worker of this key is system/{}", worker_id(&command.key)));
        }
        let Facts { genesis, operators, .. } = &order.facts;
        if operators.is_revoked(&command.key) {
            return invalid("the worker was revoked".to_owned());
        }
        let document = match attestation::verify(
            &command.attestation.0,
            &order.facts.expectation(),
            &genesis.trust_root,
            VerifyTime::At(order.now_ms),
        ) {
            Ok(document) => document,
            Err(error) => return invalid(error.to_string()),
        };
        if document.public_key.as_deref() != Some(&command.key.0[..]) {
            return invalid("the document carries another key".to_owned());
        }
        let Some(pcr0) = document.pcrs.get(&0) else { return invalid("the document has no PCR0".to_owned()) };
        Ok(vec![
            WorkerRegistered {
                key: command.key,
                pcr0: Pcr(*pcr0),
                attested_at_ms: document.timestamp_ms,
                attestation: command.attestation.clone(),
            }
            .into(),
        ])
    }
}
