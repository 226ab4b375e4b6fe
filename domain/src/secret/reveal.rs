//! `reveal`: readers ask for the present version, sealed to a key that they made for this reading.

use nsl_schemas::command::secret::{Reveal, SecretCommand};
use nsl_schemas::errors;
use nsl_schemas::event::secret::{RevealRequested, SecretEvent};
use nsl_schemas::job::PresentSecret;
use nsl_schemas::number::UnixMs;
use nsl_schemas::secret::{READING_MS_MAX, SecretReading};

use super::{LiveSecret, OPEN_READINGS_MAX, answer_by_ms};
use crate::decision::{Order, Rejection};

impl LiveSecret {
    pub(super) fn reveal(
        &self,
        order: &Order<SecretCommand>,
        command: &Reveal,
    ) -> Result<Vec<SecretEvent>, Rejection> {
        let present = self.present()?;
        let reading = &command.reading.statement;
        check_reading(order, reading, present)?;
        if !command.reading.is_signed_by(&present.policy.readers) {
            return Err(denied(format!("{} readers must sign", present.policy.readers.threshold)));
        }
        if self.readings.len() >= OPEN_READINGS_MAX {
            let message = format!("{OPEN_READINGS_MAX} readings wait for a worker");
            return Err(Rejection::new(errors::TOO_MANY_OPEN_READINGS, message));
        }
        let event = RevealRequested {
            answer_by_ms: answer_by_ms(order).min(UnixMs(reading.expires_at_ms)),
            reading: command.reading.clone(),
            request_id: order.command_id,
            request_sha256: order.request_sha256,
        };
        Ok(vec![event.into()])
    }
}

/// Whether the reading is of this command, and of the version and policy in force.
fn check_reading(
    order: &Order<SecretCommand>,
    reading: &SecretReading,
    present: &PresentSecret,
) -> Result<(), Rejection> {
    let is_of_this_command = reading.genesis_sha256 == order.facts.genesis.sha256
        && reading.tenant == order.tenant
        && reading.secret == order.id
        && reading.request_id == order.command_id;
    if !is_of_this_command {
        return Err(denied("the reading is signed for another secret or command"));
    }
    let in_force = present.sealed_secret.version;
    if reading.version != in_force {
        let message = format!("the version in force is {in_force}, not {}", reading.version);
        return Err(Rejection::new(errors::SECRET_VERSION_MISMATCH, message));
    }
    let policy_sha256 = present.policy.sha256();
    if reading.policy_sha256 != policy_sha256 {
        let message = format!("the policy in force has the hash {policy_sha256}");
        return Err(Rejection::new(errors::SECRET_POLICY_MISMATCH, message));
    }
    if reading.expires_at_ms <= order.now_ms {
        return Err(denied("the reading's time is over"));
    }
    if reading.expires_at_ms > order.now_ms.saturating_add(READING_MS_MAX) {
        return Err(denied("a reading is signed for a day at most"));
    }
    Ok(())
}

fn denied(message: impl Into<String>) -> Rejection {
    Rejection::new(errors::SECRET_READING_DENIED, message)
}
