//! `expire-request`: no worker answered in time, so the request ends and its place is free.
//!
//! A worker's answer may exist all the same, held back by a host. What ends here is that the log takes it. Of a reading it
//! is worth nothing to anybody but the reader whom the policy names; of a version, only the host has it.

use nsl_schemas::command::secret::{ExpireRequest, SecretCommand};
use nsl_schemas::errors;
use nsl_schemas::event::secret::{EndCause, RequestEnded, SecretEvent};

use super::{Phase, Secret};
use crate::decision::{Order, Rejection};

impl Secret {
    pub(super) fn expire_request(
        &self,
        order: &Order<SecretCommand>,
        command: &ExpireRequest,
    ) -> Result<Vec<SecretEvent>, Rejection> {
        let request_id = command.request_id;
        let answer_by_ms = match &self.phase {
            Phase::Live(live) => {
                let sealing = live.sealing.as_ref().filter(|sealing| sealing.request.id == request_id);
                let reading = live.readings.get(&request_id).map(|reading| reading.answer_by_ms);
                sealing.map(|sealing| sealing.answer_by_ms).or(reading)
            }
            Phase::Absent | Phase::Destroyed => None,
        };
        let Some(answer_by_ms) = answer_by_ms else {
            return Err(Rejection::new(errors::SECRET_REQUEST_UNKNOWN, "no such request waits for a worker"));
        };
        if order.now_ms < answer_by_ms.0 {
            return Err(Rejection::new(
                errors::DEADLINE_NOT_PASSED,
                format!("workers have until {answer_by_ms}, it is {}", order.now_ms),
            ));
        }
        Ok(vec![RequestEnded { cause: EndCause::Expired, request_id }.into()])
    }
}
