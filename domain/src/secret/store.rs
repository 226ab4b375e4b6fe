//! `store`: a client's ciphertext becomes the next version, once a worker has sealed it.
//!
//! The first version's issuer says who owns and reads it. A later version keeps the policy: who may read is the owners'
//! word, and `set-readers` carries it.

use nsl_schemas::command::secret::{SecretCommand, Store};
use nsl_schemas::errors;
use nsl_schemas::event::secret::{SecretEvent, StoreRequested};
use nsl_schemas::secret::{EncryptedSecret, is_padded_length};
use nsl_verify::hpke;

use super::{LiveSecret, Phase, Secret, answer_by_ms, destroyed};
use crate::decision::{Order, Rejection};

/// Longest name of a sealing key that is taken; those of workers have 16 digits.
const KEY_ID_BYTES_MAX: usize = 64;

impl Secret {
    pub(super) fn store(
        &self,
        order: &Order<SecretCommand>,
        command: &Store,
    ) -> Result<Vec<SecretEvent>, Rejection> {
        check_content(&command.content)?;
        match &self.phase {
            Phase::Absent => LiveSecret::default().check_store(command)?,
            Phase::Live(live) => live.check_store(command)?,
            Phase::Destroyed => return Err(destroyed()),
        }
        let event = StoreRequested {
            answer_by_ms: answer_by_ms(order),
            policy: command.policy.clone(),
            request_id: order.command_id,
            request_sha256: order.request_sha256,
            version: command.version,
        };
        Ok(vec![event.into()])
    }
}

impl LiveSecret {
    fn check_store(&self, command: &Store) -> Result<(), Rejection> {
        self.check_next(command.version)?;
        if !command.policy.is_sound() {
            let message = "owners and readers are quorums that can be met";
            return Err(Rejection::new(errors::SECRET_POLICY_INVALID, message));
        }
        match &self.present {
            Some(present) if present.policy != command.policy => Err(Rejection::new(
                errors::SECRET_POLICY_MISMATCH,
                format!("the policy in force has the hash {}", present.policy.sha256()),
            )),
            Some(_) | None => Ok(()),
        }
    }
}

fn check_content(content: &EncryptedSecret) -> Result<(), Rejection> {
    let EncryptedSecret { message, sealing_key_id } = content;
    let is_padded = message.0.len().checked_sub(hpke::OVERHEAD_BYTES).is_some_and(is_padded_length);
    if !is_padded {
        return Err(Rejection::new(errors::SECRET_INVALID, "the message has not the length of a secret's"));
    }
    if sealing_key_id.len() > KEY_ID_BYTES_MAX {
        let message = "the name of a sealing key has at most 64 bytes";
        return Err(Rejection::new(errors::SECRET_INVALID, message));
    }
    Ok(())
}
