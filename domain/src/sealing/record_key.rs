//! `record-key`: the record is the quorum's order carried out by a measured worker, and the epoch is the next.

use nsl_schemas::command::sealing::{RecordKey, SEALING_ID, SealingCommand};
use nsl_schemas::errors;
use nsl_schemas::event::sealing::{SealingEvent, SealingKeyFounded};
use nsl_verify::attestation::{self, VerifyTime};

use super::Sealing;
use crate::decision::{Order, Rejection};

impl Sealing {
    pub(super) fn record_key(
        &self,
        order: &Order<SealingCommand>,
        command: &RecordKey,
    ) -> Result<Vec<SealingEvent>, Rejection> {
        let invalid = |message: String| Err(Rejection::new(errors::SEALING_RECORD_INVALID, message));
        let (statement, facts) = (&command.record.statement, &order.facts);
        if order.id.as_str() != SEALING_ID || !order.tenant.is_system() {
            return invalid(format!("the log's sealing keys are system/{SEALING_ID}"));
        }
        let is_ordered = statement.order.check_new(&facts.operators);
        if let Err(error) = is_ordered.and_then(|()| statement.check(&facts.operators)) {
            return invalid(error.to_string());
        }
        let (next, found) = (self.epoch.checked_add(1), statement.order.statement.epoch);
        if next != Some(found) {
            return invalid(format!("the last recorded epoch is {}, this one is {found}", self.epoch));
        }
        let document = match attestation::verify(
            &command.record.document.0,
            &facts.expectation(),
            &facts.genesis.trust_root,
            VerifyTime::At(order.now_ms),
        ) {
            Ok(document) => document,
            Err(error) => return Err(Rejection::new(errors::ATTESTATION_INVALID, error.to_string())),
        };
        if document.user_data.as_deref() != Some(statement.user_data().0.as_slice()) {
            return Err(Rejection::new(errors::ATTESTATION_INVALID, "the document is about something else"));
        }
        Ok(vec![SealingKeyFounded { record: command.record.clone() }.into()])
    }
}
